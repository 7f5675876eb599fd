"""Cases from real data sets beside the clone: boundaries in GCJ-02, boreholes in Beijing 1954."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import shapely
from shapely.geometry import shape

from geoserver_py.sample_city.plane import Geometries
from tests.detection import writing
from tests.detection.truth import Case, Truth

DERIVED = "derived_meizhou_counties_wgs84_cgcs2000.geojson"
COUNTIES = "real:counties"
"""Name of the trusted layer that `counties` reads."""


def counties(data: Path) -> Geometries:
    """The eight counties of Meizhou in CGCS2000, x = lon."""
    features = json.loads((data / "meizhou-admin" / DERIVED).read_text("utf-8"))["features"]
    return np.array([shape(feature["geometry"]) for feature in features], dtype=object)


def cases(data: Path, folder: Path) -> Iterator[Case]:
    """Files as they are, and the derived boundaries one county a file; nothing if absent."""
    admin = data / "meizhou-admin"
    if (admin / DERIVED).is_file():
        for number, code in enumerate(("441400", "441402", "441403", "441422")):
            path = admin / f"{code}.geojson"
            document = json.loads(path.read_text("utf-8"))  # a bare geometry
            shapes = np.array([shape(document)], dtype=object)
            for declared in (None, "wgs84"):
                yield _case(2 * number + (declared is not None), "gcj02", path, shapes, declared)
        for number, county in enumerate(counties(data)):
            path = folder / f"real-county-{number}.geojson"
            writing.write_shapes(path, np.array([county], dtype=object), None)
            yield _case(number, "clean", path, np.array([county], dtype=object), "cgcs2000")
    boreholes = data / "boreholes" / "nlogs+.csv"
    if boreholes.is_file():
        count = len(boreholes.read_text("utf-8").splitlines()) - 1
        truth = Truth("swapped", "epsg:21419", also=("beijing54",))
        yield Case(
            999, truth, boreholes, None, False, "real-boreholes", "csv", count, count,
            ("easting", "northing"), (), "wrong", first_row=2, city="guangzhou",
        )  # fmt: skip


def _case(
    number: int, kind: Literal["gcj02", "clean"], path: Path, shapes: Geometries,
    declared: str | None,
) -> Case:  # fmt: skip
    truth = Truth(kind, "gcj02" if kind == "gcj02" else "cgcs2000")
    return Case(
        900 + number, truth, path, declared, False, "real-boundary", "geojson",
        int(shapely.get_num_coordinates(shapes).sum()), len(shapes), None, (COUNTIES,), "wrong",
    )  # fmt: skip
