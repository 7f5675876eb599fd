"""The sample city keeps the rules of the standards that its layers name."""

from __future__ import annotations

import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from geoserver_py.errors import WorkFailed
from geoserver_py.sample_city import build_sample_city
from geoserver_py.sample_city.build import draw_city
from geoserver_py.sample_city.register import default_register, read_register
from layers.city import load_city
from layers.definition import load_definitions

SEED = 20261122


@pytest.fixture(scope="module")
def drawn():
    return draw_city(SEED, 0.2)


def test_divisions_nest_without_gap_or_overlap(drawn) -> None:
    layers = drawn.layers
    for name in ("division_county", "division_town", "division_village"):
        shapes = layers[name].drawn
        assert shapely.is_valid(shapes).all()
        assert shapely.coverage_is_valid(shapes)
    for lower, upper, digits in (
        ("division_village", "division_town", 9),
        ("division_town", "division_county", 6),
    ):
        parents = layers[lower].frame["id"].str[:digits]
        areas = pd.Series(shapely.area(layers[lower].drawn)).groupby(parents.to_numpy()).sum()
        whole = pd.Series(shapely.area(layers[upper].drawn), index=layers[upper].frame["id"])
        assert np.allclose(areas.sort_index(), whole.sort_index(), rtol=1e-9)


def test_every_division_of_the_register_has_its_place(drawn) -> None:
    register = read_register(default_register())
    levels = {
        level: {d.code for d in register if d.level == level} for level in ("town", "village")
    }
    assert set(drawn.layers["division_town"].frame["id"]) == levels["town"]
    assert set(drawn.layers["division_village"].frame["id"]) == levels["village"]
    towns = drawn.layers["division_town"].frame
    assert set(towns.loc[towns["name"] == "大坪镇", "id"]) == {"441403104", "441481125"}
    assert len(drawn.layers["division_name"].frame) == 8 + 117 + 2269


def test_the_city_lies_inside_the_profile(drawn) -> None:
    extent = load_city("meizhou").extent
    plane = pyproj.Transformer.from_crs("EPSG:4548", "EPSG:4490", always_xy=True)
    for layer in drawn.layers.values():
        if layer.shapes is not None:
            lon, lat = plane.transform(*shapely.get_coordinates(layer.shapes).T)
            assert lon.min() > extent.west
            assert lon.max() < extent.east
            assert lat.min() > extent.south
            assert lat.max() < extent.north


def test_cells_fill_their_villages_and_touch_no_other(drawn) -> None:
    grid, villages = drawn.layers["unit_grid"], drawn.layers["division_village"]
    assert shapely.coverage_is_valid(grid.drawn)
    areas = pd.Series(shapely.area(grid.drawn)).groupby(grid.frame["village_code"].to_numpy()).sum()
    whole = pd.Series(shapely.area(villages.drawn), index=villages.frame["id"])[areas.index]
    assert np.allclose(areas, whole, rtol=1e-9)
    assert 7_000 < shapely.area(grid.drawn).min() < shapely.area(grid.drawn).max() < 13_000
    assert (grid.frame["id"].str[:12] == grid.frame["village_code"]).all()
    assert grid.frame["id"].is_unique


def test_ids_fit_the_patterns_of_their_layers(drawn) -> None:
    definitions = load_definitions()
    for name, layer in drawn.layers.items():
        assert layer.frame["id"].is_unique, name
        pattern = definitions[name].id_pattern
        if pattern is not None:
            assert layer.frame["id"].map(lambda key, p=pattern: bool(re.match(p, key))).all(), name
    assert (drawn.layers["component"].frame["id"].str.len() == 17).all()


@pytest.mark.parametrize("layer", ["component", "event"])
def test_the_cell_code_names_the_cell_that_contains_the_point(drawn, layer) -> None:
    grid, things = drawn.layers["unit_grid"], drawn.layers[layer]
    cells = pd.Series(grid.drawn, index=grid.frame["id"])[things.frame["grid_code"]].to_numpy()
    assert shapely.contains_properly(cells, things.drawn).all()


def test_cells_cut_no_building(drawn) -> None:
    grid, houses = drawn.layers["unit_grid"].drawn, drawn.layers["building"].drawn
    hits = shapely.STRtree(grid).query(houses, predicate="intersects")
    assert len(hits[0]) == len(houses)


def test_house_numbers_are_odd_on_one_side_and_even_on_the_other(drawn) -> None:
    layer = drawn.layers["address"]
    frame = layer.frame.assign(east=shapely.get_x(layer.drawn), north=shapely.get_y(layer.drawn))
    frame = frame[frame["number"].notna()]
    assert not frame.duplicated(["full_address"]).any()
    road = frame[frame["road"] == frame["road"].value_counts().index[0]]
    number = road["number"].str.extract(r"^(\d+)")[0].astype(int)
    place = road[["east", "north"]].to_numpy()
    axis = np.linalg.svd(place - place.mean(axis=0))[2]
    across = (place - place.mean(axis=0)) @ axis[1]
    middle = np.polynomial.Polynomial.fit((place - place.mean(axis=0)) @ axis[0], across, 3)
    side = across > middle((place - place.mean(axis=0)) @ axis[0])
    assert len(set(zip(side, number % 2, strict=True))) == 2


def test_pipes_keep_the_elevation_rule_and_drains_run_downhill(drawn) -> None:
    points, lines = drawn.layers["pipeline_point"].frame, drawn.layers["pipeline_line"].frame
    rest = points["ground_elevation_m"] - points["depth_m"] - drawn.pipelines.elevation
    assert np.abs(rest).max() < 1e-6
    assert set(points["class_word"]) == {
        "给水",
        "排水",
        "燃气",
        "热力",
        "电力",
        "通信",
        "工业",
        "其他",
    }
    assert (points["feature"].isna() ^ points["appurtenance"].isna()).all()
    drains = lines[lines["class_word"] == "排水"]
    falls = drains["start_elevation_m"] >= drains["end_elevation_m"]
    assert (falls == (drains["flow_direction"] == 0)).all()
    length = shapely.length(drawn.layers["pipeline_line"].drawn)
    assert length.min() > 0.05
    assert length.max() < 75.0


def test_one_cell_holds_the_centre_in_all_its_spellings(drawn) -> None:
    layer = drawn.layers["unit_grid"]
    to_plane = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4548", always_xy=True)
    spots = [to_plane.transform(116.1176, 24.2886), (410413.240, 2687537.854)]
    tree = shapely.STRtree(layer.drawn)
    found = {int(i) for spot in spots for i in tree.query(shapely.Point(spot), "intersects")}
    assert len(found) == 1
    assert layer.drawn[found.pop()].exterior.distance(shapely.Point(spots[1])) > 20.0


def test_two_builds_give_the_same_bytes(city, tmp_path) -> None:
    again = build_sample_city(tmp_path / "again", SEED, 0.05)
    first = {p.relative_to(city.folder) for p in city.folder.rglob("*") if p.is_file()}
    second = {p.relative_to(again.folder) for p in again.folder.rglob("*") if p.is_file()}
    assert first == second
    for path in first:
        if ".gdb" not in str(path.parent):  # a FileGDB holds random identifiers
            assert (city.folder / path).read_bytes() == (again.folder / path).read_bytes(), path


def test_scale_grows_the_city(drawn) -> None:
    large = draw_city(SEED, 2.0)
    assert 8 < len(large.layers["building"].frame) / len(drawn.layers["building"].frame) < 12
    assert shapely.coverage_is_valid(large.layers["unit_grid"].drawn)


def test_it_overwrites_only_its_own_folder(tmp_path) -> None:
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(WorkFailed, match="empty folder"):
        build_sample_city(tmp_path, SEED, 0.01)
    assert (tmp_path / "thesis.docx").is_file()
    with pytest.raises(WorkFailed, match="scale"):
        build_sample_city(tmp_path / "new", SEED, 0.0)


def test_truth_is_cgcs2000(truth) -> None:
    for path in truth.glob("*.parquet"):
        if path.stem != "division_name":
            assert gpd.read_parquet(path).crs.to_epsg() == 4490
