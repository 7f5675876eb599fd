"""What one run of the benchmark does: sizes, times, places."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

SEED = 20261122
BUILDINGS = 200_000
COMPONENTS = 300_000
"""Fewer rows than these would flatter everybody: tables must not fit into a CPU's cache."""


@dataclass(frozen=True)
class Plan:
    """A run; `seconds` of load by `repeats` after `warm` seconds that count for nothing.

    The defaults keep a whole run within half an hour; a single client gets half the seconds.
    """

    folder: Path
    scale: float = 10.0
    seconds: int = 7
    warm: int = 2
    repeats: int = 3
    clients: tuple[int, ...] = (1, 8)
    urls: int = 500
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes of each server in the second look at items; in the first, each has one."""
    points: int = 1_000_000
    large: int = 5_000_000
    """Synthetic points: of the ETL's rates, and of its memory."""
    parts: tuple[str, ...] = ("etl", "items", "tiles", "extra")

    @property
    def raw(self) -> Path:
        """Folder of the tools' own outputs."""
        return self.folder / "raw"

    @property
    def sql(self) -> Path:
        """Folder of the statements and pgbench scripts."""
        return self.folder / "sql"
