"""Beside every item stands where it came from, for whoever may read the item."""

from __future__ import annotations

import html

import httpx
import psycopg
from psycopg import sql

from tests.service.conftest import City


def an_item(city: City, layer: str) -> tuple[str, int, str]:
    """Id, row and file of some live feature, as the store has them."""
    with psycopg.connect(city.dsn) as connection:
        row = connection.execute(
            sql.SQL(
                "SELECT f.id, f.source_ref & ((1::bigint << 40) - 1),"
                " run.report -> 'files' -> (f.source_ref >> 40)::integer ->> 'file'"
                " FROM {} AS f JOIN catalog.run ON run.id = f.run"
                " WHERE f.source_ref IS NOT NULL ORDER BY f.fid LIMIT 1"
            ).format(sql.Identifier("layer", layer))
        ).fetchone()
    assert row is not None
    return row


def test_lineage_of_an_item_names_its_file_and_row(city: City, client: httpx.Client) -> None:
    ident, row, file = an_item(city, "poi")
    item = client.get(f"/collections/poi/items/{ident}").json()
    history = next(entry for entry in item["links"] if entry["rel"] == "version-history")
    answer = client.get(history["href"])
    assert answer.status_code == 200
    found = answer.json()
    assert (found["collection"], found["id"], found["live"]) == ("poi", ident, True)
    version = found["versions"][-1]
    assert version["replacedBy"] is None
    assert version["sources"][0]["file"] == file
    assert version["sources"][0]["row"] == row
    assert version["run"]["delivery"]
    assert version["sources"][0]["datumSteps"] is not None
    assert version["principal"] is None, "names only for keys that open government layers"


def test_lineage_has_a_page_that_names_delivery_file_row_run_and_steps(
    city: City, client: httpx.Client
) -> None:
    ident, row, file = an_item(city, "poi")
    path = f"/collections/poi/items/{ident}/lineage"
    (version,) = client.get(path).json()["versions"]
    answer = client.get(path, params={"f": "html"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    steps = version["sources"][0]["datumSteps"]
    assert len(steps) >= 2  # delivered in BD-09
    told = (version["run"]["delivery"], file, f"<td>{row}</td>", f"<td>{version['run']['id']}</td>")
    for said in (*told, *(html.escape(step["name"]) for step in steps), "±2 m", "百度坐标"):
        assert said in answer.text, said
    assert client.get(path, headers={"Accept": "text/html"}).text == answer.text
    assert client.get(path, params={"f": "xml"}).status_code == 400


def test_lineage_exists_for_whom_the_layer_exists(city: City, client: httpx.Client) -> None:
    ident, _, _ = an_item(city, "pipeline_point")
    path = f"/collections/pipeline_point/items/{ident}/lineage"
    hidden = client.get(path)
    absent = client.get("/collections/no_such_layer/items/1/lineage")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["detail"] == absent.json()["detail"]
    opened = client.get(path, headers={"X-API-Key": city.restricted_key})
    assert opened.status_code == 200
    assert opened.headers["Cache-Control"].startswith("private")


def test_lineage_of_what_never_was_is_404_and_openapi_declares_it(client: httpx.Client) -> None:
    assert client.get("/collections/poi/items/no-such/lineage").status_code == 404
    assert client.get("/collections/poi/items/no-such/lineage?x=1").status_code == 400
    paths = client.get("/openapi").json()["paths"]
    assert "get" in paths["/collections/{collectionId}/items/{featureId}/lineage"]
