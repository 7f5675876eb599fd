"""A partial delivery replaces what lies inside its area, and nothing outside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from pyproj import Geod, Transformer

from etl.delivery import DeliveryError, parse_delivery
from etl.report import LoadReport, Status
from tests.etl.support import (
    CENTRE,
    apply_layers,
    component,
    component_load,
    deliver,
    rows,
    write_csv,
)

WEST, SOUTH = CENTRE[0] - 0.0005, CENTRE[1] - 0.001
MIDDLE = CENTRE[0] + 0.000_095
"""Components 0 to 9 lie west of it, the others east (they are 1e-5 degrees apart)."""
AREA = {"west": WEST, "south": SOUTH, "east": MIDDLE, "north": CENTRE[1] + 0.001}
LOAD = component_load(mode="partial", area={"bbox": AREA, "coordsys": "cgcs2000"})
GEOD = Geod(ellps="GRS80")


@pytest.fixture
def layered(database: str) -> str:
    apply_layers(database, "component", "road", "division_town", "unit_grid")
    return database


def numbers(dsn: str) -> set[int]:
    return {int(i[-6:]) for (i,) in rows(dsn, "SELECT id FROM layer.component")}


def findings(dsn: str, run: int) -> list[tuple[Any, ...]]:
    statement = "SELECT rule, id, severity, reason FROM catalog.reject WHERE run = %s ORDER BY 1, 2"
    return rows(dsn, statement, run)


def full(folder: Path, dsn: str, **more: Any) -> None:
    write_csv(folder / "components.csv", [component(n) for n in range(20)])
    deliver(folder, dsn, [component_load()], delivery="全市", **more)


def test_inside_is_replaced_and_outside_is_refused_and_stays(layered: str, tmp_path: Path) -> None:
    full(tmp_path, layered)
    inside = [component(n, GLBJMC="新") for n in (1, 2)] + [component(900, lon=WEST + 1e-5)]
    write_csv(tmp_path / "components.csv", [*inside, component(15, GLBJMC="越界")])
    (report,) = deliver(tmp_path, layered, [LOAD], delivery="半区")
    assert report.status is Status.SUCCEEDED
    assert {k: report.counts[k] for k in ("inserted", "updated", "deleted", "rejected")} == {
        "inserted": 1, "updated": 2, "deleted": 8, "rejected": 1,
    }  # fmt: skip
    assert numbers(layered) == {1, 2, 900, *range(10, 20)}
    ((rule, ident, severity, reason),) = findings(layered, report.run)
    assert (rule, ident, severity) == ("outside_area", component(15)["GLBJBSM"], "reject")
    metres = GEOD.inv(MIDDLE, CENTRE[1], float(component(15)["lon"]), CENTRE[1])[2]
    assert f"{metres:.2f} m" in reason
    assert rows(layered, "SELECT name FROM layer.component WHERE id = %s", ident) == [("上水井盖",)]


def test_the_first_delivery_of_a_layer_keeps_to_its_area_too(layered: str, tmp_path: Path) -> None:
    # so many rows that a first load would take its own way
    inside = [component(n, lon=WEST + 1e-5 + n * 1e-8) for n in range(2_100)]
    write_csv(tmp_path / "components.csv", [*inside, component(5_000, lon=MIDDLE + 1e-4)])
    (report,) = deliver(tmp_path, layered, [LOAD], delivery="半区")
    assert (report.counts["inserted"], report.counts["rejected"]) == (2_100, 1)
    assert 5_000 not in numbers(layered)
    (file,) = report.files
    assert any("局部交付" in note and "cgcs2000" in note for note in file.notes)


def test_rows_of_another_bureau_inside_the_area_stay(layered: str, tmp_path: Path) -> None:
    full(tmp_path, layered, bureau="水务局")
    write_csv(tmp_path / "components.csv", [component(900, lon=WEST + 1e-5)])
    (report,) = deliver(tmp_path, layered, [LOAD], delivery="半区", bureau="园林局")
    assert (report.counts["deleted"], len(numbers(layered))) == (0, 21)


def test_what_comes_in_from_outside_is_said(layered: str, tmp_path: Path) -> None:
    full(tmp_path, layered)
    write_csv(tmp_path / "components.csv", [component(15, lon=WEST + 1e-5)])
    (report,) = deliver(tmp_path, layered, [LOAD], delivery="半区")
    ((rule, ident, severity, reason),) = findings(layered, report.run)
    assert (rule, ident, severity) == ("moved_in", component(15)["GLBJBSM"], "warn")
    assert "was 5." in reason
    assert numbers(layered) == {*range(10, 20)}


def test_a_delivery_wholly_outside_changes_nothing(layered: str, tmp_path: Path) -> None:
    full(tmp_path, layered)
    write_csv(tmp_path / "components.csv", [component(15), component(16)])
    (report,) = deliver(tmp_path, layered, [LOAD], delivery="半区")
    assert report.status is Status.FAILED
    assert "no row lies in the area" in str(report.reason)
    assert numbers(layered) == set(range(20))


@pytest.mark.parametrize("kind", ["file", "plane bbox", "division", "grid"])
def test_the_area_may_be_a_file_a_rectangle_of_a_grid_a_division_or_a_cell(
    layered: str, tmp_path: Path, kind: str
) -> None:
    full(tmp_path, layered)
    box = shapely.box(AREA["west"], AREA["south"], AREA["east"], AREA["north"])
    geojson = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(box)}
    (tmp_path / "范围.geojson").write_text(json.dumps(geojson), "utf-8")
    area: dict[str, Any] = {"file": "范围.geojson", "coordsys": "cgcs2000"}
    if kind == "plane bbox":
        plane = Transformer.from_crs(4490, 4548, always_xy=True)
        east, north = plane.transform(MIDDLE, CENTRE[1])
        sides = {"west": east - 60, "south": north - 100, "east": east, "north": north + 100}
        area = {"bbox": sides, "coordsys": "epsg:4548"}
    elif kind in ("division", "grid"):
        layer, ident = (
            ("division_town", "441402003") if kind == "division" else
            ("unit_grid", "441402001001001")
        )  # fmt: skip
        load = {"layer": layer, "files": ["范围.geojson"], "coordsys": "cgcs2000",
                "id": {"value": ident}, "fields": {"name": {"value": "江南街道"}}}  # fmt: skip
        if kind == "grid":
            load["fields"] = {
                "area_m2": {"value": 1000}, "initial_date": {"value": "2026-01-01"},
                "village_code": {"value": "441402003001"},
            }  # fmt: skip
        (loaded,) = deliver(tmp_path, layered, [load], delivery="区划")
        assert loaded.good, loaded.reason
        area = {"division": "江南街道"} if kind == "division" else {"grid": ident}
    write_csv(tmp_path / "components.csv", [component(3)])
    (report,) = deliver(
        tmp_path, layered, [component_load(mode="partial", area=area)], delivery="半区"
    )
    assert report.good, report.reason
    assert numbers(layered) == {3, *range(10, 20)}


def test_an_area_that_is_not_there_is_refused_with_what_is_missing(
    layered: str, tmp_path: Path
) -> None:
    full(tmp_path, layered)
    load = component_load(mode="partial", area={"division": "无此镇"})
    (report,) = deliver(tmp_path, layered, [load], delivery="半区")
    assert "无此镇" in str(report.reason)
    assert report.status is Status.FAILED


# roads: two towns side by side, the border is a meridian


def line(*points: tuple[float, float]) -> shapely.LineString:
    return shapely.LineString(points)


def roads(folder: Path, dsn: str, shapes: dict[str, Any], **more: Any) -> LoadReport:
    """Deliver roads as GeoJSON."""
    features = [
        {"type": "Feature", "properties": {"id": k}, "geometry": shapely.geometry.mapping(shape)}
        for k, shape in shapes.items()
    ]
    document = {"type": "FeatureCollection", "features": features}
    (folder / "roads.geojson").write_text(json.dumps(document), "utf-8")
    load = {"layer": "road", "files": ["roads.geojson"], "coordsys": "cgcs2000",
            "id": {"column": "id"}, "fields": {"road_class": {"value": road_class()}},
            "mode": "full", **more}  # fmt: skip
    (report,) = deliver(folder, dsn, [load], delivery="半区" if "area" in more else "全市")
    assert report.good, report.reason
    return report


def road_class() -> str:
    from layers.codes import code_list

    return next(iter(code_list("road_class").entries))


LON, LAT = 116.11, 24.29
HALF = {"bbox": {"west": LON - 0.01, "south": LAT - 0.01, "east": LON, "north": LAT + 0.01},
        "coordsys": "cgcs2000"}  # fmt: skip


def town() -> dict[str, Any]:
    """W inside, E outside, X across, and E2, whose western neighbour is not drawn yet."""
    return {
        "W": line((LON - 0.005, LAT), (LON, LAT)),
        "E": line((LON, LAT), (LON + 0.005, LAT)),
        "X": line((LON - 0.005, LAT + 0.002), (LON + 0.005, LAT + 0.002)),
        "E2": line((LON, LAT + 0.004), (LON + 0.005, LAT + 0.004)),
    }


@pytest.mark.parametrize(
    ("crossing", "left"),
    [
        ("carry", {"N", "E", "X", "E2"}),
        ("centre", {"N", "E", "E2"}),
        ("keep", {"N", "E", "X", "E2"}),
    ],
)
def test_the_stated_rule_decides_on_features_across_the_border(
    layered: str, tmp_path: Path, crossing: str, left: set[str]
) -> None:
    # its middle lies inside
    crosses = line(
        (LON - 0.006, LAT + 0.002), (LON - 0.001, LAT + 0.002), (LON + 0.004, LAT + 0.002)
    )
    roads(tmp_path, layered, town() | {"X": crosses})
    new = {"N": line((LON - 0.005, LAT - 0.001), (LON - 0.001, LAT - 0.001))}
    report = roads(tmp_path, layered, new, mode="partial", area=HALF | {"crossing": crossing})
    assert {i for (i,) in rows(layered, "SELECT id FROM layer.road")} == left
    said = {(rule, ident) for rule, ident, *_ in findings(layered, report.run)}
    assert (("border_crossing", "X") in said) is (crossing != "centre")
    # and a delivered one
    report = roads(
        tmp_path, layered, new | {"X": crosses}, mode="partial", area=HALF | {"crossing": crossing}
    )
    refused = {ident for rule, ident, *_ in findings(layered, report.run) if rule == "outside_area"}
    assert refused == ({"X"} if crossing == "keep" else set())


def test_ends_at_the_border_are_joined_within_the_stated_tolerance_only(
    layered: str, tmp_path: Path
) -> None:
    roads(tmp_path, layered, town())
    # 0.3 m north of E, and 0.8 m north-east of E2
    near = GEOD.fwd(LON, LAT, 0, 0.3)[:2]
    far = GEOD.fwd(LON, LAT + 0.004, 225, 0.8)[:2]
    new = {
        "W": line((LON - 0.005, LAT), near),
        "W2": line((LON - 0.005, LAT + 0.004), far),
        "X": town()["X"],
    }
    untouched = roads(tmp_path, layered, new, mode="partial", area=HALF)
    said = [(rule, ident, reason) for rule, ident, _, reason in findings(layered, untouched.run)
            if rule.startswith("edge")]  # fmt: skip
    assert [(rule, ident) for rule, ident, _ in said] == [("edge_gap", "W"), ("edge_gap", "W2")]
    assert "区域外 E 相距 0.300 m，方位 南 S 180°" in said[0][2]
    assert "区域外 E2 相距 0.800 m，方位 东北 NE 45°" in said[1][2]
    ends = "SELECT id, ST_X(p), ST_Y(p) FROM (SELECT id, ST_EndPoint(ST_GeometryN(geom, 1)) AS p"
    ends += " FROM layer.road WHERE id IN ('W', 'W2')) AS e ORDER BY id"
    assert rows(layered, ends) == [("W", *near), ("W2", *far)]

    joined = roads(tmp_path, layered, new, mode="partial", area=HALF, edges={"tolerance_m": 0.5})
    said = [(rule, ident, reason) for rule, ident, _, reason in findings(layered, joined.run)
            if rule.startswith("edge")]  # fmt: skip
    assert [(rule, ident) for rule, ident, _ in said] == [("edge_gap", "W2"), ("edge_snapped", "W")]
    assert rows(layered, ends) == [("W", LON, LAT), ("W2", *far)]
    assert (joined.counts["updated"], joined.counts["deleted"]) == (1, 0)
    again = roads(tmp_path, layered, new, mode="partial", area=HALF, edges={"tolerance_m": 0.5})
    assert again.status is Status.UNCHANGED


def test_a_road_that_stops_at_the_border_is_pointed_out(layered: str, tmp_path: Path) -> None:
    roads(tmp_path, layered, town())
    report = roads(
        tmp_path, layered, {"W": town()["W"], "X": town()["X"]}, mode="partial", area=HALF
    )
    assert [(rule, ident) for rule, ident, *_ in findings(layered, report.run)] == [
        ("edge_open", "E2")
    ]


def test_rules_see_a_layer_as_it_will_be_after_a_partial_delivery(
    layered: str, tmp_path: Path
) -> None:
    """A village of a town that the same delivery takes away refers to nothing."""
    apply_layers(layered, "division_village")

    def load(
        layer: str, file: str, rows: dict[str, tuple[shapely.Polygon, str]], **more: Any
    ) -> Any:
        features = [
            {"type": "Feature", "properties": {"id": ident, "name": ident, "parent": parent},
             "geometry": shapely.geometry.mapping(shape)}
            for ident, (shape, parent) in rows.items()
        ]  # fmt: skip
        (tmp_path / file).write_text(
            json.dumps({"type": "FeatureCollection", "features": features}), "utf-8"
        )
        return {"layer": layer, "files": [file], "coordsys": "cgcs2000", "id": {"column": "id"},
                "fields": {"name": "name", "parent_code": "parent"}, **more}  # fmt: skip

    towns = {
        f"44140200{n}": (
            shapely.box(LON - 0.01 * n, LAT, LON - 0.01 * (n - 1), LAT + 0.01),
            "441402",
        )
        for n in (1, 2, 3)
    }
    deliver(tmp_path, layered, [load("division_town", "towns.geojson", towns)], delivery="镇")
    area = {"west": LON - 0.02, "south": LAT, "east": LON, "north": LAT + 0.01}
    first = {k: v for k, v in towns.items() if k.endswith("1")}
    villages = {f"{town}001": (shape, town) for town, (shape, _) in towns.items()}
    reports = deliver(
        tmp_path, layered,
        [
            load("division_town", "half.geojson", first, mode="partial",
                 area={"bbox": area, "coordsys": "cgcs2000"}),
            load("division_village", "villages.geojson", villages),
        ],
        delivery="镇村",
    )  # fmt: skip
    assert [r.reason for r in reports] == [None, None]
    assert {i for (i,) in rows(layered, "SELECT id FROM layer.division_town")} == {
        "441402001", "441402003",
    }  # fmt: skip
    dangling = [i for rule, i, *_ in findings(layered, reports[1].run) if rule == "reference"]
    assert dangling == ["441402002001"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"area": None}, "goes with mode: partial"),
        ({"mode": "full"}, "goes with mode: partial"),
        ({"area": {"bbox": AREA}}, "a bbox states its coordsys"),
        ({"area": {"bbox": AREA, "coordsys": "cgcs2000", "grid": "x"}}, "exactly one of"),
        ({"area": {"grid": "x", "crossing": "cut"}}, "carry"),
        ({"edges": {"tolerance_m": 2, "search_m": 1}}, "must not exceed search_m"),
        ({"edges": {"tolerance_m": 0}}, "metres above 0"),
    ],
)
def test_wrong_keys_are_refused_with_what_would_be_right(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    load = {k: v for k, v in (LOAD | change).items() if v is not None}
    document = {"delivery": "x", "bureau": "y", "city": "meizhou", "synthetic": True,
                "loads": [load]}  # fmt: skip
    with pytest.raises(DeliveryError, match=sentence):
        parse_delivery(document, tmp_path / "delivery.yaml")
