"""Detection, kind by kind, on synthetic streets: named where the data decide, open elsewhere."""

import time

import numpy as np
import pytest
import shapely

from etl.datum import DatumRegistry
from etl.detection import Detection, References, detect, read_numbers
from etl.inspect import inspect_file
from etl.trusted import datum_contradicted
from layers.city import load_city

MEIZHOU = load_city("meizhou")
REGISTRY = DatumRegistry()
PER = np.array([101_400.0, 110_780.0])


def streets() -> list[shapely.LineString]:
    """A synthetic irregular street net of 13 km, CGCS2000."""
    rng = np.random.default_rng(5)
    k = np.linspace(0, 1, 8)
    out = []
    for _ in range(300):
        x, y = 116.05 + 0.12 * rng.random(), 24.23 + 0.12 * rng.random()
        a = rng.choice([0.1, 1.7]) + 0.15 * rng.standard_normal()
        length = 0.002 + 0.01 * rng.random()
        east = x + length * k * np.cos(a) + 0.0003 * np.sin(4 * k)
        north = y + length * k * np.sin(a) + 0.0002 * np.cos(5 * k)
        out.append(shapely.LineString(np.column_stack([east, north])))
    return out


STREETS = streets()


@pytest.fixture(scope="module")
def reference() -> References:
    found = References.from_geometries(STREETS, "roads")
    assert found is not None
    return found


def beside_streets(n: int, seed: int = 1, off_m: float = 3.0) -> np.ndarray:
    """(n, 2) lon, lat within metres of the streets, at no vertex of theirs."""
    rng = np.random.default_rng(seed)
    lines = rng.integers(0, len(STREETS), n)
    points = [STREETS[i].interpolate(rng.random(), normalized=True) for i in lines]
    return shapely.get_coordinates(points) + rng.normal(0, off_m, (n, 2)) / PER


def in_system(lonlat: np.ndarray, name: str) -> np.ndarray:
    return np.column_stack(REGISTRY.chain("cgcs2000", name).apply(*lonlat.T)[:2])


def packed(v: np.ndarray) -> np.ndarray:
    d = np.floor(v)
    m = np.floor((v - d) * 60)
    return d + m / 100 + np.round(((v - d) * 60 - m) * 60, 4) / 10000


def judge(xy, **more) -> Detection:
    return detect(xy, profile=MEIZHOU, **more)


@pytest.mark.parametrize("n", [20, 400])
@pytest.mark.parametrize(
    ("datum", "shift", "code"),
    [("xian80", (117.3, 0.2), "epsg:2384"), ("xian80", (108.0, 9.0), "epsg:2384"),
     ("beijing54", (54.4, -58.8), "epsg:2436")],
)  # fmt: skip
def test_classical_datums_are_named_by_their_shift(n, datum, shift, code, reference):
    xy = in_system(beside_streets(n), "epsg:4548") - shift
    found = judge(xy, declared="epsg:4548", references=reference)
    assert (found.kind, found.agreement) == (datum, "objects")
    assert found.verdict is not None
    assert found.verdict.coordsys == code
    assert found.verdict.shift_m is not None
    assert np.hypot(*(np.array(found.verdict.shift_m) - shift)) < 14


@pytest.mark.parametrize("truth", ["cgcs2000", "gcj02", "bd09"])
def test_points_beside_roads_tell_obfuscated_degrees(truth, reference):
    xy = in_system(beside_streets(60), truth)
    found = judge(xy, declared="cgcs2000", references=reference)
    assert found.kind == ("clean" if truth == "cgcs2000" else truth)
    assert found.confidence == "certain"


def test_a_shift_without_a_name_objects_with_its_metres(reference):
    xy = in_system(beside_streets(400), "epsg:4548") - (-80.0, 120.0)
    found = judge(xy, declared="epsg:4548", references=reference)
    assert found.kind == "unexplained_shift"
    assert found.verdict is None
    assert "144 m" in str(found.objection)


@pytest.mark.parametrize(
    ("truth", "declared", "kind"),
    [
        ("epsg:4548", "epsg:4527", "missing_zone_prefix"),
        ("epsg:4527", "epsg:4548", "unexpected_zone_prefix"),
        ("epsg:4547", "epsg:4548", "wrong_central_meridian"),
        ("epsg:4526", "epsg:4527", "wrong_central_meridian"),
        ("epsg:4498", "epsg:4527", "wrong_zone_width"),
        ("epsg:4527", "epsg:4498", "wrong_zone_width"),
        ("epsg:4509", "epsg:4548", "clean"),
        ("epsg:4548", "epsg:4509", "clean"),
    ],
)
def test_zones_show_in_the_numbers_alone(truth, declared, kind):
    found = judge(in_system(beside_streets(30), truth), declared=declared)
    assert found.kind == ("undetermined" if kind == "clean" else kind)
    assert found.agreement == ("cannot tell" if kind == "clean" else "objects")


def test_metres_of_the_declared_grid_say_nothing_of_their_datum_by_themselves(reference):
    """Xian 1980 called CGCS2000 lies 117 m beside it, in the same grid and the same city."""
    xy = in_system(beside_streets(300), "epsg:4548")
    alone = judge(xy, declared="epsg:4548")
    assert alone.agreement == "cannot tell"
    assert alone.objection is None
    assert alone.verdict is None
    assert "cannot be told apart" in alone.summary
    assert alone.what_would_decide is not None
    assert judge(xy, declared="epsg:4548", references=reference).agreement == "confirms"


def test_zone_39_and_zone_20_are_the_same_metres():
    lonlat = beside_streets(10)
    for code in ("epsg:4527", "epsg:4498"):
        found = judge(in_system(lonlat, code))
        assert found.verdict is not None
        assert found.verdict.coordsys == code
    assert np.abs(in_system(lonlat, "epsg:4527") - in_system(lonlat, "epsg:4498")
                  - (19e6, 0)).max() < 1e-6  # fmt: skip


def test_packed_degrees_show_by_digits_or_by_the_reference(reference):
    lonlat = beside_streets(300)
    xy = np.column_stack([packed(lonlat[:, 0]), packed(lonlat[:, 1])])
    found = judge(xy, declared="cgcs2000")
    assert (found.kind, found.agreement) == ("packed_dms", "objects")
    near = judge(xy[:8], declared="cgcs2000", references=reference)
    assert near.kind == "packed_dms"
    few = judge(xy[:3], declared="cgcs2000")
    assert few.kind == "undetermined"
    assert "3 个点" in str(few.what_would_decide)


def test_packed_one_point_is_13_km_off_and_inside_the_city():
    found = judge([[116.0703360, 24.1718960]], declared="cgcs2000")
    assert found.kind == "undetermined"
    assert {h.notation for h in found.hypotheses} == {"decimal", "packed_dms"}


def test_dms_text_is_read():
    texts = (["116°07′03.36″E", "116-07-03.36", "116度07分03.36秒", "116:07:03.36"],
             ["24°17′18.96″N", "24-17-18.96", "24度17分18.96秒", "24:17:18.96"])  # fmt: skip
    numbers = read_numbers(texts)
    assert np.abs(numbers.x - 116.1176).max() < 1e-9
    assert np.abs(numbers.y - 24.2886).max() < 1e-9
    found = judge(texts, declared="cgcs2000")
    assert (found.kind, found.notation) == ("dms_text", "dms_text")
    assert np.isnan(read_numbers((["116°77′03″"], ["24°17′18″"])).x[0])


def test_removed_large_numbers_are_named_and_placed_by_the_reference(reference):
    xy = in_system(beside_streets(60), "epsg:4548") - (400_000, 2_600_000)
    alone = judge(xy, declared="epsg:4548")
    assert alone.kind == "large_numbers_removed"
    assert "请说明所减的大数" in str(alone.objection)
    placed = judge(xy, declared="epsg:4548", references=reference)
    assert placed.verdict is not None
    assert placed.verdict.added == (400_000.0, 2_600_000.0)


def test_feet_are_named():
    found = judge(in_system(beside_streets(20), "epsg:4548") / 0.3048, declared="epsg:4548")
    assert found.kind == "wrong_unit"


def test_several_zones_are_split_by_rows():
    lonlat = beside_streets(40)
    xy = np.vstack([in_system(lonlat[:25], "epsg:4527"), in_system(lonlat[25:], "epsg:4526")])
    found = judge(xy, declared="epsg:4527")
    assert found.kind == "several_zones"
    assert [g.ranges for g in found.groups] == [((0, 24),), ((25, 39),)]


def test_rows_that_change_datum_are_split_where_they_change(reference):
    lonlat = beside_streets(900)
    xy = np.vstack([lonlat[:300], in_system(lonlat[300:], "gcj02")])
    found = judge(xy, declared="cgcs2000", references=reference)
    assert found.kind == "mixed_datums"
    one, two = found.groups
    assert one.verdict is not None
    assert two.verdict is not None
    assert (one.verdict.coordsys, two.verdict.coordsys) == ("gcj02", "cgcs2000")
    assert abs(one.rows[0] - 300) <= 3


def test_a_whole_degree_typo_is_one_row_not_the_file(reference):
    lonlat = beside_streets(200)
    lonlat[7, 0] += 1
    lonlat[90, 1] -= 1
    lonlat[120, 1] += 0.5
    found = judge(lonlat, declared="cgcs2000", references=reference)
    assert found.kind == "outliers"
    assert found.agreement == "confirms"
    assert [o.row for o in found.outliers] == [7, 90, 120]
    assert "经度" in found.outliers[0].slip


def test_survey_order_is_custom_and_a_title_that_lies_is_not():
    xy = in_system(beside_streets(30), "epsg:4548")[:, ::-1]
    assert judge(xy, field_names=("X", "Y")).objection is None
    assert judge(xy, field_names=("X", "Y"), declared="epsg:4548").agreement == "cannot tell"
    lying = judge(xy, field_names=("东坐标", "北坐标"), declared="epsg:4548")
    assert (lying.kind, lying.agreement) == ("swapped_columns", "objects")
    stated = judge(xy, field_names=("X", "Y"), declared="epsg:4548", axes_stated=True)
    assert stated.agreement == "objects"


@pytest.mark.parametrize("seed", range(24))
def test_clean_files_raise_no_alarm_beside_a_regular_street_net(seed):
    """Blocks of 117 m repeat Xian 80's shift; what is near itself again is no evidence."""
    rng = np.random.default_rng(seed)
    step, k = int(rng.choice([60, 100, 117, 150, 250])), 20
    ends = np.array([0, k * step])
    net = []
    for i in range(k):
        across = np.column_stack([ends, [i * step] * 2])
        net += [shapely.LineString(xy / PER + (116.05, 24.25)) for xy in (across, across[:, ::-1])]
    n = int(rng.choice([5, 30, 200, 3000]))
    lonlat = rng.random((n, 2)) * k * step / PER + (116.05, 24.25)
    if seed % 2:
        lines = rng.integers(0, len(net), n)
        at = [net[i].interpolate(rng.random(), normalized=True) for i in lines]
        lonlat = shapely.get_coordinates(at) + rng.normal(0, 6, (n, 2)) / PER
    name = ("cgcs2000", "epsg:4548", "gcj02", "epsg:4527")[seed % 4]
    for trusted in (References.from_geometries(net), None):
        found = judge(in_system(lonlat, name), declared=name, references=trusted)
        assert found.objection is None
        assert found.kind in ("clean", "undetermined")


def border(rng: np.random.Generator, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """A winding line (25, 2) between two corners, metres."""
    k = np.linspace(0, 1, 25)[:, None]
    wave = np.cumsum(rng.normal(0, 40, (25, 2)), axis=0)
    wave -= wave[0] + (wave[-1] - wave[0]) * k
    return np.asarray(first * (1 - k) + last * k + wave)


@pytest.mark.parametrize("seed", range(24))
def test_a_short_row_beside_a_village_border_is_not_called_obfuscated(seed):
    """A dozen points all 300 to 500 m from a border: moved by an offset they would lie on it."""
    rng = np.random.default_rng(seed)
    corner = {
        (i, j): np.array([i, j]) * 3000 + rng.normal(0, 400, 2) for i in range(6) for j in range(6)
    }
    lines = [border(rng, corner[i, j], corner[i + 1, j]) for i in range(5) for j in range(6)]
    lines += [border(rng, corner[i, j], corner[i, j + 1]) for i in range(6) for j in range(5)]
    along = shapely.LineString(lines[int(rng.integers(len(lines)))])
    row = shapely.offset_curve(along, rng.uniform(300, 500) * rng.choice([-1, 1]))
    at = rng.uniform(0, 0.6) * row.length + np.linspace(0, rng.uniform(100, 600), 6 + seed % 18)
    points = shapely.get_coordinates(shapely.line_interpolate_point(row, at))
    points += rng.normal(0, rng.choice([1, 5, 20]), points.shape)
    borders = [shapely.LineString(line / PER + (116.0, 24.2)) for line in lines]
    trusted = References.from_geometries(borders, "villages")
    for name in ("cgcs2000", "epsg:4548"):
        xy = in_system(points / PER + (116.0, 24.2), name)
        assert not datum_contradicted(judge(xy, declared=name, references=trusted))


@pytest.mark.parametrize(
    ("code", "kind", "moved"),
    [
        ("epsg:4610", "xian80", (-130.0, -65.3, 3.3)),
        ("epsg:4214", "beijing54", (15.8, -154.4, -82.3)),
    ],
)
def test_classical_degrees_with_registered_parameters_are_a_reading(code, kind, moved, reference):
    """Declared they are clean, called CGCS2000 they are named with the code they should have."""
    x, y, z = moved
    registry = DatumRegistry.from_mapping(
        {
            "links": [
                {
                    "kind": "helmert", "name": "test", "source": code, "target": "epsg:4490",
                    "accuracy_m": 0.1, "authority": "invented (synthetic)",
                    "parameters": {"x": x, "y": y, "z": z, "rx": 0, "ry": 0, "rz": 0, "s": 0,
                                   "convention": "coordinate_frame"},
                }
            ]
        }
    )  # fmt: skip
    xy = np.column_stack(registry.chain("cgcs2000", code).apply(*beside_streets(60).T)[:2])
    stated = judge(xy, declared=code, references=reference, registry=registry)
    assert (stated.kind, stated.objection) == ("clean", None)
    wrong = judge(xy, declared="cgcs2000", references=reference, registry=registry)
    assert wrong.verdict is not None
    assert (wrong.kind, wrong.verdict.coordsys) == (kind, code)


def test_fifty_thousand_points_take_two_seconds(reference):
    xy = in_system(beside_streets(50_000), "epsg:4548") - (117.3, 0.2)
    judge(xy[:100], references=reference)  # indexes of the reference are built once
    start = time.process_time()
    found = judge(xy, declared="epsg:4548", references=reference)
    assert time.process_time() - start < 2.0
    again = judge(xy, declared="epsg:4548", references=reference)
    assert found.to_json() == again.to_json()


def test_boreholes_are_beijing_1954_zone_19_with_exchanged_columns(shared_data):
    """Their degree columns fit the plane ones to 4 cm on Krassovsky's ellipsoid only."""
    layer = inspect_file(shared_data / "boreholes" / "nlogs+.csv", MEIZHOU).layers[0]
    plane = next(f.detection for f in layer.findings if f.columns == ("easting", "northing"))
    assert plane.verdict is not None
    assert (plane.verdict.coordsys, plane.verdict.datum) == ("epsg:21419", "beijing54")
    assert plane.verdict.swapped
    assert plane.verdict.zone == 19
    assert plane.verdict.evidence_m is not None
    assert plane.verdict.evidence_m < 0.1
