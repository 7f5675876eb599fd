"""What can be wrong with a coordinate system; every message is a sentence for people, zh first."""

from __future__ import annotations


class DatumError(ValueError):
    """Base of the datum errors; `str(error)` is the sentence shown to the user."""


class UnknownCoordsys(DatumError):  # noqa: N818 - the name is part of the room's contract
    """A coordsys name that is not known here; `accepted` lists what would be."""

    def __init__(self, text: str, accepted: tuple[str, ...], why: str = "") -> None:
        self.text = text
        self.accepted = accepted
        shown = text if len(text) <= 60 else text[:60] + "…"
        detail = f" ({why})" if why else ""
        listed = ", ".join(accepted)
        super().__init__(
            f"不认识坐标系 {shown!r}{detail}；可用：{listed}。"
            f" Unknown coordsys {shown!r}{detail}; accepted: {listed}."
        )


class DatumRefused(DatumError):  # noqa: N818 - the name is part of the room's contract
    """No honest way between two coordinate systems; `missing` names what must be registered."""

    def __init__(self, sentence: str, missing: tuple[str, ...] = ()) -> None:
        self.missing = missing
        super().__init__(sentence)


class PositionError(DatumError):
    """A position that its stated coordsys cannot hold, or text that is no position."""


class RegistryError(DatumError):
    """A registered datum parameter set that is incomplete or contradictory."""
