"""Rasters in CGCS2000: every pixel where PROJ says, nodata kept, COG valid, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyproj
import pytest
import rasterio
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.enums import ColorInterp
from rasterio.warp import Resampling, reproject
from rio_cogeo.cogeo import cog_validate

from etl.datum import DatumError, DatumRegistry
from etl.delivery import DeliveryError
from etl.raster import RasterFailed, RasterReport, load_raster_delivery, run_rasters
from etl.raster.grid import Grid, positions, target_grid
from etl.raster.resample import resample
from tests.etl.raster.support import publish, somewhere, write

WEST, NORTH = 116.10, 24.30
DEGREES = Affine(1e-4, 0, WEST, 0, -1e-4, NORTH)
PLANE = Affine(10, 0, 409_000, 0, -10, 2_690_000)
METRES = pyproj.Transformer.from_crs(4490, 4548, always_xy=True)


def plain(x, y):
    """A plane in degrees, which bilinear and cubic keep exactly: the value tells the place."""
    return (x - WEST) * 1000 + (y - NORTH) * 100_000


def opened(folder: Path, report: RasterReport) -> Any:
    return rasterio.open(folder / "published" / report.raster.file)


def centres(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    columns, rows = np.meshgrid(np.arange(dataset.width) + 0.5, np.arange(dataset.height) + 0.5)
    return dataset.transform @ (columns, rows)


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
def test_every_pixel_of_a_plane_grid_is_where_proj_says(database, tmp_path, method):
    """EPSG:4548 to EPSG:4490: a ramp of the eastings gives the easting of each new pixel."""
    write(tmp_path / "in.tif", PLANE, (300, 200), lambda x, _y: x - 409_000, "EPSG:4548")
    report = publish(tmp_path, database, kind="elevation", heights="EGM96", resampling=method)
    with opened(tmp_path, report) as out:
        assert out.crs.to_epsg() == 4490
        lon, lat = centres(out)
        inner = out.dataset_mask() > 0
        east, north = METRES.transform(lon, lat)
        # away from the border, where a neighbour is missing
        inner &= (east > 409_020) & (east < 411_980) & (north < 2_689_980) & (north > 2_688_020)
        errors = np.abs(out.read(1)[inner] - (east[inner] - 409_000))
    assert inner.sum() > 50_000
    assert errors.max() < 0.01 * 10, "a hundredth of a pixel"
    assert report.raster.document["position_error_pixels"] <= 0.01


def test_gcj02_imagery_comes_back_from_its_offset(database, tmp_path):
    """The chain's inverse is the truth: the value says which GCJ-02 place a pixel came from."""
    write(tmp_path / "in.tif", DEGREES, (400, 300), plain, None, "float64")
    report = publish(tmp_path, database, kind="image", coordsys="gcj02")
    chain = DatumRegistry().chain("cgcs2000", "gcj02")
    with opened(tmp_path, report) as out:
        lon, lat = centres(out)
        there = chain.apply(lon.ravel(), lat.ravel())
        expected = plain(there[0], there[1]).reshape(lon.shape)
        inner = np.asarray(out.dataset_mask() > 0)
        inner[:3] = inner[-3:] = inner[:, :3] = inner[:, -3:] = False
        errors = np.abs(out.read(1) - expected)[inner]
        # 1e-4 degrees a pixel: 0.1 of a value across, 10 down
        assert errors.max() < 0.01 * 10 + 0.01 * 0.1
        shift = out.bounds.left - WEST
    assert -0.006 < shift < -0.004, "some 480 m west of where GCJ-02 has it"
    assert [s["name"] for s in report.raster.document["steps"]]
    assert report.raster.document["datum_accuracy_m"] >= 1


def test_a_null_step_changes_no_value_and_no_pixel(database, tmp_path):
    values = write(
        tmp_path / "in.tif", DEGREES, (130, 70), lambda x, _y: np.sin(x * 9e3) * 900, "EPSG:4326",
        "int16", nodata=-32768,
    )  # fmt: skip
    report = publish(tmp_path, database, kind="elevation", heights="EGM96")
    with opened(tmp_path, report) as out:
        assert out.transform == DEGREES
        assert np.array_equal(out.read(1), values)
        assert (out.nodata, out.dtypes[0]) == (-32768, "int16")
    (step,) = report.raster.document["steps"]
    assert step["accuracy_m"] == 1, "WGS 84 to CGCS2000 is a step that is named, not silent"


@pytest.mark.parametrize("nodata", [-9999.0, float("nan")])
def test_nodata_keeps_its_border_and_is_never_mixed_in(database, tmp_path, nodata):
    def holed(x, y):
        return np.where(np.hypot(x - 410_500, y - 2_687_000) < 400, nodata, 55.0)

    write(tmp_path / "in.tif", PLANE, (300, 600), holed, "EPSG:4548", nodata=nodata)
    report = publish(tmp_path, database, kind="elevation", heights="EGM96")
    with opened(tmp_path, report) as out:
        assert str(out.nodata) == str(nodata)
        values = out.read(1)
        lon, lat = centres(out)
        valid = out.dataset_mask() > 0
        assert np.allclose(values[valid], 55, atol=1e-4)
        east, north = METRES.transform(lon, lat)
        away = np.hypot(east - 410_500, north - 2_687_000)
        assert not valid[away < 400 - 8].any(), "the hole stays, to within a pixel's half diagonal"
        inside = (abs(east - 410_500) < 1490) & (abs(north - 2_687_000) < 2990)
        assert valid[(away > 400 + 8) & inside].all()
        assert report.raster.document["mask"] == "nodata"
        level = out.overviews(1)
    with rasterio.open(tmp_path / "published" / report.raster.file, overview_level=0) as small:
        seen = small.read(1)[small.dataset_mask() > 0]
        assert level
        assert np.allclose(seen, 55, atol=1e-4), "overviews mix nothing with nodata either"


def test_pixel_is_point_means_the_same_place(database, tmp_path):
    for name, tags in (("area", {}), ("point", {"AREA_OR_POINT": "Point"})):
        folder = tmp_path / name
        folder.mkdir()
        write(folder / "in.tif", DEGREES, (40, 30), plain, "EPSG:4490", "float64", tags=tags)
        report = publish(folder, database, kind="elevation", heights="EGM96", name=name)
        with opened(folder, report) as out:
            assert out.transform == DEGREES
            assert out.tags()["AREA_OR_POINT"] == "Area"
            assert np.allclose(out.read(1), plain(*centres(out)))
        assert any("pixel-is-point" in n for n in report.raster.document["notes"]) is bool(tags)


def test_classes_are_never_mixed(database, tmp_path):
    codes = np.array([1, 7, 200])
    values = write(
        tmp_path / "in.tif", PLANE, (200, 200),
        lambda x, y: codes[((x + y) // 40 % 3).astype(int)], "EPSG:4548", "uint8",
    )  # fmt: skip
    assert set(np.unique(values)) == {1, 7, 200}
    report = publish(tmp_path, database, kind="classes")
    with opened(tmp_path, report) as out:
        found = out.read(1)[out.dataset_mask() > 0]
        assert set(np.unique(found)) == {1, 7, 200}
        small = out.read(1, out_shape=(50, 50), masked=True).compressed()
        assert set(np.unique(small)) <= {1, 7, 200}
    with pytest.raises(DeliveryError, match="classes are never mixed"):
        publish(tmp_path, database, kind="classes", resampling="bilinear")


def test_imagery_with_alpha_and_without(database, tmp_path):
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 256, (4, 150, 200), dtype=np.uint8)
    pixels[3] = 255
    pixels[3, :20] = 0
    for count, name in ((4, "alpha"), (3, "opaque")):
        folder = tmp_path / name
        folder.mkdir()
        kinds = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha][:count]
        with rasterio.open(
            folder / "in.tif", "w", driver="GTiff", width=200, height=150, count=count,
            dtype="uint8", crs="EPSG:4548", transform=PLANE,
        ) as out:  # fmt: skip
            out.write(pixels[:count])
            out.colorinterp = kinds
        report = publish(folder, database, kind="image", name=name)
        with opened(folder, report) as out:
            assert list(out.colorinterp) == kinds
            mask = out.dataset_mask() > 0
            assert 0.5 < mask.mean() < 1, "the corners that a turned picture leaves are empty"
            assert not mask[0, 0] or not mask[0, -1]
            assert report.raster.document["mask"] == ("alpha" if count == 4 else "mask")


def test_gdal_agrees_where_the_datum_is_the_same(database, tmp_path):
    """GDAL's warper as outside oracle, on one datum, where it has an exact operation."""
    write(
        tmp_path / "in.tif", PLANE, (300, 200),
        lambda x, y: np.sin(x / 300) * 50 + np.cos(y / 200) * 30, "EPSG:4548", nodata=-9999,
    )  # fmt: skip
    for kind, method in (("elevation", Resampling.bilinear), ("image", Resampling.cubic)):
        report = publish(tmp_path, database, kind=kind, heights="EGM96")
        with opened(tmp_path, report) as out, rasterio.open(tmp_path / "in.tif") as source:
            theirs = np.full(out.shape, -9999, dtype="float32")
            reproject(
                rasterio.band(source, 1), theirs, dst_transform=out.transform, dst_crs=out.crs,
                dst_nodata=-9999, resampling=method, tolerance=0,
            )  # fmt: skip
            ours = out.read(1)
        both = (ours != -9999) & (theirs != -9999)
        assert both.mean() > 0.9
        assert np.abs(ours - theirs)[both].max() < 0.02


def test_the_file_is_a_cog_with_overviews(database, tmp_path):
    write(tmp_path / "in.tif", DEGREES, (1500, 1200), plain, "EPSG:4490", nodata=-1)
    report = publish(tmp_path, database, kind="elevation", heights="EGM96", target="epsg:4548")
    path = tmp_path / "published" / report.raster.file
    valid, errors, warnings = cog_validate(str(path), strict=True, quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as out:
        assert out.crs.to_epsg() == 4548
        assert out.overviews(1) == report.raster.document["overviews"] != []
        assert out.block_shapes[0] == (512, 512)


def test_heights_are_stated_and_moved_only_by_a_registered_offset(database, tmp_path):
    write(tmp_path / "in.tif", DEGREES, (30, 20), lambda x, _y: x * 0 + 80, "EPSG:4490", "int16")
    with pytest.raises(DeliveryError, match="height system"):
        publish(tmp_path, database, kind="elevation")
    wanted = {"heights": "1956黄海高程系", "target_heights": "1985国家高程基准"}
    with pytest.raises(DatumError, match="No offset is registered"):
        publish(tmp_path, database, kind="elevation", **wanted)
    datum = {
        "links": [
            {
                "kind": "height_offset", "source": wanted["heights"],
                "target": wanted["target_heights"], "parameters": {"offset_m": -0.029},
                "accuracy_m": 0.05, "authority": "test",
            }
        ]
    }  # fmt: skip
    (tmp_path / "datum.yaml").write_text(yaml.safe_dump(datum, allow_unicode=True), "utf-8")
    path = tmp_path / "rasters.yaml"
    document = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump({**document, "datum_parameters": "datum.yaml"}), "utf-8")
    (report,) = run_rasters(load_raster_delivery(path), database, tmp_path / "published")
    assert report.raster.document["heights"] == "1985国家高程基准"
    with opened(tmp_path, report) as out:
        assert np.allclose(out.read(1), 79.971)


@pytest.mark.parametrize(
    ("file", "raster", "sentence"),
    [
        ({}, {}, "states a coordsys"),
        ({}, {"coordsys": "epsg:4214"}, "没有公开的转换"),
        ({"crs": "EPSG:4490"}, {"target": "epsg:4326"}, "one of its plane grids"),
        ({"crs": "EPSG:4490"}, {"target": "epsg:3857"}, "one of its plane grids"),
        ({"crs": "EPSG:4490"}, {"nodata": 1e9}, "outside the type's range"),
        ({"crs": "EPSG:4490", "at": (10.0, 50.0)}, {}, "not in the city's frame"),
        ({"crs": "EPSG:4490", "at": None}, {}, "no georeferencing"),
        ({"crs": "EPSG:4490"}, {"resolution": 0.1}, "coarser than"),
        ({"crs": "EPSG:4490"}, {"file": "absent.tif"}, "does not exist"),
        ({"crs": "EPSG:4490"}, {"file": "rasters.yaml"}, "cannot be read"),
    ],
)
def test_what_is_refused_says_why(database, tmp_path, file, raster, sentence):
    at = file.get("at", (WEST, NORTH))
    transform = Affine.identity() if at is None else Affine(1e-4, 0, at[0], 0, -1e-4, at[1])
    write(tmp_path / "in.tif", transform, (20, 20), lambda x, _y: x * 0, file.get("crs"), "int16")
    with pytest.raises((RasterFailed, DatumError), match=sentence):
        publish(tmp_path, database, kind="image", **raster)
    assert list((tmp_path / "published").iterdir()) == []
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM catalog.raster").fetchone() == (0,)


def test_a_raster_delivered_again_replaces_its_file(database, tmp_path):
    for value in (1.0, 2.0, 2.0):
        write(tmp_path / "in.tif", DEGREES, (20, 20), lambda x, _y, v=value: x * 0 + v, "EPSG:4490")
        report = publish(tmp_path, database, kind="image")
        (only,) = (tmp_path / "published").iterdir()
        assert only.name == report.raster.file
        with rasterio.open(only) as out:
            assert out.read(1).max() == value


def test_a_real_elevation_tile(database, tmp_path, shared_data):
    """SRTM3 of Monaco: WGS 84 by its format, pixel-is-point, void -32768."""
    tile = shared_data / "dem" / "N43E007.hgt.zip"
    frame = somewhere(7, 43, 8, 44)
    report = publish(
        tmp_path, database, frame, file=str(tile), kind="elevation", heights="EGM96",
        target="cgcs2000",
    )  # fmt: skip
    with opened(tmp_path, report) as out, rasterio.open(f"zip://{tile}!/N43E007.hgt") as source:
        assert (out.width, out.height) == (1201, 1201)
        assert np.array_equal(out.read(1), source.read(1))
        assert out.transform.almost_equals(source.transform)
        # 1201 posts from 43 to 44 degrees north: the first post is a pixel's centre
        assert out.transform @ (0.5, 0.5) == pytest.approx((7.0, 44.0), abs=1e-9)
    assert report.raster.document["heights"] == "EGM96"
    finer = publish(
        tmp_path, database, frame, file=str(tile), kind="elevation", heights="EGM96",
        name="finer", resolution=0.0005,
    )  # fmt: skip
    with opened(tmp_path, finer) as out, rasterio.open(f"zip://{tile}!/N43E007.hgt") as source:
        theirs = np.full(out.shape, -32768, dtype="int16")
        reproject(
            source.read(1), theirs, src_transform=source.transform, src_crs="EPSG:4326",
            dst_transform=out.transform, dst_crs="EPSG:4326", src_nodata=-32768,
            dst_nodata=-32768, resampling=Resampling.bilinear, tolerance=0,
        )  # fmt: skip
        ours = out.read(1)
    both = (ours != -32768) & (theirs != -32768)
    assert both.mean() > 0.99
    # GDAL rounds halves another way
    assert np.abs(ours[both].astype(int) - theirs[both].astype(int)).max() <= 1
    with pytest.raises(RasterFailed, match="outside what wgs84 can hold"):
        publish(tmp_path, database, frame, file=str(tile), kind="elevation", heights="EGM96",
                target="epsg:4548")  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(
    east=st.floats(115.5, 116.8),
    north=st.floats(23.6, 24.8),
    size=st.integers(2, 90),
    pixel=st.floats(0.5, 60),
)
def test_positions_of_the_dense_grid_are_those_of_the_chain(east, north, size, pixel):
    x, y = METRES.transform(east, north)
    source = Grid(Affine(pixel, 0, x, 0, -pixel, y), size, size + 3)
    chain = DatumRegistry().chain("epsg:4548", "gcj02")
    target = target_grid(source, chain)
    assert target is not None
    window = (0, 0, target.width, target.height)
    found = positions(target, source, chain.inverted(), window)
    columns, rows = np.meshgrid(np.arange(target.width) + 0.5, np.arange(target.height) + 0.5)
    exact = chain.inverted().apply(*(a.ravel() for a in target.places(columns, rows)))
    at = source.pixels(exact[0], exact[1])
    assert np.abs(found.columns.ravel() - at[0]).max() < 0.02
    assert np.abs(found.rows.ravel() - at[1]).max() < 0.02


@given(st.lists(st.floats(-5, 25), min_size=1, max_size=8), st.sampled_from(["bilinear", "cubic"]))
def test_a_constant_stays_constant_and_outside_is_nothing(places, method):
    columns = np.array([places])
    values, valid = resample(
        np.full((20, 20), 3.5), np.ones((20, 20), bool), columns, columns, method
    )
    assert np.array_equal(valid, (columns >= 0) & (columns < 20))
    assert np.allclose(values[valid], 3.5)
