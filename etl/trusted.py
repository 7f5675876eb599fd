"""Layers that are loaded already, as references for the datum of what is delivered now.

A position that is stated in the wrong datum still lies in the city: only comparison with what is
trusted there shows GCJ-02 that is called CGCS2000 (560 m in Meizhou).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psycopg
import shapely
from psycopg import sql

from etl.datum.coordsys import FloatArray
from etl.detection import Detection, References
from layers.definition import GeometryType, LayerDefinition

ACCURATE_M = 5.0
"""Layers that state less accuracy are no reference: obfuscated ones would agree with each other."""
WINDOWS = (0.02, 0.08, 0.3)
"""Half widths in degrees (2, 8, 30 km) of the compared window; the first that holds enough."""
ENOUGH = 60
"""Positions in a window that let detection tell datums apart by their offsets."""
MARGIN = 0.01
"""Degrees around the window: the largest offset between datums is 0.6 km."""
MOST_LAYERS = 4
MOST_SHAPES = 6_000


@dataclass(frozen=True)
class Window:
    """A part of a delivery, and what is trusted around it."""

    inside: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """(n,) which of the delivered positions lie in the window."""
    references: References
    layers: tuple[str, ...]


DATUM_KINDS = frozenset({"gcj02", "bd09", "wrong_datum", "beijing54", "xian80"})
OBFUSCATED = frozenset({"gcj02", "bd09"})
"""Offsets that vary over the city, so that a part of a file shows them and nothing else does."""


def datum_contradicted(found: Detection) -> bool:
    """Whether a comparison with other layers shows, for certain, another datum than stated.

    Only an offset that is a datum's own counts: lamps stand some metres beside the houses they
    are compared with, which is a shift too, but no mistake.
    """
    if found.objection is None or found.confidence != "certain":
        return False
    mixed = found.kind == "mixed_datums" and any(
        group.verdict is not None and group.verdict.datum in OBFUSCATED for group in found.groups
    )
    return mixed or found.kind in DATUM_KINDS


def trusted_around(
    connection: psycopg.Connection,
    definition: LayerDefinition,
    known: Mapping[str, LayerDefinition],
    synthetic: bool,
    lon: FloatArray,
    lat: FloatArray,
) -> Window | None:
    """References near the densest part of a delivery; None where nothing trusted lies there.

    `lon`, `lat` (n,) are the delivered positions under the stated datum, CGCS2000 degrees. The
    layer's own live rows come first, then lines, areas and points of the same frame; synthetic
    and real data are never compared. A statement a layer, each by its spatial index.
    """
    finite = np.isfinite(lon) & np.isfinite(lat)
    if not finite.any():
        return None
    chosen = _candidates(connection, definition, known, synthetic)
    if not chosen:
        return None
    west, south = np.nanmedian(lon[finite]), np.nanmedian(lat[finite])
    nearest = np.nanargmin(np.where(finite, np.hypot(lon - west, lat - south), np.nan))
    centre = float(lon[nearest]), float(lat[nearest])
    inside = finite
    for half in WINDOWS:
        inside = finite & (np.abs(lon - centre[0]) <= half) & (np.abs(lat - centre[1]) <= half)
        if inside.sum() >= ENOUGH:
            break
    box = (
        float(lon[inside].min()) - MARGIN, float(lat[inside].min()) - MARGIN,
        float(lon[inside].max()) + MARGIN, float(lat[inside].max()) + MARGIN,
    )  # fmt: skip
    references: References | None = None
    used = []
    for layer in chosen:
        shapes = _shapes(connection, layer, box)
        if len(shapes) > 0:
            references = References.from_geometries(shapes, layer.name, beside=references)
            used.append(layer.name)
        if len(used) == MOST_LAYERS:
            break
    return None if references is None else Window(inside, references, tuple(used))


_ORDER = {GeometryType.MULTILINESTRING: 0, GeometryType.MULTIPOLYGON: 1, GeometryType.POINT: 2}


def _candidates(
    connection: psycopg.Connection,
    definition: LayerDefinition,
    known: Mapping[str, LayerDefinition],
    synthetic: bool,
) -> list[LayerDefinition]:
    """Layers of the frame that are accurate enough, the layer's own rows first."""
    rows = connection.execute(
        "SELECT name FROM catalog.layer"
        " WHERE feature_count > 0 AND accuracy_m < %s AND synthetic IS NOT DISTINCT FROM %s",
        [ACCURATE_M, synthetic],
    ).fetchall()
    layers = [known[name] for (name,) in rows if name in known]
    return sorted(
        (d for d in layers if d.frame == definition.frame and d.geometry is not None),
        key=lambda d: (d.name != definition.name, _ORDER[d.geometry or GeometryType.POINT], d.name),
    )


def _shapes(
    connection: psycopg.Connection,
    layer: LayerDefinition,
    box: tuple[float, float, float, float],
) -> list[shapely.Geometry]:
    """Geometries in the box; of large areas only the boundary in it."""
    rows = connection.execute(
        sql.SQL(
            """
            SELECT ST_AsBinary(CASE WHEN ST_NPoints(geom) > 200
                                    THEN ST_ClipByBox2D(
                                             CASE WHEN ST_Dimension(geom) = 2
                                                  THEN ST_Boundary(geom) ELSE geom END, area)
                                    ELSE ST_Force2D(geom) END)
              FROM {layer}, ST_MakeEnvelope(%s, %s, %s, %s, 4490) AS area
             WHERE geom && area
             LIMIT {most}
            """
        ).format(layer=sql.Identifier("layer", layer.name), most=sql.Literal(MOST_SHAPES)),
        box,
    ).fetchall()
    shapes = [shapely.from_wkb(bytes(row[0])) for row in rows]
    return [shapely.force_2d(shape) for shape in shapes if not shape.is_empty]
