"""The city as a profile: names, frame, plane grid, accepted datums, calendar, code profiles.

Nothing in the code knows that the first city is Meizhou; ``layers/cities/*.yaml`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from layers.definition import Title


@dataclass(frozen=True)
class Extent:
    """A rectangle in CGCS2000 (EPSG:4490) degrees: west, south, east, north."""

    west: float
    south: float
    east: float
    north: float

    def contains(self, lon: float, lat: float) -> bool:
        """Whether a position lies inside or on the border."""
        return self.west <= lon <= self.east and self.south <= lat <= self.north


@dataclass(frozen=True)
class PlaneGrid:
    """A Gauss-Krueger grid of the city and the zone-prefixed form of the same metres."""

    crs: str
    """Grid without zone prefix, e.g. EPSG:4548 (X north, Y east, metres)."""
    prefixed_crs: str | None
    """The same grid with the zone number before the easting, e.g. EPSG:4527."""
    zone: int | None
    """The zone number, e.g. 39."""


@dataclass(frozen=True)
class WorkingCalendar:
    """Hours and days on which working-time clocks (工作时, 工作日) run."""

    timezone: str
    hours: tuple[tuple[time, time], ...]
    weekdays: tuple[int, ...]
    holidays: tuple[date, ...]
    extra_workdays: tuple[date, ...]


@dataclass(frozen=True)
class CityProfile:
    """All that is particular to one city or one foreign set's frame."""

    name: str
    title: Title
    division_code: str
    """Leading digits of the GB/T 2260 code (e.g. 4414); empty for a foreign frame."""
    extent: Extent
    center: tuple[float, float]
    """lon, lat in CGCS2000 degrees where maps open."""
    plane_grid: PlaneGrid | None
    other_grids: tuple[str, ...]
    """Further plane CRSs accepted as input and offered as output, e.g. EPSG:4547."""
    accepted_coordsys: tuple[str, ...]
    calendar: WorkingCalendar
    codes: Mapping[str, Any]
    """Code profiles: unit grid id pattern, component standard, departments by category."""


def load_city(name: str, directory: Path | None = None) -> CityProfile:
    """Read the profile ``<name>.yaml`` from the package or from a directory outside the repo.

    Raises FileNotFoundError with the names that exist.
    """
    root = directory if directory is not None else resources.files("layers") / "cities"
    entry = root / f"{name}.yaml"
    if not entry.is_file():
        known = sorted(e.name.removesuffix(".yaml") for e in root.iterdir())
        raise FileNotFoundError(f"没有城市配置 no city profile {name!r}; 可用 known: {known}")
    return parse_city(yaml.load(entry.read_text("utf-8"), yaml.CSafeLoader))


def parse_city(document: Mapping[str, Any]) -> CityProfile:
    """Turn the YAML mapping into a profile; KeyError or ValueError names what is missing."""
    grid = document.get("plane_grid")
    calendar = document.get("calendar", {})
    return CityProfile(
        name=str(document["name"]),
        title=Title(**document["title"]),
        division_code=str(document.get("division_code", "")),
        extent=Extent(**document["extent"]),
        center=(float(document["center"][0]), float(document["center"][1])),
        plane_grid=None
        if grid is None
        else PlaneGrid(
            crs=str(grid["crs"]), prefixed_crs=grid.get("prefixed_crs"), zone=grid.get("zone")
        ),
        other_grids=tuple(document.get("other_grids", ())),
        accepted_coordsys=tuple(document["accepted_coordsys"]),
        calendar=WorkingCalendar(
            timezone=str(calendar.get("timezone", "Asia/Shanghai")),
            hours=tuple(
                (time.fromisoformat(start), time.fromisoformat(end))
                for start, end in calendar.get("hours", ())
            ),
            weekdays=tuple(calendar.get("weekdays", (0, 1, 2, 3, 4))),
            holidays=tuple(calendar.get("holidays", ())),
            extra_workdays=tuple(calendar.get("extra_workdays", ())),
        ),
        codes=dict(document.get("codes", {})),
    )
