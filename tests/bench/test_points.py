"""The ETL's figures at scale: what is loaded, and how its rows are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.csv
import shapely

from geoserver_py.bench.points import X, Y, write_points
from geoserver_py.bench.report import scale_rows
from geoserver_py.bench.scale import Cost, Scaled
from layers.city import load_city


def test_points_in_another_order_are_the_same_points(tmp_path: Path) -> None:
    straight = write_points(tmp_path / "a.csv", 3_000).read_text("utf-8").splitlines()
    mixed = write_points(tmp_path / "b.csv", 3_000, shuffled=True).read_text("utf-8").splitlines()
    assert straight != mixed
    assert sorted(straight) == sorted(mixed)
    assert len({line.split(",")[0] for line in straight}) == 3_001


def test_points_are_in_the_city_and_apart(tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(write_points(tmp_path / "a.csv", 20_000))
    lon, lat = table.column(X).to_numpy(), table.column(Y).to_numpy()
    extent = load_city("meizhou").extent
    assert extent.west < lon.min()
    assert lon.max() < extent.east
    assert extent.south < lat.min()
    assert lat.max() < extent.north
    places = shapely.points(lon * 101_000, lat * 110_700)
    first, second = shapely.STRtree(places).query(places, predicate="dwithin", distance=1)
    assert np.array_equal(first, second), "no two within a metre"


def test_figures_at_scale_are_ratios_of_one_turn() -> None:
    found = [
        Scaled(1_000, Cost(10.0, 9.0), Cost(6.0, 6.3), Cost(7.0, 8.1)),
        Scaled(1_000, Cost(20.0, 9.0), Cost(16.0, 6.3), Cost(14.0, 8.1)),
        Scaled(1_000, Cost(10.0, 9.0), Cost(7.5, 6.3), Cost(6.0, 8.1)),
    ]
    first, again = scale_rows(found)
    assert first[3:] == ("0.70", "0.7", "yes", "0.90")
    assert again[3:] == ("0.75", "< 0.7", "no", "0.70")
    assert scale_rows([]) == []
