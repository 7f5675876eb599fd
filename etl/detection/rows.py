"""Rows of one file that differ: groups by the forms that put them into the city."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray
from etl.detection.forms import Form, unusual_forms

RowIndex = NDArray[np.int64]


@dataclass(frozen=True)
class FormGroup:
    """Rows that the same forms put into the city, with the share of the rows each form holds."""

    rows: RowIndex
    forms: list[tuple[Form, float]]


def smallest_group(n: int) -> int:
    """Fewer rows than this are outliers, not a group."""
    return max(3, int(np.ceil(0.02 * n)))


def cover(
    forms: list[Form], x: FloatArray, y: FloatArray
) -> tuple[list[FormGroup], RowIndex, list[Form]]:
    """Groups of rows by form (largest first), the rows left over, and the forms looked at.

    Natural forms first; unusual ones (other units, large numbers removed) only where most rows
    fit no natural form.
    """
    n = len(x)
    left = np.ones(n, dtype=np.bool_)
    known = list(forms)
    masks = [form.inside(x, y) for form in known]
    covered = np.any(masks, axis=0) if masks else np.zeros(n, dtype=np.bool_)
    if covered.mean() < 0.5:
        rest = ~covered
        more = unusual_forms(forms, x[rest], y[rest])
        known += more
        masks += [form.inside(x, y) for form in more]
    groups: list[FormGroup] = []
    while left.any() and masks:
        counts = np.array([(mask & left).sum() for mask in masks], dtype=np.float64)
        # the digits and the priors break ties between forms that hold the same rows
        values = counts + np.array([0.001 * form.prior for form in known])
        rank = int(np.argmax(values))
        if counts[rank] < (smallest_group(n) if groups else 1):
            break
        mine = masks[rank] & left
        total = float(mine.sum())
        holding = [
            (form, float((mask & mine).sum()) / total)
            for form, mask in zip(known, masks, strict=True)
        ]
        kept = [(form, share) for form, share in holding if share >= 0.9]
        groups.append(FormGroup(np.flatnonzero(mine).astype(np.int64), _likely(kept)))
        left &= ~mine
    return groups, np.flatnonzero(left).astype(np.int64), known


def _likely(forms: list[tuple[Form, float]], most: int = 14) -> list[tuple[Form, float]]:
    """The forms worth measuring: by prior, at most `most`."""
    return sorted(forms, key=lambda item: -item[0].prior - 12.0 * (item[1] - 1.0))[:most]
