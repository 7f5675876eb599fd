"""A trace of the address engine as a document: what `gazetteer explain` prints."""

from __future__ import annotations

from typing import Any

from gazetteer.answers import Answer, Asked, Candidate, Crossing
from gazetteer.draft import CONFLICT_SCORE
from gazetteer.geocodejson import component_document, reason_document
from gazetteer.normalise import normalise
from gazetteer.trace import Trace, changes
from geoserver_py.parse_routes import parse_document

_MOST_READINGS = 8
_MOST_CANDIDATES = 20
_VETO = "conflict"
"""Rule of reasons that say that two parts of the text exclude each other."""


def trace_document(trace: Trace) -> dict[str, Any]:
    """Normalisation, readings, look-ups, candidates and decision; spans as in ``/parse``."""
    normalised, read = normalise(trace.parse.normalised.source), trace.parse.normalised
    parsed = parse_document(trace.index, trace.parse, _MOST_READINGS)
    return {
        "query": normalised.source,
        "normalisation": {
            "text": normalised.text,
            "key": normalised.key,
            "read_as": None if read.key == normalised.key else read.key,
            "changes": [
                {"span": [c.start, c.end], "typed": c.typed, "text": c.text, "key": c.key}
                for c in changes(normalised)
            ],
        },
        "parse": {
            "readings": parsed["readings"],
            "of": len(trace.parse.readings),
            "ambiguous": parsed["ambiguous"],
            "misspellings_looked_for": trace.parse.loose,
        },
        "looked_up": [{**_asked(key), "rows": rows} for key, rows in trace.asked],
        "candidates": [_candidate(c) for c in trace.candidates.candidates[:_MOST_CANDIDATES]],
        "candidates_of": len(trace.candidates.candidates),
        "vetoed": [_candidate(c) for c in trace.vetoed[:_MOST_CANDIDATES]],
        "decision": _decision(trace.answer),
    }


def _asked(key: Asked | Crossing) -> dict[str, Any]:
    if isinstance(key, Crossing):
        return {"kind": "crossing", "title": "交叉口", "name": f"{key.one} × {key.other}"}
    return {
        "kind": key.kind.label, "title": key.kind.zh, "name": key.name, "within": key.county,
        "number": key.main,
    }  # fmt: skip


def _candidate(candidate: Candidate) -> dict[str, Any]:
    layer, identity, fid = candidate.record
    reckoned = 1.0 + sum(reason.delta for reason in candidate.reasons)
    vetoed = any(reason.rule == _VETO for reason in candidate.reasons)
    return {
        "label": candidate.label,
        "level": candidate.level.value,
        "score": candidate.score,
        "sum": round(reckoned, 3),
        "vetoed": vetoed,
        "most": CONFLICT_SCORE if vetoed else 1.0,
        "lon": candidate.lon,
        "lat": candidate.lat,
        "coordsys": "cgcs2000",
        "error_m": candidate.error_m,
        "division_code": candidate.code,
        "record": {"collection": layer, "id": identity, "fid": fid},
        "components": [component_document(c) for c in candidate.components],
        "explanation": [reason_document(r) for r in candidate.reasons],
    }


def _decision(answer: Answer) -> dict[str, Any]:
    first = answer.candidates[0] if answer.candidates else None
    return {
        "label": None if first is None else first.label,
        "level": None if first is None else first.level.value,
        "score": None if first is None else first.score,
        "error_m": None if first is None else first.error_m,
        "ambiguous": answer.ambiguous,
        "explanation": [reason_document(reason) for reason in answer.reasons],
    }
