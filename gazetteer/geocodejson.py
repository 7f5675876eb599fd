"""Answers as GeocodeJSON 0.1.0 FeatureCollections, with members of our own beside the standard's.

https://github.com/geocoders/geocodejson-spec. Coordinates are CGCS2000 lon, lat in degrees with
nine decimals; every collection and every feature names its coordsys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gazetteer.answers import Answer, Candidate, Component, Reason
from gazetteer.index import GazetteerIndex
from gazetteer.levels import GEOCODEJSON_TYPE, Kind, Level
from gazetteer.records import chain_of
from gazetteer.reverse import Found, Surroundings
from gazetteer.suggest import Suggestion

COORDSYS = "cgcs2000"
VERSION = "0.1.0"

_ADDRESS_MEMBERS = {
    Kind.PROVINCE: "state",
    Kind.CITY: "city",
    Kind.COUNTY: "county",
    Kind.TOWN: "district",
    Kind.VILLAGE: "locality",
    Kind.ROAD: "street",
    Kind.NUMBER: "housenumber",
}


def collection(features: Iterable[Mapping[str, Any]], query: Any, **members: Any) -> dict[str, Any]:
    """A FeatureCollection with its ``geocoding`` block; ``query`` is repeated as it came."""
    return {
        "type": "FeatureCollection",
        "coordsys": COORDSYS,
        "geocoding": {"version": VERSION, "query": query, "coordsys": COORDSYS, **members},
        "features": list(features),
    }


def answer_document(answer: Answer, *, explain: bool = True) -> dict[str, Any]:
    """The answer to one address. ``ambiguous`` and what could not be done stand in front."""
    members: dict[str, Any] = {
        "ambiguous": answer.ambiguous,
        "normalised": answer.normalised.text,
    }
    if answer.reasons:
        members["explanation"] = [reason_document(reason) for reason in answer.reasons]
    features = [candidate_feature(c, answer.ambiguous, explain) for c in answer.candidates]
    return collection(features, answer.normalised.source, **members)


def candidate_feature(candidate: Candidate, ambiguous: bool, explain: bool) -> dict[str, Any]:
    """One candidate as a feature."""
    names = {
        _ADDRESS_MEMBERS[component.kind]: component.value
        for component in candidate.components
        if component.kind in _ADDRESS_MEMBERS
    }
    if candidate.street:
        names["street"] = candidate.street
    if candidate.house_number:
        names["housenumber"] = candidate.house_number
    further: dict[str, Any] = {
        "score": candidate.score,
        "error_m": candidate.error_m,
        "ambiguous": ambiguous,
        "components": [component_document(c) for c in candidate.components],
    }
    if candidate.error_m is not None:
        further["accuracy"] = round(candidate.error_m)
    if explain:
        further["explanation"] = [reason_document(reason) for reason in candidate.reasons]
    return _feature(
        candidate.lon,
        candidate.lat,
        candidate.level,
        candidate.label,
        candidate.name,
        candidate.code,
        candidate.record,
        {**names, **further, **_category(candidate.category)},
    )


def coordinate_feature(
    lon: float, lat: float, label: str, *, source: str, stated: bool, error_m: float, note: str
) -> dict[str, Any]:
    """A typed coordinate, read in ``source``; ``stated`` is False when the text named no datum."""
    further = {
        "score": 1.0 if stated else 0.8,
        "error_m": error_m,
        "accuracy": round(error_m),
        "ambiguous": False,
        "components": [],
        "source_coordsys": source,
        "stated": stated,
        "explanation": [{"rule": "coordinate", "zh": note, "en": note, "delta": 0.0}],
    }
    return _feature(lon, lat, Level.COORDINATE, label, label, "", None, further)


def suggestion_feature(suggestion: Suggestion) -> dict[str, Any]:
    """One suggestion as a feature."""
    return _feature(
        suggestion.lon,
        suggestion.lat,
        suggestion.level,
        suggestion.label,
        suggestion.name,
        suggestion.code,
        suggestion.record,
        {"error_m": suggestion.error_m, **_category(suggestion.category)},
    )


def surroundings_features(index: GazetteerIndex, found: Surroundings) -> list[dict[str, Any]]:
    """Address, road, points of interest from near to far, and the finest division."""
    records = [r for r in (found.address, found.road, *found.pois) if r is not None]
    features = [_found_feature(index, record, found.code) for record in records]
    if found.divisions:
        kind, code, name = found.divisions[-1]
        level = {Kind.COUNTY: Level.COUNTY, Kind.TOWN: Level.TOWN}.get(kind, Level.VILLAGE)
        division = index.divisions.get(code)
        features.append(
            _feature(
                None if division is None else division.lon,
                None if division is None else division.lat,
                level,
                index.label(code) or name,
                name,
                code,
                (f"division_{kind.label}", code, None),
                {"contains": True, "distance_m": 0.0},
            )
        )
    return features


def division_chain(found: Surroundings) -> list[dict[str, str]]:
    """County, town and village that hold the position."""
    return [
        {"kind": kind.label, "code": code, "name": name} for kind, code, name in found.divisions
    ]


def component_document(component: Component) -> dict[str, Any]:
    """One component; ``span`` is its [start, end) in the query as typed, in code points."""
    document: dict[str, Any] = {
        "kind": component.kind.label,
        "title": component.kind.zh,
        "value": component.value,
        "status": component.status.value,
    }
    if component.code:
        document["code"] = component.code
    if component.span is not None:
        document |= {"text": component.text, "span": list(component.span)}
    return document


def reason_document(reason: Reason) -> dict[str, Any]:
    """One line of an explanation."""
    return {"rule": reason.rule, "zh": reason.zh, "en": reason.en, "delta": round(reason.delta, 3)}


def _category(category: str) -> dict[str, Any]:
    return {"category": category} if category else {}


def _found_feature(index: GazetteerIndex, record: Found, here: str) -> dict[str, Any]:
    label, name = record.name, record.name
    if record.layer == "address":
        name = _short_name(index, record)
    else:
        label = f"{index.label(here[:6] if record.layer == 'road' else here)}{record.name}"
    further: dict[str, Any] = {
        "distance_m": round(record.distance_m, 2),
        "direction": record.direction,
        "relation": f"{name}{record.direction}约{round(record.distance_m)}米"
        if record.direction
        else name,
        **_category(record.category),
    }
    if record.road:
        further["street"] = record.road
    if record.number:
        further["housenumber"] = record.number
    where = (record.layer, record.id, record.fid)
    return _feature(record.lon, record.lat, record.level, label, name, record.code, where, further)


def _short_name(index: GazetteerIndex, record: Found) -> str:
    """What a full address says below its divisions: 嘉应中路12号, 恒发苑D1栋, 扶贵村7号."""
    for code in reversed(chain_of(record.code)):
        above = index.label(code)
        if above and record.name.startswith(above) and len(record.name) > len(above):
            rest = record.name[len(above) :]
            village = index.divisions.get(record.code)
            return rest if rest != record.number or village is None else f"{village.name}{rest}"
    return f"{record.road}{record.number}" or record.name


def _feature(
    lon: float | None,
    lat: float | None,
    level: Level,
    label: str,
    name: str,
    code: str,
    record: Sequence[Any] | None,
    further: Mapping[str, Any],
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "type": GEOCODEJSON_TYPE[level],
        "label": label,
        "name": name,
        "level": level.value,
        "coordsys": COORDSYS,
        **further,
    }
    if code:
        properties["division_code"] = code
    if record is not None and record[0]:
        properties["record"] = {"collection": record[0], "id": record[1], "fid": record[2]}
    geometry = None
    if lon is not None and lat is not None:
        geometry = {"type": "Point", "coordinates": [round(lon, 9), round(lat, 9)]}
    return {"type": "Feature", "geometry": geometry, "properties": {"geocoding": properties}}
