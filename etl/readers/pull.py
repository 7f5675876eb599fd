"""What is asked of a running service: the address and what goes with it, before any connection."""

from __future__ import annotations

import datetime as dt
import urllib.parse
from dataclasses import dataclass
from typing import Literal

from etl.readers.http import Credentials

TABLE_SCHEMES = ("postgresql://", "postgres://")
KINDS = ("wfs", "oapif", "arcgis")
AxisOrder = Literal["authority", "east-first"]


@dataclass(frozen=True, slots=True)
class Pull:
    """What a delivery states about a service: all of it, or what changed at or after `since`.

    `crs` asks the service for its data in that CRS (WFS, OGC API Features); `axis_order` says what
    a WFS does that does not do as its CRS says.
    """

    url: str
    since: dt.datetime | None = None
    since_last_run: bool = False
    since_column: str | None = None
    credentials: Credentials | None = None
    version: str | None = None
    output: Literal["gml", "geojson"] = "gml"
    crs: str | None = None
    axis_order: AxisOrder | None = None

    @property
    def host(self) -> str:
        """The one host that may be asked."""
        return urllib.parse.urlsplit(self.url.partition("+")[2] or self.url).hostname or ""

    @property
    def partial(self) -> bool:
        """Whether only changes are asked for, so that no rows are no fault."""
        return self.since is not None or self.since_last_run


def is_service(text: str) -> bool:
    """Whether a text names a service: `wfs+https://…`, `postgresql://…` and the like."""
    kind, plus, rest = text.partition("+")
    web = bool(plus) and kind in KINDS and rest.startswith(("http://", "https://"))
    return web or text.startswith(TABLE_SCHEMES)
