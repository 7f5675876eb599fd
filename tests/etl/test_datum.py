"""Datum steps against PROJ, published numbers, and two independent GCJ-02 libraries."""

import json
import math

import numpy as np
import prcoords
import pytest
from coord_convert.transform import Transform
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from etl.datum import (
    DatumError,
    DatumRefused,
    DatumRegistry,
    RegistryError,
    Similarity,
    UnknownCoordsys,
    fit_similarity,
    parse_coordsys,
)
from etl.datum.steps import HelmertStep, ProjectionStep, single_operation

REGISTRY = DatumRegistry()
GEOD = Geod(ellps="GRS80")
CENTRE = (116.1176, 24.2886)


def metres(one: tuple[float, float], two: tuple[float, float]) -> float:
    return float(GEOD.inv(one[0], one[1], two[0], two[1])[2])


@pytest.mark.parametrize(
    ("code", "lon_lat", "east_north"),
    [
        ("epsg:4548", CENTRE, (410413.2396, 2687537.8536)),
        ("epsg:4527", CENTRE, (39410413.2396, 2687537.8536)),
        ("epsg:4498", CENTRE, (20410413.2396, 2687537.8536)),
        ("epsg:4509", CENTRE, (410413.2396, 2687537.8536)),
        ("epsg:4547", CENTRE, (715018.9314, 2688888.9926)),
        ("epsg:4526", CENTRE, (38715018.9314, 2688888.9926)),
        ("epsg:4548", (115.3165, 23.8), (328420.431, 2634154.725)),
        ("epsg:4547", (115.3165, 23.8), (634170.436, 2633759.411)),
    ],
)
def test_plane_grids_hold_a_millimetre_both_ways(code, lon_lat, east_north):
    x, y = REGISTRY.chain("cgcs2000", code).point(*lon_lat)
    assert math.hypot(x - east_north[0], y - east_north[1]) < 0.001
    assert metres(REGISTRY.chain(code).point(*east_north), lon_lat) < 0.001


def test_web_mercator_goes_through_the_stated_null_step():
    chain = REGISTRY.chain("cgcs2000", "epsg:3857")
    x, y = chain.point(*CENTRE)
    assert math.hypot(x - 12926152.104, y - 2788614.917) < 0.001
    assert [step.kind for step in chain.steps] == ["null", "projection"]
    assert chain.accuracy_m == pytest.approx(1.001)


@pytest.mark.parametrize(
    ("wgs", "gcj", "bd"),
    [
        (CENTRE, (116.12243233, 24.285977), (116.12897357, 24.29184529)),
        ((115.73, 24.14), (115.734776, 24.1372445), (115.74136109, 24.14291341)),
        ((116.69, 24.35), (116.69455186, 24.34712535), (116.70110973, 24.35278686)),
    ],
)
def test_obfuscated_fixtures(wgs, gcj, bd):
    # printed to 1e-8 degrees, which is 0.8 mm at most
    assert metres(REGISTRY.chain("wgs84", "gcj02").point(*wgs), gcj) < 0.001
    assert metres(REGISTRY.chain("wgs84", "bd09").point(*wgs), bd) < 0.001
    assert metres(REGISTRY.chain("gcj02").point(*gcj), wgs) < 0.001
    assert metres(REGISTRY.chain("bd09").point(*bd), wgs) < 0.001


CHINA = {"lon": st.floats(73.5, 135.1), "lat": st.floats(3.4, 53.6)}


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(["gcj02", "bd09"]), **CHINA)
def test_inverse_of_the_published_formula_is_exact(name, lon, lat):
    there = REGISTRY.chain("wgs84", name).point(lon, lat)
    assert 10 < metres(there, (lon, lat)) < 3000
    assert metres(REGISTRY.chain(name, "wgs84").point(*there), (lon, lat)) < 1e-6


BOX = {"lon": st.floats(72.02, 137.8), "lat": st.floats(0.85, 55.8)}
"""China's box of the published formula, less its border: a shift of 2 km may lead outside."""


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(["gcj02", "bd09"]), **BOX)
def test_inverse_then_forward_comes_back_within_a_micrometre(name, lon, lat):
    true = REGISTRY.chain(name, "wgs84").point(lon, lat)
    assert metres(REGISTRY.chain("wgs84", name).point(*true), (lon, lat)) < 1e-6


def test_two_independent_libraries_agree():
    rng = np.random.default_rng(4414)
    lon, lat = rng.uniform(115.3, 116.95, 300), rng.uniform(23.37, 24.95, 300)
    x, y, _ = REGISTRY.chain("wgs84", "gcj02").apply(lon, lat)
    back_x, back_y, _ = REGISTRY.chain("gcj02", "wgs84").apply(x, y)
    bd_x, bd_y, _ = REGISTRY.chain("wgs84", "bd09").apply(lon, lat)
    other = Transform()
    for i in range(len(lon)):
        ours, truth = (x[i], y[i]), (lon[i], lat[i])
        assert metres(ours, other.wgs2gcj(lon[i], lat[i])) < 1e-6
        peer = prcoords.wgs_gcj(prcoords.Coords(lat[i], lon[i]), False)
        assert metres(ours, (peer.lon, peer.lat)) < 1e-6
        assert metres((bd_x[i], bd_y[i]), other.wgs2bd(lon[i], lat[i])) < 1e-6
        # their inverses stop early: 0.07 mm and 2.3 mm; ours is the forward formula's own
        assert metres((back_x[i], back_y[i]), truth) < 1e-6
        assert metres(truth, other.gcj2wgs(*ours)) < 2e-4
        bored = prcoords.gcj_wgs_bored(prcoords.Coords(*ours[::-1]), False)
        assert metres(truth, (bored.lon, bored.lat)) < 3e-3


def test_outside_the_box_nothing_moves_and_on_its_edge_nothing_is_guessed():
    assert REGISTRY.chain("gcj02", "wgs84").point(24.94, 60.17) == (24.94, 60.17)
    assert REGISTRY.chain("wgs84", "gcj02").point(24.94, 60.17) == (24.94, 60.17)
    # 137.835 E is outside, but also the image of a point inside: two originals
    forward = REGISTRY.chain("wgs84", "gcj02")
    edge = forward.point(137.8346, 35.0)
    assert edge[0] > 137.8347
    assert all(math.isnan(v) for v in REGISTRY.chain("gcj02", "wgs84").point(*edge))


def test_metre_level_is_all_that_obfuscated_input_claims():
    assert REGISTRY.chain("gcj02").accuracy_m >= 1
    assert REGISTRY.chain("bd09").accuracy_m > REGISTRY.chain("gcj02").accuracy_m
    record = REGISTRY.chain("bd09").to_json()
    assert [step["kind"] for step in record["steps"]] == ["formula", "formula", "null"]
    assert "metre level" in record["steps"][0]["authority"]
    json.dumps(record)


@pytest.mark.parametrize(
    "source", ["epsg:2384", "epsg:2363", "epsg:4610", "xian80", "epsg:2436", "北京54", "epsg:4555"]
)
@pytest.mark.parametrize("target", ["cgcs2000", "epsg:4548", "wgs84", "gcj02"])
def test_classical_datums_are_refused_with_the_missing_parameters(source, target):
    with pytest.raises(DatumRefused, match="dE, dN, A, B") as caught:
        REGISTRY.chain(source, target)
    assert any("helmert" in item and "convention" in item for item in caught.value.missing)
    with pytest.raises(DatumRefused):
        REGISTRY.chain(target, source)


def test_no_ballpark_operation_gets_through():
    """PROJ itself would answer every one of these pairs with the input, unmoved."""
    for source, target in [(4610, 4490), (4214, 4490), (4214, 4610), (4555, 4490), (4490, 4326)]:
        ballpark = Transformer.from_crs(source, target, always_xy=True)
        assert ballpark.transform(*CENTRE) == pytest.approx(CENTRE, abs=1e-9)
        with pytest.raises(DatumRefused):
            ProjectionStep(source, target)
        assert single_operation(source, target) is None
    # the one pair that we do allow is a step that says what it is
    (step,) = REGISTRY.chain("wgs84").steps
    assert (step.kind, step.accuracy_m) == ("null", 1.0)


def test_several_epsg_operations_are_a_choice_for_people():
    assert single_operation(4214, 4326) is None
    pinned = DatumRegistry.from_mapping(
        {
            "links": [
                {
                    "kind": "operation",
                    "source": "epsg:4214",
                    "target": "epsg:4326",
                    "parameters": {"operation": "EPSG:15921"},
                    "accuracy_m": 5,
                    "authority": "EPSG, Tarim: plausibility only",
                }
            ]
        }
    )
    chain = pinned.chain("epsg:4214")
    assert chain.accuracy_m == 6
    oracle = Transformer.from_pipeline("urn:ogc:def:coordinateOperation:EPSG::15921")
    lat, lon = oracle.transform(CENTRE[1], CENTRE[0])
    assert metres(chain.point(*CENTRE), (lon, lat)) < 1e-6
    assert 54 < metres(chain.point(*CENTRE), CENTRE) < 57  # measured 55.4 m at this place
    # PROJ drops the height between the two directions
    assert metres(chain.inverted().point(lon, lat), CENTRE) < 1e-3


def test_foreign_frames_use_the_one_epsg_operation():
    chain = REGISTRY.chain("epsg:10169")
    oracle = Transformer.from_crs(6676, 6668, always_xy=True)
    assert metres(chain.point(22000.0, 158100.0), oracle.transform(22000.0, 158100.0)) < 0.001
    assert [step.kind for step in chain.steps] == ["projection", "operation", "null"]
    assert chain.steps[1].authority == "EPSG:9936"


def test_zone_forms_give_the_same_metres_but_are_never_exchanged():
    points = [
        REGISTRY.chain(code).point(east, 2687537.8536)
        for code, east in [
            ("epsg:4548", 410413.2396),
            ("epsg:4527", 39410413.2396),
            ("epsg:4498", 20410413.2396),
        ]
    ]
    assert max(metres(points[0], p) for p in points) < 1e-6
    assert all(math.isnan(v) for v in REGISTRY.chain("epsg:4548").point(39410413.0, 2687537.0))
    assert all(math.isnan(v) for v in REGISTRY.chain("epsg:4527").point(410413.0, 2687537.0))


LINK = {
    "kind": "similarity",
    "source": "xian80:test",
    "target": "epsg:4548",
    "accuracy_m": 0.05,
    "authority": "synthetic, for this test",
    "parameters": {"dE": 117.3, "dN": -8.25, "k": 1.0000031, "theta": 1.7},
}


def test_four_parameters_agree_with_proj_in_both_its_forms():
    registry = DatumRegistry.from_mapping({"grids": {"xian80:test": "西安80"}, "links": [LINK]})
    rng = np.random.default_rng(1)
    east, north = rng.uniform(3.4e5, 5e5, 50), rng.uniform(2.58e6, 2.76e6, 50)
    x, y, _ = registry.chain("xian80:test", "epsg:4548").apply(east, north)
    p = Similarity.from_parameters(LINK["parameters"])
    affine = Transformer.from_pipeline(
        f"+proj=affine +xoff={p.d_e!r} +yoff={p.d_n!r}"
        f" +s11={p.a!r} +s12={-p.b!r} +s21={p.b!r} +s22={p.a!r}"
    )
    ox, oy = affine.transform(east, north)
    assert np.hypot(x - ox, y - oy).max() < 1e-6
    helmert = Transformer.from_pipeline("+proj=helmert +x=117.3 +y=-8.25 +s=1.0000031 +theta=-1.7")
    hx, hy = helmert.transform(east, north)
    assert np.hypot(x - hx, y - hy).max() < 1e-6
    bx, by, _ = registry.chain("epsg:4548", "xian80:test").apply(x, y)
    assert np.hypot(bx - east, by - north).max() < 1e-6
    assert registry.chain("xian80:test").accuracy_m == pytest.approx(0.051)


def test_fit_recovers_known_parameters_and_reports_the_bad_point():
    truth = Similarity.from_parameters({"dE": 117.3, "dN": -8.25, "k": 1.0000031, "theta": -42.0})
    rng = np.random.default_rng(7)
    src = np.column_stack([rng.uniform(39.36e6, 39.48e6, 8), rng.uniform(2.6e6, 2.75e6, 8)])
    dst = np.column_stack(truth.forward(src[:, 0], src[:, 1]))
    fit = fit_similarity(src, dst)
    assert fit.rms < 1e-6
    assert fit.similarity.theta_arcsec == pytest.approx(-42.0, abs=1e-6)
    dst[3, 0] += 0.5
    bad = fit_similarity(src, dst)
    assert bad.sigma == pytest.approx(math.sqrt((bad.residuals**2).sum() / (2 * 8 - 4)))
    assert bad.left_out is not None
    assert int(np.argmax(bad.left_out)) == 3
    assert bad.left_out[3] == pytest.approx(0.5, abs=1e-5)
    assert fit_similarity(src[:2], dst[:2]).sigma is None
    with pytest.raises(DatumError, match="two point pairs"):
        fit_similarity(src[:1], dst[:1])
    with pytest.raises(DatumError, match="coincide"):
        fit_similarity(src[[0, 0]], dst[[0, 0]])


def test_seven_parameters_need_their_convention_and_invert():
    entry = {
        "kind": "helmert",
        "source": "epsg:4610",
        "target": "epsg:4490",
        "accuracy_m": 0.3,
        "authority": "synthetic, for this test",
        "parameters": dict(
            zip(("x", "y", "z", "rx", "ry", "rz", "s"), (-100, 50, 20, 1, -1.5, 2, 3), strict=True)
        ),
    }
    with pytest.raises(RegistryError, match="coordinate_frame"):
        DatumRegistry.from_mapping({"links": [entry]})
    results = []
    for convention in ("position_vector", "coordinate_frame"):
        stated = {**entry, "parameters": {**entry["parameters"], "convention": convention}}
        registry = DatumRegistry.from_mapping({"links": [stated]})
        chain = registry.chain("epsg:2384")
        there = chain.point(410000.0, 2687000.0)
        back = chain.inverted().point(*there)
        assert math.hypot(back[0] - 410000.0, back[1] - 2687000.0) < 1e-3
        assert isinstance(chain.steps[1], HelmertStep)
        results.append(there)
    assert metres(*results) > 50  # the wrong convention is no small mistake


@pytest.mark.parametrize("missing", ["accuracy_m", "authority", "parameters", "source"])
def test_incomplete_registration_is_refused_by_name(missing):
    entry = {key: value for key, value in LINK.items() if key != missing}
    with pytest.raises(RegistryError, match=missing):
        DatumRegistry.from_mapping({"grids": {"xian80:test": "x"}, "links": [entry]})


def test_unregistered_local_grid_says_what_is_missing():
    with pytest.raises(DatumRefused, match="authority are missing"):
        REGISTRY.chain("local:meizhou")
    half = DatumRegistry.from_mapping({"grids": {"local:meizhou": "梅州独立坐标系"}})
    with pytest.raises(DatumRefused, match="dE"):
        half.chain("local:meizhou")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CGCS2000", "cgcs2000"),
        ("EPSG:4490", "cgcs2000"),
        ("http://www.opengis.net/def/crs/EPSG/0/4490", "cgcs2000"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "wgs84"),
        ("GCJ-02", "gcj02"),
        ("bd_09", "bd09"),
        ("urn:ogc:def:crs:EPSG::4548", "epsg:4548"),
        ("EPSG:4548", "epsg:4548"),
    ],
)
def test_names_of_coordinate_systems(text, name):
    assert parse_coordsys(text).name == name


@pytest.mark.parametrize("text", ["", "utm", "epsg:4978", "epsg:99999", "4548", "x" * 5000])
def test_unknown_names_list_what_is_accepted(text):
    with pytest.raises(UnknownCoordsys) as caught:
        parse_coordsys(text, grids=["local:a"])
    assert {"cgcs2000", "gcj02", "local:a"} <= set(caught.value.accepted)
    assert len(str(caught.value)) < 600


def test_empty_and_broken_rows_stay_in_their_row():
    x, y, z = REGISTRY.chain("gcj02").apply([116.1, np.nan, 116.2], [24.2, 24.2, np.inf], [1, 2, 3])
    assert np.isfinite(x).tolist() == [True, False, False]
    assert np.isnan(y).tolist() == [False, True, True]
    assert z is not None
    assert z.tolist() == [1, 2, 3]
    x, y, _ = REGISTRY.chain("epsg:4548").apply([], [])
    assert x.shape == (0,)


def test_the_same_system_is_an_empty_chain_of_fresh_arrays():
    given_x = np.array([116.1, np.inf])
    x, y, _ = REGISTRY.chain("cgcs2000").apply(given_x, [24.2, 24.3])
    assert np.isnan(x[1])
    assert np.isnan(y[1])
    x[0] = 0.0
    assert given_x[0] == 116.1
    assert REGISTRY.chain("cgcs2000").accuracy_m == 0.0


def test_the_far_side_of_the_earth_is_not_in_a_gauss_krueger_zone():
    assert all(math.isnan(v) for v in REGISTRY.chain("cgcs2000", "epsg:4548").point(-116.0, 24.0))
    assert all(math.isnan(v) for v in REGISTRY.chain("epsg:4548").point(6423936.5, 15951836.3))
