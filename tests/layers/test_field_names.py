"""A layer's fields may bear any lower-case name, also one that our own statements use."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest
from psycopg import sql

from layers.access import SYSTEM
from layers.crs import parse_crs
from layers.definition import SYSTEM_COLUMNS
from layers.query import FeatureQuery, compile_page, compile_rows
from layers.query.page import WRITTEN_APART
from tests.conftest import MakeDatabase
from tests.layers.support import LAMPS, deliver, published
from tiles.grids import WEB_MERCATOR_QUAD
from tiles.sql import tile_parameters, tile_statement

ROOT = Path(__file__).parents[2]
HELPERS = {"at", "shape"}  # keys of `support.batch`, not columns
SOURCES = ("layers/query/page.py", "layers/query/rows.py", "tiles/sql.py")


def words() -> list[str]:
    """Every lower-case word of the statements' sources: their aliases, and many more."""
    text = " ".join((ROOT / source).read_text() for source in SOURCES)
    return sorted(
        set(re.findall(r"(?<!\w)[a-z]\w{0,40}(?!\w)", text.lower())) - SYSTEM_COLUMNS - HELPERS
    )


@pytest.mark.parametrize("bbox", [None, (116.0, 24.0, 117.0, 25.0)])
def test_items_rows_and_tiles_of_a_layer_whose_fields_bear_our_own_names(
    make_database: MakeDatabase, bbox: tuple[float, float, float, float] | None
) -> None:
    names = words()
    assert {"place", "p", "m", "page", "hits"} <= set(names)
    connection, layer = published(
        make_database("field_names"),
        time_field=None,
        label_field=None,
        fields=[
            {"name": n, "type": "text", "title": {"zh": n, "en": n}, "tile_zoom": 0} for n in names
        ],
    )
    values = {name: f"value of {name}" for name in names}
    with connection:
        deliver(connection, layer, [{"id": "1", "at": (116.1, 24.3), **values}])
        query = FeatureQuery(layer=layer, crs=parse_crs("CRS84"), bbox=bbox, limit=10)
        statement = compile_page(query, SYSTEM)
        page = connection.execute(statement.sql, statement.params).fetchone()
        assert page is not None
        assert json.loads(page[0])["properties"] == values

        statement = compile_rows(query, SYSTEM)
        row = connection.execute(statement.sql, statement.params).fetchone()
        assert row is not None
        assert list(row[2:-1]) == [values[f.name] for f in layer.fields]

        tile_sql = tile_statement([layer], WEB_MERCATOR_QUAD, 0)
        assert tile_sql is not None
        tile = connection.execute(tile_sql, tile_parameters(0, 0, 0)).fetchone()
        assert tile is not None
        decoded = mapbox_vector_tile.decode(tile[0])
        assert decoded["lamp"]["features"][0]["properties"] == values


def test_properties_are_what_postgresql_writes_whether_they_are_few_or_many(
    make_database: MakeDatabase,
) -> None:
    """Few are written one by one, more in one call: the same bytes, those of row_to_json."""
    more = [
        {"name": f"more_{n}", "type": kind, "title": {"zh": f"字段{n}", "en": f"Field {n}"}}
        for n, kind in enumerate(("text", "integer", "real", "text"))
    ]
    connection, layer = published(make_database("field_forms"), fields=[*LAMPS["fields"], *more])
    rows: list[dict[str, Any]] = [
        {
            "id": '"引号"\\\n', "at": (116.1, 24.3), "kind": 'a "b" \\ \t\n\x01 輋𣒍村 </x> %s',
            "height_m": 0.1,
            "lamps": 2**62, "lit": False, "seen_on": date(2026, 2, 28),
            "seen_at": datetime(2026, 2, 28, 23, 59, 59, 123456, UTC), "more_0": "",
            "more_2": 1e300,
        },
        {"id": "2", "at": (116.2, 24.3), "height_m": -1e-7, "lamps": 0, "lit": True, "more_1": -5},
        {"id": "3", "at": (116.3, 24.3)},
    ]  # fmt: skip
    with connection:
        deliver(connection, layer, rows)
        names = layer.field_names
        assert len(names) > WRITTEN_APART
        for chosen in (names, names[:1], names[2:4], names[-4:], names[:WRITTEN_APART]):
            query = FeatureQuery(
                layer=layer, crs=parse_crs("CRS84"), properties=chosen, skip_geometry=True
            )
            statement = compile_page(query, SYSTEM, separator="\n")
            page = connection.execute(statement.sql, statement.params).fetchone()
            assert page is not None
            written = connection.execute(
                sql.SQL("SELECT id, row_to_json(p)::text FROM layer.lamp AS l,"
                        " LATERAL (SELECT {}) AS p ORDER BY fid").format(
                    sql.SQL(", ").join(sql.Identifier("l", name) for name in chosen)
                )
            ).fetchall()  # fmt: skip
            for line, (ident, properties) in zip(page[0].split("\n"), written, strict=True):
                assert json.loads(line)["id"] == ident
                assert line.endswith(f'"properties":{properties}}}')


def test_a_feature_without_any_property_asked_for_has_an_empty_object(
    make_database: MakeDatabase,
) -> None:
    connection, layer = published(make_database("field_none"))
    with connection:
        deliver(connection, layer, [{"id": "1", "at": (116.1, 24.3), "kind": "x"}])
        query = FeatureQuery(layer=layer, crs=parse_crs("CRS84"), properties=())
        statement = compile_page(query, SYSTEM)
        page = connection.execute(statement.sql, statement.params).fetchone()
        assert page is not None
        assert json.loads(page[0])["properties"] == {}
