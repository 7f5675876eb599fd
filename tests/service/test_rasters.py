"""Rasters in the catalogue: collection, COG by byte ranges, and no trace for who may not read."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest
import rasterio
from rasterio import Affine

from layers.rasters import withdraw_raster
from tests.etl.raster.support import publish, write
from tests.service.conftest import City

WHERE = Affine(1e-4, 0, 116.10, 0, -1e-4, 24.30)


@pytest.fixture(scope="module")
def rasters(city: City, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A public and a restricted raster where the running service looks for them."""
    made: dict[str, Path] = {}
    home = city.folder / "rasters"
    for name, access in (("dem_public", "public"), ("dem_restricted", "restricted")):
        folder = tmp_path_factory.mktemp(name)
        values = write(
            folder / "in.tif", WHERE, (900, 700), lambda x, y: (x - 116) * 1e4 + y, "EPSG:4490",
            nodata=-9999,
        )  # fmt: skip
        assert np.ptp(values) > 0
        report = publish(
            folder, city.dsn, name=name, access=access, kind="elevation",
            heights="1985国家高程基准", title={"zh": "高程", "en": "Heights"},
        )  # fmt: skip
        home.mkdir(parents=True, exist_ok=True)
        made[name] = home / report.raster.file
        (folder / "published" / report.raster.file).rename(made[name])
    yield made
    with psycopg.connect(city.dsn) as connection:
        for name, path in made.items():
            withdraw_raster(connection, name)
            path.unlink()


@pytest.fixture(scope="module")
def seen(rasters: dict[str, Path], client: httpx.Client, city: City) -> dict[str, Path]:
    deadline = time.monotonic() + 20
    # the restricted one was published last
    key = {"X-API-Key": city.restricted_key}
    while client.get("/collections/dem_restricted", headers=key).status_code != 200:
        assert time.monotonic() < deadline, "the service did not notice"
        time.sleep(0.1)
    return rasters


def test_a_raster_stands_among_the_collections(seen: dict[str, Path], client: httpx.Client) -> None:
    listed = {entry["id"]: entry for entry in client.get("/collections").json()["collections"]}
    assert "road" in listed
    entry = listed["dem_public"]
    assert entry == client.get("/collections/dem_public").json()
    assert entry["extent"]["spatial"]["bbox"] == [pytest.approx([116.1, 24.23, 116.19, 24.3])]
    assert entry["resolution"] == pytest.approx([1e-4, 1e-4])
    assert entry["heights"] == "1985国家高程基准"
    assert entry["positionalAccuracy"]["datum_m"] == 0
    assert "synthetic" in entry["title"]
    page = client.get("/collections/dem_public", params={"f": "html"}).text
    assert "1985国家高程基准" in page
    assert "模拟数据" in page
    assert "dem_public" in client.get("/collections", params={"f": "html"}).text
    assert client.get("/collections/dem_public/items").status_code == 404


def test_the_file_by_ranges(seen: dict[str, Path], client: httpx.Client) -> None:
    (cog,) = [
        entry for entry in client.get("/collections/dem_public").json()["links"]
        if entry["rel"] == "enclosure"
    ]  # fmt: skip
    data = seen["dem_public"].read_bytes()
    assert cog["length"] == len(data)
    whole = client.get(cog["href"])
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["accept-ranges"] == "bytes"
    assert "profile=cloud-optimized" in whole.headers["content-type"]
    for text, part in (
        ("bytes=0-99", data[:100]), ("bytes=-50", data[-50:]), ("bytes=1000-", data[1000:]),
        (f"bytes=10-{len(data) + 999}", data[10:]),
    ):  # fmt: skip
        answer = client.get(cog["href"], headers={"Range": text})
        assert (answer.status_code, answer.content) == (206, part), text
        start = data.index(part) if len(part) > 1000 else (0 if text == "bytes=0-99" else -50)
        start %= len(data)
        end = start + len(part) - 1
        assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(data)}"
    head = client.head(cog["href"])
    assert (head.content, int(head.headers["content-length"])) == (b"", len(data))
    tag = whole.headers["etag"]
    assert client.get(cog["href"], headers={"If-None-Match": tag}).status_code == 304
    stale = {"Range": "bytes=0-9", "If-Range": '"other"'}
    assert client.get(cog["href"], headers=stale).status_code == 200
    assert client.get(cog["href"], headers={**stale, "If-Range": tag}).status_code == 206


@pytest.mark.parametrize("text", ["bytes=99999999-", "bytes=5-2", "bytes=-0"])
def test_a_range_outside_the_file(seen: dict[str, Path], client: httpx.Client, text: str) -> None:
    answer = client.get("/rasters/dem_public.tif", headers={"Range": text})
    assert answer.status_code == 416
    assert answer.headers["content-range"].startswith("bytes */")
    assert answer.json()["status"] == 416


@pytest.mark.parametrize(
    "text", ["lines=1-2", "bytes", "bytes=a-b", "bytes=", f"bytes={'9' * 5000}-"]
)
def test_a_range_that_is_none_is_ignored(
    seen: dict[str, Path], client: httpx.Client, text: str
) -> None:
    assert client.get("/rasters/dem_public.tif", headers={"Range": text}).status_code == 200


def test_who_may_not_read_finds_no_trace(
    seen: dict[str, Path], client: httpx.Client, city: City
) -> None:
    absent, hidden = client.get("/collections/nothing"), client.get("/collections/dem_restricted")
    assert (hidden.status_code, hidden.json()) == (404, absent.json())
    gone = client.get("/rasters/nothing.tif")
    closed = client.get("/rasters/dem_restricted.tif")
    assert (closed.status_code, closed.json()) == (404, gone.json())
    for path in ("/collections", "/openapi", "/"):
        assert "dem_restricted" not in client.get(path).text
    key = {"X-API-Key": city.restricted_key}
    assert client.get("/collections/dem_restricted", headers=key).status_code == 200
    file = client.get("/rasters/dem_restricted.tif", headers={**key, "Range": "bytes=0-3"})
    assert file.content in (b"II*\0", b"II+\0")
    assert "private" in file.headers["cache-control"]


def test_gdal_reads_a_window_over_http(seen: dict[str, Path], city: City) -> None:
    """The outside client: it asks for the header and one tile, not for the file."""
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        with rasterio.open(f"/vsicurl/{city.url}/rasters/dem_public.tif") as far:
            assert far.crs.to_epsg() == 4490
            assert far.overviews(1)
            values = far.read(1, window=((600, 610), (800, 810)))
        with rasterio.open(seen["dem_public"]) as near:
            assert np.array_equal(values, near.read(1, window=((600, 610), (800, 810))))


def test_clients_of_features_pass_over_it(seen: dict[str, Path], city: City) -> None:
    listed = subprocess.run(
        ["ogrinfo", "-ro", f"OAPIF:{city.url}"], capture_output=True, text=True, check=True
    ).stdout
    assert "road" in listed
    assert "dem_public" not in listed
