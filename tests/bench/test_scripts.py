"""pgbench gets the statements that the service sends, and every drawn area and tile."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from geoserver_py.bench.draws import Tile, classify, tile_at
from geoserver_py.bench.loading import Loaded
from geoserver_py.bench.plan import Plan
from geoserver_py.bench.report import BEGIN, END, load_rows, markdown, record, verdict
from geoserver_py.bench.run import Outcome
from geoserver_py.bench.scripts import items_scripts, lookup, tile_script
from geoserver_py.errors import WorkFailed
from layers.definition import load_definitions
from layers.query.density import CELLS, Density
from tiles.grids import GRIDS


def chosen(expression: str, k: int) -> float:
    """What pgbench makes of a nest of `case when :k < n then a else b end`."""
    words = expression.replace(":k", str(k)).split()

    def value() -> float:
        word = words.pop(0)
        if word != "case":
            return float(word)
        _, left, _, right, _ = (words.pop(0) for _ in range(5))
        low = value()
        assert words.pop(0) == "else"
        high = value()
        assert words.pop(0) == "end"
        return low if int(left) < int(right) else high

    return value()


@pytest.mark.parametrize("number", [1, 2, 3, 7, 500])
def test_lookup_gives_every_value_at_its_place(number: int) -> None:
    values = [round(115 + n / 7, 6) for n in range(number)]
    expression = lookup(values)
    assert [chosen(expression, k) for k in range(number)] == values


def test_items_scripts_bind_limit_and_area_as_the_service_does() -> None:
    layer = load_definitions()["building"]
    areas = [(116.0, 24.0, 116.1, 24.1), (116.2, 24.2, 116.3, 24.3)]
    ((script, _),) = items_scripts(layer, 1000, areas)
    assert "\\set limit 1000\n" in script
    assert "\\set k random(0, 1)\n" in script
    assert "%(" not in script
    assert "ST_MakeEnvelope(:w::float8, :s::float8, :e::float8, :n::float8, 4490)" in script
    assert 'FROM "layer"."building"' in script


def test_crowded_areas_have_a_script_of_the_way_the_service_takes_there() -> None:
    layer = load_definitions()["building"]
    crowded = (116.0, 24.0, 116.1, 24.1)
    areas = [crowded, (116.2, 24.2, 116.3, 24.3), (116.3, 24.2, 116.4, 24.3)]
    cells = np.zeros((CELLS, CELLS))
    cells[0, 0] = 100_000
    density = Density(100_000, None, (116.0, 24.0, 119.2, 27.2), cells)
    (indexed, often), (scanned, once) = items_scripts(layer, 10, areas, density=density)
    assert (often, once) == (2, 1)
    assert re.search(r"\\set scan 4[45]\n", scanned)
    assert "LIMIT :scan::bigint" in scanned
    assert ":scan" not in indexed


def test_tile_script_binds_the_address() -> None:
    known = load_definitions()
    script = tile_script(known, [Tile("building", 16, 28206, 53904), Tile("building", 16, 1, 2)])
    assert re.search(r"ST_TileEnvelope\(16::int, :x::int, :y::int", script)
    assert "\\set x case when :k < 1 then 53904 else 2 end\n" in script


def test_drawn_tile_holds_the_position() -> None:
    tile = tile_at("building", 116.1176, 24.2886, 16)
    west, south, east, north = GRIDS["WebMercatorQuad"].degrees(16, tile.row, tile.col, 0.0)
    assert west <= 116.1176 < east
    assert south < 24.2886 <= north


def test_tiles_are_classed_by_cost_and_the_rest_left_out() -> None:
    drawn = [Tile("building", 16, row, 0) for row in range(6)]
    costs = dict(zip(drawn, (1.0, 5.0, 2.5, 1.2, 0.9, 40.0), strict=True))
    classes = (("tiles-1ms", 0.6, 1.7), ("tiles-5ms", 3.5, 7.0))
    made = classify(drawn, costs.__getitem__, classes, 2)
    assert made == {"tiles-1ms": [drawn[0], drawn[3]], "tiles-5ms": [drawn[1]]}


def test_a_missed_goal_is_shown_as_missed() -> None:
    assert verdict(0.59, 0.6) == ("0.59", "0.6", "no")
    assert verdict(0.6, 0.6) == ("0.60", "0.6", "yes")
    assert verdict(3.0, None) == ("3.00", "", "")


def test_load_ratio_compares_loads_of_the_same_turn() -> None:
    loads = [
        Loaded("geoserver_py", "CSV, GB18030", 300_000, 10.0),
        Loaded("ogr2ogr", "GeoPackage", 300_000, 6.0),
    ]
    assert load_rows(loads) == [
        ("first load, 30000 rows/s", "ogr2ogr, GeoPackage", "1", "0.60", "0.6", "yes", "")
    ]


def test_markdown_has_no_table_without_rows() -> None:
    assert markdown(("a", "b"), []) == ""
    assert markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_results_replace_those_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    outcome = Outcome(Plan(tmp_path), counts={"building": 3})
    outcome.loads = [
        Loaded("geoserver_py", "CSV, GB18030", 300_000, 10.0),
        Loaded("ogr2ogr", "GeoPackage", 300_000, 4.0),
    ]
    once = record(f"# A\n{BEGIN}\nold\n{END}\nB\n", outcome, "20261122")
    assert once.startswith("# A\n")
    assert once.endswith(f"{END}\nB\n")
    assert "old" not in once
    assert "| 0.40 | 0.6 | no |" in once
    assert record(once, outcome, "20261122").count("| 0.40 |") == 1
    with pytest.raises(WorkFailed, match="marks"):
        record("# A", outcome, "20261122")
