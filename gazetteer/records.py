"""Records of the gazetteer as the matcher sees them; positions are CGCS2000 (EPSG:4490) degrees."""

from __future__ import annotations

from dataclasses import dataclass

from gazetteer.levels import CODE_LENGTH, Kind
from gazetteer.numbers import HouseNumber


@dataclass(frozen=True, slots=True)
class Place:
    """A named thing: division, road, estate or point of interest.

    ``code`` is its own division code, or that of the smallest division known to hold all of it
    (empty: unknown). ``lon``/``lat`` are None where no layer gives a position. ``radius_m`` is the
    distance from there within which all of it lies, an upper bound.
    """

    kind: Kind
    name: str
    code: str
    lon: float | None
    lat: float | None
    radius_m: float | None
    layer: str
    id: str
    fid: int | None = None
    category: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Identity of the record: layer and id."""
        return self.layer, self.id


@dataclass(frozen=True, slots=True)
class AddressPoint:
    """A row of the address layer. ``code`` is the village code, or a shorter one, or empty."""

    fid: int
    id: str
    full_address: str
    code: str
    county: str
    town: str
    village: str
    road: str
    number: HouseNumber | None
    number_text: str
    estate: str
    building: str
    unit: str
    lon: float
    lat: float


def contains(code: str, other: str) -> bool:
    """Whether the division ``code`` holds the division ``other`` or is it."""
    return other.startswith(code)


def compatible(code: str, other: str) -> bool:
    """Whether two places can be the same spot: one division holds the other, or is unknown."""
    return not code or not other or other.startswith(code) or code.startswith(other)


def chain_of(code: str) -> tuple[str, ...]:
    """The code of each level above and at ``code``: 44, 4414, 441402, 441402004, …"""
    return tuple(code[:length] for length in CODE_LENGTH if length <= len(code))
