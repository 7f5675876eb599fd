"""The form of an upload without a delivery file: what is offered, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from etl.datum import DatumError, DatumRegistry
from etl.delivery import DeliveryError
from etl.report.words import coordsys_words
from layers.city import CityProfile
from layers.definition import LayerDefinition

_SHEETS = (".xlsx", ".xls")
_LOAD_KEYS = {
    "file", "part", "encoding", "layer", "coordsys", "x", "y", "z", "id", "fields", "mode",
}  # fmt: skip


def choices(
    layers: Sequence[LayerDefinition], profile: CityProfile, registry: DatumRegistry
) -> dict[str, Any]:
    """What the form offers: layers with their fields, and coordinate systems, as words."""
    systems = dict.fromkeys((*profile.accepted_coordsys, *registry.grids))
    return {
        "layers": [
            {
                "name": layer.name,
                "title": str(layer.title),
                "geometry": None if layer.geometry is None else layer.geometry.value,
                "required_accuracy_m": layer.required_accuracy_m,
                "id_title": layer.id_title.zh,
                "fields": [
                    {"name": f.name, "title": f.title.zh, "required": f.required}
                    for f in layer.fields
                ],
            }
            for layer in layers
        ],
        "coordsys": [
            {"name": name, "title": coordsys_words(name), "plane": _plane(name, registry)}
            for name in systems
        ],
    }


def _plane(name: str, registry: DatumRegistry) -> bool:
    try:
        return registry.parse(name).kind == "plane"
    except DatumError:
        return False


def delivery_document(
    statement: Any,
    *,
    upload: int,
    bureau: str,
    city: str,
    registry: DatumRegistry,
    today: date,
) -> dict[str, Any]:
    """The delivery that a filled form states; DeliveryError names the entry that is wrong.

    `statement` is {synthetic, name?, loads: [{file, part?, encoding?, layer, coordsys?, x?, y?,
    z?, id?, fields, mode}]}; x is the column of longitude or east, y of latitude or north.
    """
    if not isinstance(statement, Mapping) or not isinstance(statement.get("loads"), list):
        raise DeliveryError("须有 loads 列表 (an object with a list of loads)")
    name = statement.get("name") or f"{bureau}/{today.isoformat()}/{upload}"
    return {
        "delivery": name,
        "bureau": bureau,
        "city": city,
        "synthetic": statement.get("synthetic"),
        "loads": [
            _load(entry, f"loads[{n}]", registry) for n, entry in enumerate(statement["loads"])
        ],
    }


def _load(entry: Any, where: str, registry: DatumRegistry) -> dict[str, Any]:
    if not isinstance(entry, Mapping) or set(entry) - _LOAD_KEYS:
        raise DeliveryError(f"{where}: 可用的键 (known keys): {', '.join(sorted(_LOAD_KEYS))}")
    file = {"path": entry.get("file"), "encoding": entry.get("encoding")}
    sheet = str(entry.get("file", "")).lower().endswith(_SHEETS)
    file["sheet" if sheet else "layer"] = entry.get("part")
    fields = entry.get("fields") or {}
    load: dict[str, Any] = {
        "layer": entry.get("layer"),
        "files": [{key: value for key, value in file.items() if value}],
        "mode": entry.get("mode", "append"),
    }
    if isinstance(fields, Mapping):
        load["fields"] = {key: column for key, column in fields.items() if column}
    else:
        load["fields"] = fields
    if entry.get("id"):
        load["id"] = {"column": entry["id"]}
    coordsys = entry.get("coordsys")
    if coordsys:
        load["coordsys"] = coordsys
    if entry.get("x") and entry.get("y"):
        plane = isinstance(coordsys, str) and _plane(coordsys, registry)
        names = ("east", "north") if plane else ("lon", "lat")
        load["columns"] = dict(zip(names, (entry["x"], entry["y"]), strict=True))
        if entry.get("z"):
            load["columns"]["z"] = entry["z"]
    return load


_ANSWER_KEYS = {"layer", "answers", "accept_accuracy"}


def with_answers(document: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """A delivery document with a bureau's answers in the loads of their layers.

    `given` is a list of {layer, answers?: {datum: reason}, accept_accuracy?: {metres, reason}}.
    """
    if not isinstance(given, list) or not given:
        raise DeliveryError("answers: 须为列表 (a list of answers by layer)")
    loads = [dict(load) for load in document["loads"]]
    for n, entry in enumerate(given):
        if not isinstance(entry, Mapping) or set(entry) - _ANSWER_KEYS:
            raise DeliveryError(
                f"answers[{n}]: 可用的键 (known keys): {', '.join(sorted(_ANSWER_KEYS))}"
            )
        named = [load for load in loads if load["layer"] == entry.get("layer")]
        if not named:
            raise DeliveryError(f"answers[{n}].layer: 交付里没有这个图层 (not a layer of it)")
        answers = entry.get("answers") or {}
        if not isinstance(answers, Mapping):
            raise DeliveryError(f"answers[{n}].answers: 须为键值表 (must be a mapping)")
        for load in named:
            load["answers"] = {**(load.get("answers") or {}), **answers}
            if entry.get("accept_accuracy"):
                load["accept_accuracy"] = entry["accept_accuracy"]
    return {**document, "loads": loads}
