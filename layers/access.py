"""Who may read what: access classes of layers and the principals that ask.

A layer is restricted unless its definition says otherwise; a principal sees exactly the classes
it was granted, and everybody sees public ones. There is no "known but forbidden": a layer that a
principal may not read does not exist for it, so that no answer can leak its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AccessClass(StrEnum):
    """Access class of a layer: 公开 public, 政务 government, 内部 restricted."""

    PUBLIC = "public"
    GOVERNMENT = "government"
    RESTRICTED = "restricted"

    @property
    def title_zh(self) -> str:
        """The word that the portal and the reports show."""
        return {"public": "公开", "government": "政务", "restricted": "内部"}[self.value]


@dataclass(frozen=True)
class Principal:
    """The identity behind a read or a write; every function that touches data takes one."""

    name: str
    bureau: str | None = None
    classes: frozenset[AccessClass] = frozenset({AccessClass.PUBLIC})

    def may_read(self, access: AccessClass) -> bool:
        """Whether layers of this class exist for the principal."""
        return access is AccessClass.PUBLIC or access in self.classes


ANONYMOUS = Principal(name="anonymous")
"""A client without an API key: public layers only."""

SYSTEM = Principal(name="system", classes=frozenset(AccessClass))
"""The service itself (ETL, index builds, migrations); never the principal of a request."""
