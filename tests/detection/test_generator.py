"""The labelled deliveries are what their labels say, by PROJ and by readers that are not ours."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely

from tests.detection import errors, material
from tests.detection.scoring import Answer, same_system, score
from tests.detection.shifts import ELLIPSOIDS, GRIDS, SHIFTS, OldNetwork, in_frame
from tests.detection.truth import CANNOT_TELL, KINDS, Case, Kind
from tests.detection.writing import packed, sexagesimal

CENTRE = np.array([[410413.240, 2687537.854]])


@pytest.mark.parametrize("code", sorted(GRIDS))
def test_every_grid_is_the_epsg_grid(code: str) -> None:
    """Meridian, false easting and ellipsoid by PROJ's own database."""
    crs = pyproj.CRS(code)
    assert crs.coordinate_operation is not None
    assert crs.ellipsoid is not None
    parameters = {p.name: float(p.value) for p in crs.coordinate_operation.params}
    grid = GRIDS[code]
    assert parameters["Longitude of natural origin"] == grid.meridian
    assert parameters["False easting"] == grid.false_easting
    ours = pyproj.CRS(f"+proj=longlat {ELLIPSOIDS[grid.datum]} +no_defs").ellipsoid
    assert ours is not None
    assert crs.ellipsoid.semi_major_metre == ours.semi_major_metre
    assert crs.ellipsoid.inverse_flattening == pytest.approx(ours.inverse_flattening, abs=1e-9)


def test_the_centre_of_the_city_in_all_forms() -> None:
    """The fixture numbers of the project, to their last written digit."""
    assert in_frame(CENTRE, "cgcs2000")[0] == pytest.approx([116.1176, 24.2886], abs=1e-8)
    assert in_frame(CENTRE, "gcj02")[0] == pytest.approx([116.12243233, 24.285977], abs=1e-8)
    assert in_frame(CENTRE, "bd09")[0] == pytest.approx([116.12897357, 24.29184529], abs=1e-8)
    assert in_frame(CENTRE, "epsg:4547")[0] == pytest.approx([715018.931, 2688888.993], abs=1e-3)
    assert in_frame(CENTRE, "epsg:4498")[0] == pytest.approx([20410413.240, 2687537.854], abs=1e-3)
    assert packed(116.1176, 7) == "116.0703360"
    assert packed(24.2886, 7) == "24.1718960"
    assert packed(116.99999999999, 7) == "117.0000000"
    assert sexagesimal(116.1176, "{d}°{m:02d}′{s}″{w}", "E") == "116°07′03.360″E"


@pytest.mark.parametrize("datum", sorted(SHIFTS))
def test_the_old_datums_lie_where_paired_boreholes_put_them(datum: str) -> None:
    """In Gauss-Krueger metres, and a drawn city keeps within metres of that."""
    code = {"beijing54": "epsg:2436", "xian80": "epsg:2384"}[datum]
    plain = (CENTRE - in_frame(CENTRE, code))[0]
    assert plain == pytest.approx(SHIFTS[datum], abs=1e-6)
    far = np.add(CENTRE, [[0.0, 0.0], [30_000.0, -40_000.0]])
    drawn = far - in_frame(far, code, OldNetwork.drawn(np.random.default_rng(5)))
    assert np.hypot(*(drawn - SHIFTS[datum]).T).max() < 8
    assert 0.01 < np.hypot(*(drawn[1] - drawn[0])) < 2


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    kinds: tuple[Kind, ...] = ("clean", "outliers", "mixed_datums")
    for kind in kinds:
        made = []
        for part in ("a", "b"):
            (tmp_path / part).mkdir(exist_ok=True)
            case = errors.write_case(tmp_path / part, kind, 1)
            made.append((case.to_json(), case.records, _coordinates(case)))
        assert made[0][:2] == made[1][:2]
        assert np.array_equal(made[0][2], made[1][2])


def test_there_are_enough_of_every_kind() -> None:
    assert errors.COUNTS["clean"] >= 100
    assert sum(n for kind, n in errors.COUNTS.items() if kind != "clean") >= 400
    assert set(errors.COUNTS) == set(KINDS)
    assert min(errors.COUNTS.values()) >= 20


def _coordinates(case: Case) -> np.ndarray:
    """(n, 2) numbers of the file, read by GDAL or the csv module."""
    if case.titles is None:
        return shapely.get_coordinates(pyogrio.read_dataframe(case.path).geometry.to_numpy())
    if case.format != "csv":
        pytest.skip("read by the reader under test only")
    encoding = ("utf-8-sig", "gb18030", "utf-8")[case.number % 3]
    with case.path.open(encoding=encoding, newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(row[title]) for title in case.titles] for row in rows])


WHOLE: tuple[Kind, ...] = ("clean", "beijing54", "gcj02", "prefix_missing", "feet")


@pytest.mark.parametrize("kind", WHOLE)
def test_numbers_read_by_the_label_are_the_delivered_places(kind: Kind, tmp_path: Path) -> None:
    """Undone by the label alone, with PROJ's definitions, every vertex is on the truth."""
    for number in range(6):
        draft = errors._draft(kind, number, errors.SEED)
        case = errors.write_case(tmp_path, kind, number)
        if case.format == "dxf" or (case.titles is not None and case.format != "csv"):
            continue  # DXF writes closed rings its own way
        found = _coordinates(case)
        if kind == "feet":
            found = found * 0.3048
        truth = shapely.get_coordinates(draft.shapes)
        wanted = in_frame(truth, case.truth.system, draft.network)
        tolerance = 8e-9 if abs(wanted).max() < 400 else 8e-4
        # A Shapefile turns its rings the other way round: any order will do.
        assert len(found) == len(wanted)
        near = shapely.STRtree([shapely.Point(place) for place in wanted]).query_nearest(
            shapely.points(found), return_distance=True, all_matches=False
        )
        assert near[1].max() < tolerance


def test_an_outlier_is_far_from_its_file_and_nothing_else_is(tmp_path: Path) -> None:
    for number in range(9):
        case = errors.write_case(tmp_path, "outliers", number)
        draft = errors._draft("outliers", number, errors.SEED)
        if case.format == "dxf" or (case.titles is not None and case.format != "csv"):
            continue
        truth = draft.framed(draft.system)
        low, high = shapely.total_bounds(truth)[:2], shapely.total_bounds(truth)[2:]
        found = _coordinates(case)
        degrees = bool(abs(found).max() < 400)
        margin = 0.0299 if degrees else 2990.0
        rounding = 1e-8 if degrees else 1e-3
        away = ((found < low - rounding) | (found > high + rounding)).any(axis=1)
        assert 1 <= len(case.truth.rows) == away.sum()
        assert ((found < low - margin) | (found > high + margin)).any(axis=1).sum() == away.sum()


def test_groups_cover_every_record_once(tmp_path: Path) -> None:
    kinds: tuple[Kind, ...] = ("mixed_datums", "several_zones")
    for kind in kinds:
        for number in range(4):
            case = errors.write_case(tmp_path, kind, number)
            ends = [first for first, _, _ in case.truth.groups[1:]] + [case.records]
            assert [end for _, end, _ in case.truth.groups] == ends
            assert len({system for _, _, system in case.truth.groups}) == 2


def test_cannot_tell_counts_only_where_it_is_labelled(tmp_path: Path) -> None:
    """The scoring gives nothing away."""
    silent = Answer(CANNOT_TELL)
    rights: Counter[str] = Counter()
    for number in range(24):
        case = errors.write_case(tmp_path, "gcj02", number)
        assert score(case, silent).right == (case.undetermined != "wrong")
        named = score(case, Answer("gcj02", "gcj02")).right
        assert named == (case.undetermined != "required")
        assert not score(case, Answer("gcj02", "bd09")).right
        assert not score(case, Answer("clean", "cgcs2000")).right
        rights[case.undetermined] += 1
    assert set(rights) == {"wrong", "allowed", "required"}
    clean = errors.write_case(tmp_path, "clean", 0)
    assert score(clean, silent).right
    assert not score(clean, Answer("gcj02", "gcj02")).right


def test_equal_metres_are_one_system() -> None:
    assert same_system("epsg:4548", "epsg:4509")
    assert same_system("cgcs2000", "wgs84")
    assert not same_system("epsg:4548", "epsg:4527")
    assert not same_system("epsg:2436", "epsg:2415")
    assert same_system("epsg:2436", "beijing54", datum_only=True)
    assert not same_system("epsg:2436", None, datum_only=True)


def test_a_second_survey_differs_from_the_trusted_layer_by_decimetres() -> None:
    shapes = material.draw("building", 400, np.random.default_rng(1))
    tree = shapely.STRtree(shapely.boundary(material.city().layers["building"].drawn))
    places = shapely.points(shapely.get_coordinates(shapes))
    distance = tree.query_nearest(places, return_distance=True, all_matches=False)[1]
    assert 0.05 < np.median(distance) < 0.6
