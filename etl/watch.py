"""The stated datum of a file watched while its rows go by.

The first batch is judged before it is let through, a spread sample of a longer file behind its last
row: nothing is in the layer before that, so an objection still blocks the load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.datum import DatumChain, DatumRegistry
from etl.datum.coordsys import FloatArray
from etl.detection import Detection, References, detect
from etl.readers import Batch
from etl.sampled import Sampled
from etl.trusted import Window, datum_contradicted
from layers.city import CityProfile

RowIndex = NDArray[np.int64]
_MOST = 5_000
"""Positions of a whole file that are judged, up to twice as many; the cost goes by them."""


@dataclass
class DatumWatch:
    """Positions of one file against the system that its delivery states.

    `reference` is trusted linework given for the run; without it `trusted` looks for what is loaded
    around given lon, lat (n,), CGCS2000 degrees. `field_names` of the columns that hold x and y.
    """

    chain: DatumChain
    frame: CityProfile
    registry: DatumRegistry
    reference: References | None
    field_names: tuple[str, str] | None
    trusted: Callable[[FloatArray, FloatArray], Window | None]
    _spread: Sampled = field(default_factory=lambda: Sampled(most=_MOST))
    _batches: int = 0

    def see(self, batch: Batch) -> Detection | None:
        """Take note of a batch; what the numbers say where it is the first."""
        places, xy = _positions(batch)
        self._spread.add(batch.rows, places, xy)
        self._batches += 1
        return self._judge(batch.rows[places], xy) if self._batches == 1 else None

    def end(self) -> Detection | None:
        """What the numbers say of the whole file; None where the first batch was all of it."""
        if self._batches < 2:
            return None
        rows, x, y = self._spread.sample()
        return self._judge(rows, np.column_stack((x, y)))

    def _judge(self, rows: RowIndex, xy: FloatArray) -> Detection:
        """The numbers alone, and beside what is loaded there already."""
        alone = self._detect(rows, xy, self.reference)
        if self.reference is not None or alone.objection is not None:
            return alone
        lon, lat, _ = self.chain.apply(xy[:, 0], xy[:, 1])
        window = self.trusted(lon, lat)
        if window is None:
            return alone
        beside = self._detect(rows[window.inside], xy[window.inside], window.references)
        if beside.agreement == "confirms" or datum_contradicted(beside):
            return beside
        return alone

    def _detect(self, rows: RowIndex, xy: FloatArray, references: References | None) -> Detection:
        return detect(
            xy,
            profile=self.frame,
            registry=self.registry,
            references=references,
            declared=self.chain.source.name,
            field_names=self.field_names,
            axes_stated=True,
            rows=rows,
        )


def _positions(batch: Batch) -> tuple[RowIndex, FloatArray]:
    """(m,) places in a batch of rows with a position, and (m, 2) the first coordinate of each."""
    if batch.positions is not None:
        known = np.flatnonzero(batch.positions.known())
        return known, np.column_stack((batch.positions.x[known], batch.positions.y[known]))
    coordinates, index = shapely.get_coordinates(batch.geometry, return_index=True)
    places, first = np.unique(index, return_index=True)
    return places, coordinates[first]
