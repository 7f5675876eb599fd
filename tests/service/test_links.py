"""A client that only follows links finds what they promise: every link of every document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.service.conftest import City

MOST_OF_A_LIST = 3
"""Entries followed of a list: the features of a page are all alike, collections are not."""

NOT_A_PAGE = ("next", "prev", "http://www.opengis.net/def/rel/ogc/1.0/execute")
"""Relations that are not followed: other pages of the same kind, and what takes a POST."""


@dataclass(frozen=True)
class Link:
    """A link, its stated media type, and the document that it was found in."""

    href: str
    media_type: str
    relation: str
    found_in: str


def links_in(document: Any, address: str) -> Iterator[Link]:
    """All links anywhere in a document, few of the features of a page."""
    if isinstance(document, list):
        for part in document:
            yield from links_in(part, address)
    elif isinstance(document, dict):
        listed = document.get("links")
        for entry in listed if isinstance(listed, list) else ():
            if not entry.get("templated") and entry["rel"] not in NOT_A_PAGE:
                yield Link(entry["href"], entry.get("type", ""), entry["rel"], address)
        for name, part in document.items():
            yield from links_in(part[:MOST_OF_A_LIST] if name == "features" else part, address)


def wrong_links(client: httpx.Client, base: str) -> tuple[int, list[str]]:
    """The number of addresses followed from the landing page, and what is wrong with each."""
    queue = deque([Link(f"{base}/", "application/json", "self", "")])
    seen: set[tuple[str, str]] = set()
    wrong: list[str] = []
    while queue:
        link = queue.popleft()
        if (link.href, link.media_type) in seen:
            continue
        seen.add((link.href, link.media_type))
        if not link.href.startswith(base) or "{" in link.href:
            wrong.append(f"{link}: not an address of this service")
            continue
        answer = client.get(link.href, headers={"Accept": link.media_type or "*/*"})
        given = answer.headers.get("content-type", "")
        if answer.status_code != 200:
            wrong.append(f"{link}: {answer.status_code} {answer.text[:120]}")
        elif essence(given) != essence(link.media_type or given):
            wrong.append(f"{link}: is {given}")
        elif essence(given).endswith("json"):
            queue.extend(links_in(answer.json(), link.href))
    return len(seen), wrong


def essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


@pytest.mark.parametrize("keyed", [False, True], ids=["anonymous", "with a key"])
def test_every_link_answers_what_its_type_says(city: City, keyed: bool) -> None:
    headers = {"X-API-Key": city.restricted_key} if keyed else {}
    with httpx.Client(headers=headers, timeout=30) as client:
        followed, wrong = wrong_links(client, city.url)
    assert not wrong, "\n".join(wrong)
    assert followed > 200


def test_the_documents_beside_every_collection_are_linked(client: httpx.Client, city: City) -> None:
    """A client finds schema, queryables, tiles and items of a layer without knowing any path."""
    rel = "http://www.opengis.net/def/rel/ogc/1.0"
    for collection in client.get("/collections").json()["collections"]:
        if collection["itemType"] != "feature":
            continue
        found = {link["rel"] for link in collection["links"]}
        assert {"self", "items", f"{rel}/schema", f"{rel}/queryables"} <= found
        assert (f"{rel}/tilesets-vector" in found) == ("extent" in collection)


def test_templated_links_are_answered_once_filled_in(client: httpx.Client) -> None:
    landing = client.get("/", headers={"Accept": "application/json"}).json()
    search = [link["href"] for link in landing["links"] if link["rel"] == "search"]
    assert search
    assert all("{q}" in href for href in search)
    assert client.get(search[0].replace("{q}", "梅江区客都大道1号")).status_code == 200


def test_the_definition_is_given_to_who_asks_for_its_own_media_type(client: httpx.Client) -> None:
    """It was refused with 406; what QGIS asks for was answered only for its `application/json`."""
    media_type = "application/vnd.oai.openapi+json;version=3.0"
    answer = client.get("/openapi", headers={"Accept": media_type})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = client.get("/openapi", headers={"Accept": browser})
    assert page.headers["content-type"].startswith("text/html")


def test_the_definition_states_the_limit_where_qgis_looks_for_it(client: httpx.Client) -> None:
    """QGIS asks for pages of 100 features where `components.parameters.limit` states nothing."""
    limit = client.get("/openapi").json()["components"]["parameters"]["limit"]
    assert limit["schema"]["default"] == 10
    assert limit["schema"]["maximum"] == 10_000
    more = client.get("/collections/building/items?limit=20000&skipGeometry=true")
    assert more.status_code == 200  # more than the maximum is no error: Features Part 1, 7.15.2


def test_field_parameters_are_such_that_clients_filter_by_them(client: httpx.Client) -> None:
    """QGIS sends `field=value` for parameters with style form and explode false alone."""
    given = client.get("/openapi").json()["paths"]["/collections/road/items"]["get"]["parameters"]
    by_name = {parameter["name"]: parameter for parameter in given}
    for name in ("name", "road_class", "lanes", "one_way"):
        assert (by_name[name]["style"], by_name[name]["explode"]) == ("form", False)
