"""What an uploaded delivery may state: its own files, its own bureau, layers that its key allows.

The files come from outside, so they must not reach anything of this machine: not by a path, not
by a URL, not by a format that names other files (a GDAL virtual data set).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etl.delivery import Delivery
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
        for file in load.files:
            _require_inside(file.path, file.written or "", folder)
            if getattr(file, "pull", None) is not None:
                raise NotAllowed(
                    f"files: 上传的交付只能用包内文件，不能写 url (only files of the package): "
                    f"{file.written}"
                )


def deliverable(
    principal: Principal, known: Mapping[str, LayerDefinition], city: str
) -> tuple[str, ...]:
    """Names of the city's layers that a principal may deliver to."""
    return tuple(
        name
        for name, definition in sorted(known.items())
        if definition.frame == city and principal.may_deliver(name, definition.bureau)
    )


def _require_inside(path: Path, written: str, folder: Path) -> None:
    home = folder.resolve()
    inside = path.resolve().is_relative_to(home)
    if not inside or os.path.isabs(written) or "://" in written or written.startswith("/vsi"):
        raise NotAllowed(
            f"files: {written[:200]} 不在上传的文件里 (is not among the uploaded files)"
        )


def document_of(delivery: Mapping[str, Any]) -> dict[str, Any]:
    """A delivery document as plain data that may be changed."""
    return {**delivery, "loads": [dict(load) for load in delivery.get("loads", ())]}
