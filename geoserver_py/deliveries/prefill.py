"""What the form of an upload is filled in with: a look into its files, in a process of its own.

Apart from the form, so that the workers of the service load no readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etl.datum import DatumRegistry
from etl.inspect import Inspection, LayerInspection, declared_name
from etl.mapping import match_columns
from layers.definition import LayerDefinition


def describe(
    file: str,
    found: Inspection,
    layers: Sequence[LayerDefinition],
    registry: DatumRegistry,
) -> list[dict[str, Any]]:
    """Entries of the form for one data set, filled in as far as it tells by itself."""
    several = len(found.layers) > 1
    return [
        {
            "file": file,
            "part": one.layer.name if several else None,
            "driver": found.source.driver,
            "encoding": found.source.encoding_detected or found.source.encoding_declared,
            "rows": one.layer.feature_count if one.layer.feature_count is not None
            else one.rows_read,
            "geometry": list(one.geometry_types),
            "columns": [field.name for field in one.layer.fields],
            "notes": list(found.source.notes),
            "problems": [
                {"row": p.row, "reason": p.reason} for p in one.problems
            ],
            **_position(one, registry),
            "layers": _suggested(one, layers),
        }
        for one in found.layers
    ]  # fmt: skip


def _position(one: LayerInspection, registry: DatumRegistry) -> dict[str, Any]:
    declared = declared_name(one.layer.declared_crs, registry)
    if not one.findings:
        return {
            "coordsys": declared,
            "declared": declared,
            "verdict": None,
            "sure": False,
            "objection": None,
        }
    first = one.findings[0]
    found = first.detection
    sure = found.verdict is not None and found.confidence == "certain"
    proposed = found.verdict.coordsys if sure and found.verdict is not None else None
    x, y = first.columns or (None, None)
    if sure and found.verdict is not None and found.verdict.swapped and first.columns is not None:
        x, y = y, x
    return {
        "coordsys": declared or proposed,
        "declared": declared,
        "x": x,
        "y": y,
        "verdict": found.summary,
        "sure": found.confidence != "none",
        "objection": found.objection,
    }


def _suggested(one: LayerInspection, layers: Sequence[LayerDefinition]) -> list[dict[str, Any]]:
    """Layers by how well the columns fit, best first."""
    columns = [field.name for field in one.layer.fields]
    ranked = []
    for layer in layers:
        ident, fields = match_columns(layer, columns)
        kinds = {kind.removeprefix("Multi") for kind in one.geometry_types}
        fits = (
            layer.geometry is None
            or not kinds
            or (layer.geometry.value.removeprefix("Multi") in kinds)
        )
        share = len(fields) / max(1, len(layer.fields)) + 0.3 * (ident is not None)
        ranked.append((fits, share, {"layer": layer.name, "id": ident, "fields": fields}))
    ranked.sort(key=lambda entry: (entry[0], entry[1]), reverse=True)
    return [entry for _, _, entry in ranked]
