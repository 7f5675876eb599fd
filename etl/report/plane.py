"""The plane grid that a survey firm's list and drawing are written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etl.datum import DatumChain, DatumError, DatumRegistry
from layers.city import CityProfile


class NoPlaneGrid(ValueError):  # noqa: N818 - it names a state
    """Neither the delivery nor the city has a plane grid to draw in."""


def plane_chain(
    report: Mapping[str, Any], registry: DatumRegistry, profile: CityProfile
) -> DatumChain:
    """From CGCS2000 degrees to the delivery's plane grid where all its files share one, else to
    the city's. NoPlaneGrid where there is neither.
    """
    stated = {file.get("coordsys") for file in report.get("files", ())} - {None}
    candidates = list(stated) if len(stated) == 1 else []
    if profile.plane_grid is not None:
        candidates.append(profile.plane_grid.crs)
    for name in candidates:
        try:
            chain = registry.chain("cgcs2000", str(name))
        except DatumError:
            continue  # parameters that only the delivery brought along
        if chain.target.kind == "plane":
            return chain
    raise NoPlaneGrid(
        f"交付和城市配置 {profile.name} 都没有平面坐标系 "
        f"(neither the delivery nor the city profile has a plane grid)"
    )
