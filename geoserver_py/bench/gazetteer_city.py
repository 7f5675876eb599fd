"""A synthetic city for the benchmark of the address engine: a million addresses, made in seconds.

Division names are real (the register of the sample city); squares for their areas, streets,
plates, estates and places are synthetic. The same size gives the same city.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import psycopg
import pyarrow as pa
import shapely

from geoserver_py.bench.data import empty_database, is_complete, mark_complete
from geoserver_py.cluster import ClusterInfo, provide_database
from geoserver_py.sample_city.register import Division, default_register, read_register
from geoserver_py.sample_city.words import PUBLIC, SHOPS, estate_name, street_name
from layers.access import SYSTEM
from layers.definition import load_definitions
from layers.staging import copy_into, create_staging, drop_staging
from layers.write import Deletes, write

WEST, SOUTH, CELL = 115.5, 23.5, 0.08
"""South-west corner of the grid of towns and the side of a town's square, CGCS2000 degrees."""
COLUMNS = 12
STREETS, PLATES, VILLAGE_PLATES, ESTATES, BUILDINGS, POIS = 43, 160, 60, 17, 40, 170
"""Streets a town, plates a street, plates a village, estates a town, buildings an estate, places a
town: with the 117 towns of the register about 1 010 000 addresses."""


@dataclass(frozen=True)
class SyntheticCity:
    """All layers of the gazetteer as Arrow tables; ``scale`` multiplies the plates of a street."""

    scale: int = 1

    @cached_property
    def register(self) -> tuple[Division, ...]:
        """Counties, towns and villages."""
        return read_register(default_register())

    @cached_property
    def names(self) -> dict[str, str]:
        """Name of each division by its code."""
        return {division.code: division.name for division in self.register}

    @cached_property
    def towns(self) -> tuple[str, ...]:
        """Codes of the towns."""
        return tuple(d.code for d in self.register if d.level == "town")

    def corner(self, town: int) -> tuple[float, float]:
        """South-west corner of the town's square."""
        row, column = divmod(town, COLUMNS)
        return WEST + column * CELL, SOUTH + row * CELL

    def villages(self, town: str) -> list[str]:
        """Codes of the villages of a town."""
        return [d.code for d in self.register if d.level == "village" and d.code[:9] == town]

    def layers(self) -> Iterator[tuple[str, pa.Table]]:
        """Each layer with its rows, ready for staging."""
        yield (
            "division_name",
            pa.table(
                {
                    "id": [d.code for d in self.register],
                    "name": [d.name for d in self.register],
                    "level": [d.level for d in self.register],
                }
            ),
        )
        yield from self._areas()
        yield "road", self._roads()
        yield "poi", self._pois()
        yield "address", pa.concat_tables(self._addresses(i) for i in range(len(self.towns)))

    def _areas(self) -> Iterator[tuple[str, pa.Table]]:
        squares: dict[str, list[shapely.Polygon]] = {}
        for town, code in enumerate(self.towns):
            x, y = self.corner(town)
            whole = shapely.box(x, y, x + CELL, y + CELL)
            squares.setdefault(code[:6], []).append(whole)
            squares[code] = [whole]
            inside = self.villages(code)
            for number, village in enumerate(inside):
                low, high = (x + CELL * (number + k) / len(inside) for k in (0, 1))
                squares[village] = [shapely.box(low, y, high, y + CELL)]
        for layer, length in (("division_county", 6), ("division_town", 9),
                              ("division_village", 12)):  # fmt: skip
            found = [code for code in sorted(squares) if len(code) == length]
            yield (
                layer,
                pa.table(
                    {
                        "id": found,
                        "name": [self.names[code] for code in found],
                        "geom": shapely.to_wkb(
                            [shapely.MultiPolygon(squares[code]) for code in found]
                        ).tolist(),
                    }
                ),
            )

    def streets(self, town: int) -> list[str]:
        """Names of the streets of a town; towns share some of them, as towns do."""
        return [street_name((town * 31 + k) % 2600, arterial=k % 6 == 0) for k in range(STREETS)]

    def _street(self, town: int, k: int) -> tuple[float, float]:
        """West end of street k of a town; it runs east for three quarters of the square."""
        x, y = self.corner(town)
        return x + CELL / 8, y + CELL * (k + 0.5) / STREETS

    def _roads(self) -> pa.Table:
        names, lines = [], []
        for town in range(len(self.towns)):
            for k, name in enumerate(self.streets(town)):
                x, y = self._street(town, k)
                middle, end = x + CELL * 3 / 8, x + CELL * 3 / 4
                names.append(name)
                lines.append(shapely.MultiLineString([[(x, y), (middle, y + 0.0004), (end, y)]]))
        return pa.table(
            {
                "id": [f"R{n}" for n in range(len(names))],
                "name": names,
                "road_class": ["secondary"] * len(names),
                "geom": shapely.to_wkb(lines).tolist(),
            }
        )

    def _pois(self) -> pa.Table:
        kinds = (*SHOPS, *PUBLIC)
        rows = []
        for town, code in enumerate(self.towns):
            x, y = self.corner(town)
            inside = self.villages(code)
            streets = self.streets(town)
            for n in range(POIS):
                what, category = kinds[n % len(kinds)]
                stem = streets[n * 7 % STREETS][:2] if n % 2 else self.names[code][:2]
                rows.append(
                    (
                        f"P{town}-{n}",
                        f"{stem}{estate_name(n + town)[:2]}{what}",
                        category,
                        inside[n % len(inside)] if inside else None,
                        shapely.Point(x + CELL * (n % 13) / 13, y + CELL * (n % 17) / 17),
                    )
                )
        ids, names, categories, codes, points = zip(*rows, strict=True)
        return pa.table(
            {
                "id": ids, "name": names, "category": categories, "village_code": codes,
                "geom": shapely.to_wkb(points).tolist(),
            }
        )  # fmt: skip

    def _addresses(self, town: int) -> pa.Table:
        code = self.towns[town]
        county, name = self.names[code[:6]], self.names[code]
        inside = self.villages(code)
        x, y = self.corner(town)
        rows: list[tuple[str, str | None, str | None, str | None, str | None, str | None]] = []
        spots: list[tuple[float, float]] = []
        for k, street in enumerate(self.streets(town)):
            west, at = self._street(town, k)
            village = inside[k % len(inside)] if inside else None
            plates = PLATES * self.scale
            for plate in range(1, plates + 1):
                rows.append((f"{street}{plate}号", village, street, f"{plate}号", None, None))
                share = plate / (plates + 1)
                bend = 0.0008 * min(share, 1 - share)
                side = 0.0001 if plate % 2 else -0.0001
                spots.append((west + CELL * 0.75 * share, at + bend + side))
        for n, village in enumerate(inside):
            called = _village_name(self.names[village])
            for plate in range(1, VILLAGE_PLATES + 1):
                rows.append((f"{called}{plate}号", village, None, f"{plate}号", None, None))
                spots.append(
                    (x + CELL * (n + 0.5) / len(inside), y + CELL * plate / VILLAGE_PLATES)
                )
        for n in range(ESTATES):
            estate = estate_name(town * ESTATES + n)
            village = inside[n % len(inside)] if inside else None
            for building in range(1, BUILDINGS + 1):
                rows.append((f"{estate}{building}栋", village, None, None, estate, f"{building}栋"))
                spots.append((x + CELL * n / ESTATES, y + CELL * building / BUILDINGS))
        rest, villages, roads, numbers, estates, buildings = zip(*rows, strict=True)
        return pa.table(
            {
                "id": [f"A{town}-{n}" for n in range(len(rows))],
                "full_address": [f"广东省梅州市{county}{name}{part}" for part in rest],
                "county": [county] * len(rows),
                "town": [name] * len(rows),
                "village": [None if v is None else _village_name(self.names[v]) for v in villages],
                "village_code": villages,
                "road": roads,
                "number": numbers,
                "estate": estates,
                "building": buildings,
                "geom": [bytes(wkb) for wkb in shapely.to_wkb(shapely.points(np.array(spots)))],
            }
        )


def _village_name(name: str) -> str:
    """The village that a committee is of."""
    return name.removesuffix("居委会").removesuffix("委会")


def fill(dsn: str, city: SyntheticCity) -> dict[str, int]:
    """Write the city into a migrated database with empty layers, then the mark that it is whole.

    Returns rows by layer.
    """
    definitions = load_definitions()
    counts = {}
    with psycopg.connect(dsn) as connection:
        for layer, table in city.layers():
            staging = create_staging(connection, definitions[layer])
            copy_into(connection, staging, table)
            result = write(
                connection, definitions[layer], staging,
                run=None, principal=SYSTEM, deletes=Deletes.NONE,
            )  # fmt: skip
            drop_staging(connection, staging)
            connection.commit()
            counts[layer] = result.inserted
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        mark_complete(connection)
    return counts


def filled(cluster: ClusterInfo, name: str, city: SyntheticCity) -> str:
    """DSN of database `name` with the city; made anew unless a fill went to its end."""
    dsn = provide_database(cluster, name)
    if not is_complete(dsn):
        dsn = empty_database(cluster, name)
        fill(dsn, city)
    return dsn
