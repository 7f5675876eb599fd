"""The detector as this test asks it, and its answer in this test's words.

It is asked through its one public function, with what the label says is known: what is
declared, the titles of the columns, the trusted layers. A table's columns go in as text.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import shapely

from etl.datum import DatumRegistry
from etl.detection import Detection, Hypothesis, References, detect
from etl.inspect import declared_name, inspect_file
from etl.readers import ReadError, ReadOptions, open_source
from geoserver_py.sample_city.plane import Geometries
from layers.city import CityProfile, Extent, load_city
from tests.detection import material
from tests.detection.cached import Inputs
from tests.detection.scoring import OTHER, Answer
from tests.detection.truth import CANNOT_TELL, Case

KIND_WORDS = {
    "clean": "clean",
    "swapped_columns": "swapped",
    "missing_zone_prefix": "prefix_missing",
    "unexpected_zone_prefix": "prefix_unexpected",
    "wrong_central_meridian": "wrong_meridian",
    "wrong_zone_width": "zone_width",
    "beijing54": "beijing54",
    "xian80": "xian80",
    "gcj02": "gcj02",
    "bd09": "bd09",
    "dms_text": "dms_text",
    "packed_dms": "dms_packed",
    "large_numbers_removed": "large_numbers_removed",
    "several_zones": "several_zones",
    "mixed_datums": "mixed_datums",
    "outliers": "outliers",
}


@lru_cache(maxsize=8)
def reference(names: tuple[str, ...]) -> References | None:
    """Trusted layers of the sample city as the detector takes them."""
    made: References | None = None
    for name in names:
        made = References.from_geometries(material.trusted(name).tolist(), name, beside=made)
    if made is not None:
        for channel in made.channels:
            _ = channel.tree  # indexed once for all files, like loading
    return made


def trusted_layer(shapes: Geometries) -> References | None:
    """Shapes in CGCS2000 degrees as the detector takes them."""
    return References.from_geometries(shapes.tolist(), "trusted")


@lru_cache(maxsize=4)
def profile(name: str) -> CityProfile:
    """The city of a case; `guangzhou` is Meizhou's profile with another extent."""
    if name != "guangzhou":
        return load_city(name)
    extent = Extent(112.95, 22.5, 114.1, 23.95)
    return replace(load_city("meizhou"), name=name, extent=extent, center=(113.26, 23.13))


def ask(case: Case, trusted: References | None = None) -> Answer:
    """Give the detector what the case says is known; a file that cannot be read is an answer."""
    try:
        inputs = read(case)
    except ReadError as error:
        return Answer(OTHER, text=f"unreadable: {error}")
    return judge(inputs, trusted)


def inspected(case: Case) -> Answer:
    """What `etl inspect` says of a table's columns: it sees all columns of the file."""
    began = time.process_time()
    (layer,) = inspect_file(case.path, profile(case.city)).layers
    (found,) = [f.detection for f in layer.findings if f.columns == case.titles]
    seconds = time.process_time() - began
    record = np.arange(case.records + case.first_row - 1) - (case.first_row - 1)  # by line
    return replace(_answer(found, record, case.records), seconds=seconds)


def read(case: Case) -> Inputs:
    """The file through the project's own readers; a table's columns stay text."""
    titles = case.titles
    options = ReadOptions() if titles is None else ReadOptions(x=titles[0], y=titles[1])
    source = open_source(case.path, options)
    columns: tuple[list[Any], list[Any]] = ([], [])
    parts: list[Geometries] = []
    for batch in source.batches():
        parts.append(batch.geometry)
        if titles is not None:
            for title, kept in zip(titles, columns, strict=True):
                kept += batch.attributes.column(title).to_pylist()
    shapes = np.concatenate(parts)
    given: Any = columns
    record = np.arange(len(columns[0]))
    if titles is None:
        given = shapely.get_coordinates(shapes)
        record = np.repeat(np.arange(len(shapes)), shapely.get_num_coordinates(shapes))
    declared = case.declared
    if case.embedded:
        declared = declared_name(source.layer.declared_crs, DatumRegistry())
    return Inputs(case, given, record, declared)


def judge(inputs: Inputs, trusted: References | None = None) -> Answer:
    """The detector's verdict on what was read, and the CPU seconds that it took."""
    case = inputs.case
    if trusted is None and case.references:
        trusted = reference(case.references)  # loaded once for all files: not in the time
    began = time.process_time()
    found = detect(
        inputs.given, profile=profile(case.city), registry=DatumRegistry(),
        declared=inputs.declared, field_names=case.titles, references=trusted,
    )  # fmt: skip
    seconds = time.process_time() - began
    return replace(_answer(found, inputs.record, case.records), seconds=seconds)


def _answer(found: Detection, record: np.ndarray, records: int) -> Answer:
    """Kinds by name; a wrong datum is named by the datum; rows become ordinals of records."""
    verdict = found.verdict
    kind = KIND_WORDS.get(found.kind, OTHER)
    if found.kind == "wrong_datum" and verdict is not None:
        kind = {"cgcs2000": "not_obfuscated"}.get(verdict.datum, verdict.datum)
    elif found.kind == "wrong_unit" and any("foot" in one.unit for one in found.hypotheses):
        kind = "feet"
    elif found.kind == "undetermined":
        kind = OTHER if found.agreement == "objects" else CANNOT_TELL
    elif found.kind == "clean" and found.declared is None and verdict is not None:
        # Nothing was claimed: what was named is the answer.
        kind = "clean" if verdict.datum == "cgcs2000" else verdict.datum
    if kind == "clean" and found.agreement == "objects":
        kind = OTHER
    outliers = record[[one.row for one in found.outliers]] if found.outliers else np.array([], int)
    return Answer(
        kind,
        None if verdict is None else verdict.coordsys,
        rows=tuple(int(row) for row in np.unique(outliers)),
        systems=_systems(found, record, records),
        offsets=None if verdict is None else verdict.added,
        text=f"{found.kind}: {found.objection or found.summary}",
    )


def _systems(found: Detection, record: np.ndarray, records: int) -> tuple[str, ...]:
    """System by record; "" where the detector left it open or split a record."""
    named = np.full(records, "", dtype=object)
    for group in found.groups:
        name = _name(group.verdict)
        for one in np.unique(record[group.rows]):
            named[one] = name if named[one] in ("", name) else "split"
    return tuple(str(name) for name in named)


def _name(verdict: Hypothesis | None) -> str:
    return "" if verdict is None else verdict.coordsys
