"""Where the place in a text is complete, so that what follows is a story about it.

Behind a road with its number, two roads that cross, a building of an estate, or a village before
a comma no name is guessed by its shape or from a misspelling: 下雨天行人容易摔倒，希望市政部门修复
names no city 希望市. Names of the dictionary still count there.
"""

from __future__ import annotations

from collections.abc import Sequence

from gazetteer.index import Entry, Form
from gazetteer.levels import Kind
from gazetteer.numbers import Part
from gazetteer.relative import CROSSINGS

_APART = 4
"""Characters there may be between two roads that cross, or between a road and its number."""
_NAMED = (Form.FULL, Form.FORMER, Form.ALIAS, Form.SHORT)


def settled(key: str, names: Sequence[tuple[int, int, Entry]], found: Sequence[Part]) -> int:
    """The position behind which only names of the dictionary are read; the end if there is none."""
    roads = [(s, e) for s, e, n in names if n.kind is Kind.ROAD and n.form is Form.FULL]
    estates = [e for _, e, n in names if n.kind is Kind.ESTATE and n.form is Form.FULL]
    villages = [e for _, e, n in names if n.kind is Kind.VILLAGE and n.form in _NAMED]
    ends = [len(key)]
    for _, end in roads:
        ends += [p.end for p in found if p.kind is Kind.NUMBER and 0 <= p.start - end <= _APART]
        for start, other in roads:
            if 0 <= start - end <= _APART:
                word = max((w for w in CROSSINGS if key.startswith(w, other)), key=len, default="")
                ends += [other + len(word)] if word else []
    for end in estates:
        ends += [p.end for p in found if p.kind is Kind.BUILDING and p.start == end]
    ends += [end for end in villages if key.startswith(",", end)]
    return min(ends)
