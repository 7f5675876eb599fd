"""A layer's fields may bear any lower-case name, also one that our own statements use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import mapbox_vector_tile
import pytest

from layers.access import SYSTEM
from layers.crs import parse_crs
from layers.definition import SYSTEM_COLUMNS
from layers.query import FeatureQuery, compile_page, compile_rows
from tests.conftest import MakeDatabase
from tests.layers.support import deliver, published
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
