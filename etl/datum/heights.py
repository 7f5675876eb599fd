"""Height systems: constant offsets that a city configures, each with its source.

Printed sources contradict each other (1956 Yellow Sea to 1985: 0.029 m at the origin, 0.158 m in
a Guangdong table), so no number lives in code, and none applies unless it is registered. An
ellipsoidal height needs a quasi-geoid and is never served by a constant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from etl.datum.coordsys import FloatArray
from etl.datum.errors import RegistryError


@dataclass(frozen=True, slots=True)
class HeightOffset:
    """h_target = h_source + offset_m between two named height systems."""

    name: str
    source: str
    target: str
    offset_m: float
    accuracy_m: float
    authority: str
    kind: str = "height_offset"

    @classmethod
    def from_mapping(cls, entry: Mapping[str, Any]) -> HeightOffset:
        """From {kind, source, target, offset_m in parameters, accuracy_m, authority}."""
        label = str(entry.get("name") or f"{entry.get('source')} → {entry.get('target')}")
        parameters = entry.get("parameters") or {}
        for key in ("source", "target", "accuracy_m", "authority"):
            if entry.get(key) in (None, ""):
                raise RegistryError(f"高程改正 {label} 缺 {key}；{label} lacks {key!r}")
        if "offset_m" not in parameters:
            raise RegistryError(f"高程改正 {label} 缺 offset_m；{label} lacks offset_m")
        offset, accuracy = float(parameters["offset_m"]), float(entry["accuracy_m"])
        if not (math.isfinite(offset) and math.isfinite(accuracy) and accuracy > 0):
            raise RegistryError(f"{label}: offset_m must be finite and accuracy_m above 0")
        for end in ("source", "target"):
            if "ellips" in str(entry[end]).lower() or "大地高" in str(entry[end]):
                raise RegistryError(
                    f"{label}: 大地高须用似大地水准面，不能用常数；an ellipsoidal height needs a"
                    " quasi-geoid, never a constant"
                )
        return cls(
            label, str(entry["source"]), str(entry["target"]), offset, accuracy,
            str(entry["authority"]),
        )  # fmt: skip

    @property
    def definition(self) -> str:
        """PROJ operation."""
        return f"+proj=affine +zoff={self.offset_m!r}"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The offset."""
        return {"offset_m": self.offset_m}

    def apply(self, z: ArrayLike) -> FloatArray:
        """Heights in the target system."""
        return np.asarray(z, dtype=np.float64) + self.offset_m

    def inverted(self) -> HeightOffset:
        """The other direction."""
        return replace(self, source=self.target, target=self.source, offset_m=-self.offset_m)
