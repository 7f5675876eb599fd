"""What an uploaded delivery may state: its own files, its own bureau, layers that its key allows.

The files come from outside, so they must not reach anything of this machine: not by a path, not
by a URL, not by a format that names other files (a GDAL virtual data set).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from etl.delivery import Delivery, FileSource, Load
from layers.access import Principal
from layers.definition import LayerDefinition


class NotAllowed(ValueError):  # noqa: N818 - it names an outcome
    """An uploaded delivery that asks for more than it may; the message says what to change."""


def check_delivery(
    delivery: Delivery,
    folder: Path,
    principal: Principal,
    known: Mapping[str, LayerDefinition],
    city: str,
) -> None:
    """Raise NotAllowed unless the delivery stays within `folder`, its bureau and its layers."""
    if not principal.is_admin and delivery.bureau != principal.bureau:
        raise NotAllowed(
            f"bureau: 密钥属于 {principal.bureau}，交付写的是 {delivery.bureau} "
            f"(the key belongs to another bureau)"
        )
    if delivery.city != city and not principal.is_admin:
        raise NotAllowed(f"city: 这里只收 {city}，交付写的是 {delivery.city} (another city)")
    if delivery.datum_parameters is not None:
        raise NotAllowed(
            "datum_parameters: 坐标转换参数由地理信息中心登记，请删去这一行 (datum parameters are "
            "registered by the centre; remove this key)"
        )
    for load in delivery.loads:
        definition = known.get(load.layer)
        if definition is None or not principal.may_deliver(load.layer, definition.bureau):
            # the same words for a layer that is absent and one of another bureau
            raise NotAllowed(
                f"loads: 没有可交付的图层 {load.layer}；可交付 may be delivered to: "
                f"{', '.join(deliverable(principal, known, city)) or '—'}"
            )
    for path in _paths(delivery.loads):
        _require_inside(path, folder)
    for file in _sources(delivery.loads):
        if file.pull is not None or os.path.isabs(file.written or ""):
            raise NotAllowed(
                f"files: 上传的交付只能用包内文件，不能写 url (only files of the package): "
                f"{(file.written or '')[:200]}"
            )


def delivery_file(folder: Path) -> Path | None:
    """The delivery file of an upload, None without one; NotAllowed where there are several.

    What a Mac packs beside the files, and hidden folders, hold none.
    """
    found = [
        path
        for suffix in ("yaml", "yml")
        for path in sorted(folder.rglob(f"delivery.{suffix}"))
        if not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    ]
    if len(found) > 1:
        listed = "、".join(path.relative_to(folder).as_posix() for path in found)
        raise NotAllowed(f"一次只交一个 delivery.yaml，找到 (one at a time, found) {listed}")
    return found[0] if found else None


def _paths(value: Any) -> Iterator[Path]:
    """Every path in a delivery, whichever key names it: also those that a later version adds."""
    if isinstance(value, Path):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _paths(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _paths(inner)


def _sources(loads: Sequence[Load]) -> Iterator[FileSource]:
    for load in loads:
        yield from load.files
        if load.check_points is not None:
            yield load.check_points.file


def deliverable(
    principal: Principal, known: Mapping[str, LayerDefinition], city: str
) -> tuple[str, ...]:
    """Names of the city's layers that a principal may deliver to."""
    return tuple(
        name
        for name, definition in sorted(known.items())
        if definition.frame == city and principal.may_deliver(name, definition.bureau)
    )


def _require_inside(path: Path, folder: Path) -> None:
    text = str(path)
    inside = "\x00" not in text and path.resolve().is_relative_to(folder.resolve())
    if not inside:
        raise NotAllowed(f"{path.name[:200]!r} 不在上传的文件里 (is not among the uploaded files)")
