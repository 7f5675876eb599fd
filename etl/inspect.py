"""`etl inspect`: what a delivered file is, and what its coordinates truly are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyproj
import shapely
from psycopg import sql
from pyproj.exceptions import CRSError

from etl.datum import DatumError, DatumRegistry
from etl.detection import Detection, References, detect, read_numbers
from etl.readers import LayerInfo, ReadOptions, Source, SourceInfo, open_source
from etl.readers.columns import CoordinateColumns, all_columns, numbers
from etl.readers.model import Batch, Bounds, RowProblem
from etl.sampled import Sampled
from layers.city import CityProfile


@dataclass(frozen=True, slots=True)
class CoordinateFinding:
    """Detection for the geometry (`columns` None) or for one pair of table columns (x, y)."""

    columns: tuple[str, str] | None
    detection: Detection


@dataclass(frozen=True, slots=True)
class LayerInspection:
    """One layer: as declared, as counted over all `rows_read` rows, and as detected.

    `complete`: detection saw every row; else a sample spread over all of them.
    """

    layer: LayerInfo
    rows_read: int
    complete: bool
    extent: Bounds | None
    geometry_types: tuple[str, ...]
    findings: tuple[CoordinateFinding, ...]
    problems: tuple[RowProblem, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything `etl inspect` prints."""

    source: SourceInfo
    layers: tuple[LayerInspection, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain record for `--json`."""
        return {
            "file": self.source.path.name,
            "driver": self.source.driver,
            "encoding": {
                "declared": self.source.encoding_declared,
                "detected": self.source.encoding_detected,
            },
            "notes": list(self.source.notes),
            "layers": [_layer_json(layer) for layer in self.layers],
        }


def _layer_json(found: LayerInspection) -> dict[str, Any]:
    layer = found.layer
    return {
        "name": layer.name,
        "geometry_type": layer.geometry_type,
        "geometry_types": list(found.geometry_types),
        "feature_count": layer.feature_count,
        "rows_read": found.rows_read,
        "complete": found.complete,
        "declared_crs": layer.declared_crs,
        "extent": None if found.extent is None else list(found.extent),
        "fields": [{"name": field.name, "type": field.type} for field in layer.fields],
        "problems": [
            {"row": p.row, "column": p.column, "reason": p.reason} for p in found.problems
        ],
        "coordinates": [
            {
                "columns": None if f.columns is None else list(f.columns),
                **f.detection.to_json(),
            }
            for f in found.findings
        ],
    }


def load_reference(
    path: Path, registry: DatumRegistry, coordsys: str = "cgcs2000"
) -> References | None:
    """Trusted linework from a file whose coordsys the caller vouches for."""
    chain = registry.chain(coordsys)
    shapes: list[Any] = []
    for batch in open_source(path).batches():
        shapes += [g for g in batch.geometry if g is not None]

    def turned(xy: Any) -> Any:
        lon, lat, _ = chain.apply(xy[:, 0], xy[:, 1])
        return np.column_stack([lon, lat])

    return References.from_geometries(list(shapely.transform(np.array(shapes, object), turned)))


def reference_layer(connection: psycopg.Connection[Any], name: str) -> References | None:
    """Trusted linework from a loaded layer of the store (EPSG:4490, x = lon, y = lat)."""
    query = sql.SQL("SELECT ST_AsBinary(geom) FROM {} WHERE geom IS NOT NULL")
    rows = connection.execute(query.format(sql.Identifier("layer", name))).fetchall()
    return References.from_geometries(list(shapely.from_wkb([bytes(row[0]) for row in rows])))


def declared_name(crs: str | None, registry: DatumRegistry) -> str | None:
    """A file's declared CRS as a coordsys name; None when it says nothing usable."""
    if crs is None:
        return None
    try:
        return registry.parse(crs).name
    except DatumError:
        pass
    try:
        code = pyproj.CRS.from_user_input(crs).to_epsg(min_confidence=70)
    except CRSError:
        return None
    return None if code is None else registry.parse(f"epsg:{code}").name


def inspect_file(
    path: Path | str,
    profile: CityProfile,
    *,
    registry: DatumRegistry | None = None,
    reference: References | None = None,
    options: ReadOptions | None = None,
) -> Inspection:
    """Inspect all layers (or the one named in `options`) of a file, or of a service by its URL.

    ReadError when it cannot be read.
    """
    steps = registry or DatumRegistry()
    stated = replace(options or ReadOptions(), workbooks={})
    source = open_source(path, stated)
    info = source.info
    names: Sequence[str | None] = [layer.name for layer in info.layers]
    if stated.layer is not None or len(info.layers) == 1:
        names = [stated.layer]
    layers = []
    for name in names:
        chosen = replace(stated, layer=name)
        one = source if name is None else open_source(path, chosen)
        layers.append(_inspect_layer(one, profile, steps, reference))
    return Inspection(info, tuple(layers))


def _inspect_layer(
    source: Source, profile: CityProfile, registry: DatumRegistry, reference: References | None
) -> LayerInspection:
    layer = source.layer
    drawn = Sampled()
    types: dict[str, None] = {}
    problems: list[RowProblem] = []
    bounds: list[Any] = []
    pairs = all_columns([field.name for field in layer.fields]) if layer.extent is None else ()
    tables = {pair: Sampled() for pair in pairs}
    rows = 0
    for batch in source.batches():
        rows += len(batch.rows)
        problems += batch.problems[: max(0, 20 - len(problems))]
        present = batch.geometry[batch.geometry != None]  # noqa: E711
        if len(present):
            types |= dict.fromkeys(str(g.geom_type) for g in present[:: max(1, len(present) // 99)])
            bounds.append(shapely.total_bounds(present))
        if not pairs:
            xy, record = shapely.get_coordinates(batch.geometry, return_index=True)
            drawn.add(batch.rows, np.asarray(record, np.int64), xy)
        for pair, spread in tables.items():
            _add_columns(spread, batch, pair)
    declared = declared_name(layer.declared_crs, registry)
    findings: list[CoordinateFinding] = []

    def judge(
        spread: Sampled, titles: tuple[str, str] | None, trusted: References | None
    ) -> CoordinateFinding:
        row, x, y = spread.sample()
        found = detect(
            (x, y),
            profile=profile,
            registry=registry,
            references=trusted,
            declared=declared,
            field_names=titles,
            rows=row,
        )
        return CoordinateFinding(titles, found if spread.step == 1 else _every_row(found))

    samples = {pair: spread.sample() for pair, spread in tables.items()}
    for pair, spread in tables.items():
        findings.append(judge(spread, (pair.x, pair.y), _beside(pair, samples, reference)))
    if not pairs and drawn.rows and len(drawn.sample()[0]):
        findings.append(judge(drawn, None, reference))
    extent = layer.extent
    if bounds:
        edges = np.array(bounds)
        low, high = np.nanmin(edges[:, :2], axis=0), np.nanmax(edges[:, 2:], axis=0)
        extent = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    complete = all(spread.step == 1 for spread in (drawn, *tables.values()))
    return LayerInspection(
        layer, rows, complete, extent, tuple(types), tuple(findings), tuple(problems)
    )


def _every_row(found: Detection) -> Detection:
    """Groups of a sample as groups of all rows: a row goes with the nearest sampled one."""
    if len(found.groups) < 2:
        return found
    rows = np.concatenate([group.rows for group in found.groups])
    which = np.repeat(np.arange(len(found.groups)), [len(group.rows) for group in found.groups])
    order = np.argsort(rows, kind="stable")
    rows, which = rows[order], which[order]
    every = np.arange(rows[0], rows[-1] + 1, dtype=np.int64)
    nearest = which[np.searchsorted((rows[:-1] + rows[1:]) / 2.0, every)]
    groups = tuple(
        replace(group, rows=every[nearest == at]) for at, group in enumerate(found.groups)
    )
    return replace(found, groups=groups)


def _add_columns(spread: Sampled, batch: Batch, pair: CoordinateColumns) -> None:
    """A pair of columns as numbers, and as written where that is no number (degrees as text)."""
    values, texts = [], []
    for title in (pair.x, pair.y):
        column = batch.attributes.column(title)
        plain, wrong = numbers(column, batch.rows, title)
        written: Any = plain
        if wrong:
            written = np.array(column.to_pylist(), dtype=object)
            fine = np.isfinite(plain)
            written[fine] = plain[fine]
        texts.append(written)
        values.append(numbers(column, batch.rows, title, angles=True)[0] if wrong else plain)
    every = np.arange(len(batch.rows), dtype=np.int64)
    spread.add(batch.rows, every, np.column_stack(values), texts[0], texts[1])


def _beside(
    pair: CoordinateColumns,
    samples: Mapping[CoordinateColumns, tuple[Any, Any, Any]],
    reference: References | None,
) -> References | None:
    """Plane columns are compared with the degree columns of the same rows, where a table has both.

    Nobody vouches for the datum of those degrees, so they only serve where nothing trusted does.
    """
    rows, _, y = samples[pair]
    own = read_numbers((y, y)).x
    if reference is not None or not np.isfinite(own).any() or np.nanmedian(np.abs(own)) <= 180:
        return reference
    for other, (others, *both) in samples.items():
        if other is pair:
            continue
        degrees = read_numbers((both[0], both[1]))
        if not degrees.good.any():
            continue
        good = degrees.good
        if np.median(np.abs(degrees.x[good])) <= 180 and np.median(np.abs(degrees.y[good])) <= 90:
            # extremes of one pair need not be sampled for the other
            at = np.clip(np.searchsorted(others, rows), 0, len(others) - 1)
            met = others[at] == rows
            return References.pairs(
                np.where(met, degrees.x[at], np.nan), np.where(met, degrees.y[at], np.nan), raw=True
            )
    return reference
