"""A chain as one PROJ pipeline, where PROJ can express it: the outside oracle for our steps."""

from __future__ import annotations

import re

from etl.datum.plane_steps import AffineStep, LocalGridStep, PolynomialStep
from etl.datum.registry import DatumChain
from etl.datum.steps import (
    DatumStep,
    HelmertStep,
    NullStep,
    OperationStep,
    ProjectionStep,
    SimilarityStep,
)


def chain_pipeline(chain: DatumChain) -> str | None:
    """PROJ pipeline from (x, y) to (x, y) of a chain, degrees or metres; None for formulas and a
    polynomial run backwards.

    GCJ-02 and BD-09 have no PROJ form. x = lon or east, y = lat or north at both ends.
    """
    parts: list[str] = []
    for step in chain.steps:
        found = _operations(step)
        if found is None:
            return None
        parts += found
    return "+proj=pipeline " + " ".join(f"+step {part}" for part in parts or ["+proj=noop"])


def _operations(step: DatumStep) -> list[str] | None:
    if isinstance(step, NullStep):
        return []
    if isinstance(step, ProjectionStep):
        return split_pipeline(str(step.parameters["proj"]))
    if isinstance(step, OperationStep):
        swap = "+proj=axisswap +order=2,1"
        return [swap, *_turned(split_pipeline(str(step.parameters["proj"])), step.inverse), swap]
    if isinstance(step, SimilarityStep):
        s = step.similarity
        plain = (
            f"+proj=affine +xoff={s.d_e!r} +yoff={s.d_n!r}"
            f" +s11={s.a!r} +s12={-s.b!r} +s21={s.b!r} +s22={s.a!r}"
        )
        return _turned([plain], step.inverse)
    if isinstance(step, PolynomialStep) and step.inverse:
        return None  # PROJ wants a second polynomial for the way back; ours solves the first
    if isinstance(step, HelmertStep | AffineStep | LocalGridStep | PolynomialStep):
        return _turned(split_pipeline(step.definition), step.inverse)
    return None


def split_pipeline(definition: str) -> list[str]:
    """Operations of a PROJ definition, pipeline or single, each with plus signs."""
    words = [word.removeprefix("+") for word in definition.split()]
    text = " ".join(words)
    parts = re.split(r"(?:^|\s)step(?:\s|$)", text)
    if "proj=pipeline" in parts[0].split():
        parts = parts[1:]
    return [" ".join(f"+{word}" for word in part.split()) for part in parts if part.strip()]


def _turned(parts: list[str], inverse: bool) -> list[str]:
    if not inverse:
        return parts
    out = []
    for part in reversed(parts):
        words = part.split()
        out.append(" ".join(w for w in words if w != "+inv") if "+inv" in words else f"+inv {part}")
    return out
