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


class Right(StrEnum):
    """What a key may do beyond reading. deliver: for its bureau; admin: for every bureau."""

    DELIVER = "deliver"
    ADMIN = "admin"


@dataclass(frozen=True)
class Principal:
    """The identity behind a read or a write; every function that touches data takes one."""

    name: str
    bureau: str | None = None
    classes: frozenset[AccessClass] = frozenset({AccessClass.PUBLIC})
    rights: frozenset[Right] = frozenset()
    layers: frozenset[str] | None = None
    """Layers it may deliver to; None: those whose definition names its bureau."""

    @property
    def is_admin(self) -> bool:
        """Whether it acts for every bureau."""
        return Right.ADMIN in self.rights

    @property
    def delivers(self) -> bool:
        """Whether it may deliver at all: for its bureau, or as an administrator."""
        return self.is_admin or (Right.DELIVER in self.rights and self.bureau is not None)

    def may_deliver(self, layer: str, bureau: str) -> bool:
        """Whether it may deliver to a layer whose definition names `bureau`."""
        if self.is_admin:
            return True
        if not self.delivers:
            return False
        return self.bureau == bureau if self.layers is None else layer in self.layers

    def may_read(self, access: AccessClass) -> bool:
        """Whether layers of this class exist for the principal."""
        return access is AccessClass.PUBLIC or access in self.classes


ANONYMOUS = Principal(name="anonymous")
"""A client without an API key: public layers only."""

SYSTEM = Principal(name="system", classes=frozenset(AccessClass))
"""The service itself (ETL, index builds, migrations); never the principal of a request."""
