"""The detector as this test asks it, and its answer in this test's words."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import shapely

from etl.datum import DatumRegistry
from etl.detect import Detection, Reference, detect
from etl.inspect import declared_name
from etl.readers import ReadError, ReadOptions, open_source
from etl.readers.columns import numbers
from geoserver_py.sample_city.plane import Geometries
from layers.city import CityProfile, Extent, load_city
from tests.detection import material
from tests.detection.scoring import OTHER, Answer, signature
from tests.detection.shifts import GRIDS
from tests.detection.truth import CANNOT_TELL, Case


@lru_cache(maxsize=8)
def reference(names: tuple[str, ...]) -> Reference | None:
    """Trusted layers of the sample city as the detector takes them."""
    return trusted_layer(np.concatenate([material.trusted(name) for name in names]))


def trusted_layer(shapes: Geometries) -> Reference | None:
    """Shapes in CGCS2000 degrees as the detector takes them."""
    return Reference.from_geometries(shapes.tolist())


@lru_cache(maxsize=4)
def profile(name: str) -> CityProfile:
    """The city of a case; `guangzhou` is Meizhou's profile with another extent."""
    if name != "guangzhou":
        return load_city(name)
    extent = Extent(112.95, 22.5, 114.1, 23.95)
    return replace(load_city("meizhou"), name=name, extent=extent, center=(113.26, 23.13))


def ask(case: Case, trusted: Reference | None = None) -> Answer:
    """Give the detector what the case says is known, and time it."""
    began = time.perf_counter()
    if trusted is None and case.references:
        trusted = reference(case.references)
        began = time.perf_counter()  # trusted layers are loaded once for all files
    try:
        answer = _ask(case, trusted)
    except ReadError as error:
        answer = Answer(OTHER, text=str(error))
    return replace(answer, seconds=time.perf_counter() - began)


def _ask(case: Case, trusted: Reference | None) -> Answer:
    registry = DatumRegistry()
    titles = case.titles
    options = ReadOptions() if titles is None else ReadOptions(x=titles[0], y=titles[1])
    source = open_source(case.path, options)
    xs, ys = [np.empty(0)], [np.empty(0)]
    for batch in source.batches():
        if titles is None:
            xy = shapely.get_coordinates(batch.geometry[batch.geometry != None])  # noqa: E711
            xs.append(xy[:, 0])
            ys.append(xy[:, 1])
            continue
        for title, kept in zip(titles, (xs, ys), strict=True):
            column = batch.attributes.column(title)
            kept.append(numbers(pa.chunked_array(column), batch.rows, title)[0])
    declared = case.declared
    if case.embedded:
        declared = declared_name(source.layer.declared_crs, registry)
    found = detect(
        np.concatenate(xs), np.concatenate(ys), profile(case.city), registry=registry,
        reference=trusted, declared=declared, titles=titles,
    )  # fmt: skip
    return _answer(found, declared)


def _answer(found: Detection, declared: str | None) -> Answer:
    """What the verdict amounts to: the relation between the claim and the system named."""
    text = found.objection or found.summary
    if found.agreement != "objects" and declared is not None:
        return Answer("clean" if found.agreement == "confirms" else CANNOT_TELL, text=text)
    verdict = found.decided
    if verdict is None and found.verdicts and all(v.swapped for v in found.verdicts):
        # Exchanged columns are sure even where several systems stay possible.
        verdict = next((v for v in found.verdicts if v.coordsys == declared), found.verdicts[0])
    if verdict is None and len({(v.coordsys, v.swapped) for v in found.verdicts}) == 1:
        verdict = found.verdicts[0]
    if verdict is None:
        return Answer(CANNOT_TELL if found.agreement != "objects" else OTHER, text=text)
    return Answer(
        "swapped" if verdict.swapped else relation(declared, verdict.coordsys),
        verdict.coordsys,
        text=text,
    )


def relation(declared: str | None, named: str) -> str:
    """Kind of error that lies between what was declared and what was found."""
    one, two = signature(declared), signature(named)
    if two is None:
        return OTHER
    if one is None:
        return two[0] if two[0] != "cgcs2000" else "clean"
    if one == two:
        return "clean"
    if one[0] != two[0]:
        return two[0] if two[0] != "cgcs2000" else "not_obfuscated"
    if one[1] is None or two[1] is None:
        return OTHER
    widths = {GRIDS[name].width for name in (str(declared), named) if name in GRIDS}
    if one[1] != two[1]:
        return "zone_width" if len(widths) > 1 else "wrong_meridian"
    short = 5e5
    if short not in (one[2], two[2]):
        return "zone_width"
    return "prefix_missing" if two[2] == short else "prefix_unexpected"
