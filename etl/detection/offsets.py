"""Numbers taken away in steps of 10 km: only the references tell which.

Offsets of whole 100 km are few and are tried as forms of their own; in steps of 10 km a
prefecture has hundreds, so all are measured at once on a small sample.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from etl.datum.coordsys import FloatArray
from etl.detection.forms import Form
from etl.detection.references import References

_STEP_M = 10_000.0
_SAMPLE = 60
_NEAR_M = 8.0
_MOST = 3
_PRIOR = -8.0


def by_reference(
    forms: list[Form], x: FloatArray, y: FloatArray, references: References
) -> list[Form]:
    """The offsets (multiples of 10 km) whose points lie on the references most, best first.

    `forms` with numbers added name the grids and orders to try; at most two of them are.
    """
    bases = {(f.coordsys.name, f.swapped): f for f in reversed(forms) if f.added != (0.0, 0.0)}
    pick = np.unique(np.linspace(0, len(x) - 1, min(_SAMPLE, len(x))).astype(int))
    px, py = x[pick], y[pick]
    found: list[tuple[float, Form]] = []
    for base in list(bases.values())[::-1][:2]:
        a, b = (py, px) if base.swapped else (px, py)
        west, south, east, north = base.box
        tried = [
            replace(base, added=(e, n), prior=_PRIOR)
            for e in _steps(float(np.median(a)), west, east)
            for n in _steps(float(np.median(b)), south, north)
        ]
        if not tried:
            continue
        moved = np.array([form.added for form in tried])
        lon, lat, _ = base.chain.apply(
            (a[None, :] + moved[:, :1]).ravel(), (b[None, :] + moved[:, 1:]).ravel()
        )
        xy = references.local(lon, lat)
        for channel in references.channels:
            near = channel.distances(xy, _NEAR_M) <= _NEAR_M
            shares = near.reshape(len(tried), -1).mean(axis=1)
            best = np.argsort(-shares, kind="stable")[:_MOST]
            found += [(float(shares[at]), tried[at]) for at in best if shares[at] > 0.2]
    found.sort(key=lambda item: -item[0])
    return list(dict.fromkeys(form for _, form in found))[:_MOST]


def _steps(median: float, low: float, high: float) -> list[float]:
    first, last = int(np.ceil((low - median) / _STEP_M)), int(np.floor((high - median) / _STEP_M))
    return [k * _STEP_M for k in range(first, last + 1)]
