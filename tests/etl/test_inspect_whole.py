"""`etl inspect` sees a whole file: rows far down, single slips, degrees as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etl.datum import DatumRegistry
from etl.detection import References
from etl.inspect import inspect_file
from etl.sampled import Sampled
from layers.city import load_city

MEIZHOU = load_city("meizhou")
REGISTRY = DatumRegistry()
CENTRE = (116.1176, 24.2886)


def points(n: int, seed: int = 1) -> np.ndarray:
    """(n, 2) CGCS2000 degrees within 4 km of the centre of the city; synthetic."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.04, 0.04, (n, 2)) + CENTRE


def table(path: Path, lonlat: np.ndarray, titles: str = "lon,lat") -> Path:
    rows = "\n".join(f"{x:.8f},{y:.8f}" for x, y in lonlat)
    path.write_text(f"{titles}\n{rows}\n", encoding="utf-8")
    return path


def test_one_wrong_degree_is_named_by_its_line(tmp_path: Path) -> None:
    lonlat = points(400)
    lonlat[123, 1] += 1.0
    found = inspect_file(table(tmp_path / "a.csv", lonlat), MEIZHOU).layers[0].findings[0]
    (slip,) = found.detection.outliers
    assert slip.row + 2 == 123 + 3  # line 1 holds the titles; rows of the verdict count from 0
    assert 100_000 < slip.distance_m < 120_000
    assert "row 125" in found.detection.summary


def test_exchanged_digits_are_told_and_a_remote_hamlet_is_not(tmp_path: Path) -> None:
    lonlat = points(400)
    lonlat[7, 1] = 24.82000000 + lonlat[7, 1] % 0.01  # 24.28 written as 24.82
    lonlat[8] = (116.23, 24.40)  # 16 km away, and no slip leads back
    found = inspect_file(table(tmp_path / "a.csv", lonlat), MEIZHOU).layers[0].findings[0]
    (slip,) = found.detection.outliers
    assert slip.row == 8
    assert "82 应为 should be 28" in slip.slip


def test_a_group_of_rows_behind_the_first_hundred_thousand_is_found(tmp_path: Path) -> None:
    """And the one wrong degree in it, although the sample takes one row of two."""
    lonlat = points(150_000)
    part = slice(110_000, 140_000)
    mixed = lonlat.copy()
    mixed[part] = np.column_stack(REGISTRY.chain("cgcs2000", "gcj02").apply(*lonlat[part].T)[:2])
    mixed[120_001, 0] += 2.0
    known = References.from_points(*lonlat[::2].T, "wells")
    layer = inspect_file(table(tmp_path / "a.csv", mixed), MEIZHOU, reference=known).layers[0]
    assert (layer.rows_read, layer.complete) == (150_000, False)
    verdict = layer.findings[0].detection
    assert verdict.kind == "mixed_datums"
    assert verdict.objection is not None
    by_name = {g.verdict.coordsys: g for g in verdict.groups if g.verdict is not None}
    assert set(by_name) == {"cgcs2000", "gcj02"}
    ((first, last),) = by_name["gcj02"].ranges
    assert abs(first - 110_001) < 200
    assert abs(last - 140_000) < 200
    assert [o.row for o in verdict.outliers] == [120_002]


def test_degrees_as_text_are_read_by_inspect(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("经度,纬度\n" + "116°07′03.36″E,24°17′18.96″N\n" * 5, encoding="utf-8")
    detection = inspect_file(path, MEIZHOU).layers[0].findings[0].detection
    assert detection.kind == "dms_text"


def test_boreholes_are_named_in_words(shared_data: Path) -> None:
    layer = inspect_file(shared_data / "boreholes" / "nlogs+.csv", MEIZHOU).layers[0]
    plane = next(f.detection for f in layer.findings if f.columns == ("easting", "northing"))
    assert plane.agreement == "objects"
    assert "Beijing 1954" in plane.summary
    assert "6-degree zone 19" in plane.summary
    assert "columns exchanged" in plane.summary


@pytest.mark.parametrize("rows", [10, 7_000, 60_000, 250_000])
def test_a_spread_sample_is_even_and_keeps_the_extremes(rows: int) -> None:
    spread = Sampled(most=5_000)
    rng = np.random.default_rng(rows)
    xy = rng.normal(size=(rows, 2))
    xy[rows // 2, 0] = 1e6
    for first in range(0, rows, 8_192):
        part = xy[first : first + 8_192]
        number = np.arange(first, first + len(part), dtype=np.int64) + 1
        spread.add(number, np.arange(len(part), dtype=np.int64), part)
    number, x, y = spread.sample()
    assert len(number) == len(x) == len(y)
    assert len(number) <= 10_000 + 8 * (rows // 8_192 + 1)
    assert (np.diff(number) > 0).all()
    assert (xy[number - 1, 0] == x).all()
    assert x.max() == 1e6
    assert np.diff(number).max() <= spread.step
