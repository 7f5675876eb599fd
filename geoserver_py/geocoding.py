"""Addresses and typed coordinates to GeocodeJSON: what the routes, the grid and the CLI share."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from etl.datum import Coordsys, DatumChain, DatumRegistry, PositionError
from etl.datum.notation import format_readout, parse_position
from gazetteer.answers import Hints
from gazetteer.geocodejson import answer_document, collection, coordinate_feature
from gazetteer.service import Connect, GazetteerService
from layers.access import Principal
from layers.city import CityProfile

_DIGITS = re.compile(r"\d")
_FEWEST_DIGITS = 8
"""No notation of a position in a city has fewer; spares addresses the readers of coordinates."""

MATCH_COLUMNS = (
    "matched", "level", "score", "error_m", "ambiguous", "division_code", "lon", "lat", "coordsys",
)  # fmt: skip
"""What matching adds to a table."""

Row = dict[str, Any]


def typed_position(
    text: str, profile: CityProfile, registry: DatumRegistry
) -> dict[str, Any] | None:
    """The coordinates that a text holds, as a collection of level 坐标; None if it holds none.

    A text that is plainly a position but none in the city gives no feature and the reason.
    """
    if len(_DIGITS.findall(text)) < _FEWEST_DIGITS:
        return None
    try:
        readings = parse_position(text, profile, registry)
    except PositionError as refused:
        reason = {"rule": "position-refused", "zh": str(refused), "en": str(refused), "delta": 0.0}
        return collection((), text, ambiguous=False, explanation=[reason])
    if not readings:
        return None
    features = [
        coordinate_feature(
            reading.lon,
            reading.lat,
            format_readout(reading.lon, reading.lat, profile, registry),
            source=reading.coordsys,
            stated=reading.stated,
            error_m=reading.accuracy_m,
            note=reading.note,
        )
        for reading in readings
    ]
    ambiguous = len(readings) > 1 and not readings[0].stated
    for feature in features:
        feature["properties"]["geocoding"]["ambiguous"] = ambiguous
    return collection(features, text, ambiguous=ambiguous)


async def geocode(
    gazetteer: GazetteerService,
    connect: Connect,
    principal: Principal,
    texts: Sequence[str],
    *,
    profile: CityProfile,
    registry: DatumRegistry,
    hints: Hints | None = None,
    explain: bool = True,
) -> list[dict[str, Any]]:
    """One GeocodeJSON collection for each text, in order; alone or in a batch the same."""
    typed = [typed_position(text, profile, registry) for text in texts]
    addresses = [text for text, found in zip(texts, typed, strict=True) if found is None]
    answers = iter(await gazetteer.match_many(connect, principal, addresses, hints))
    return [
        answer_document(next(answers), explain=explain) if found is None else found
        for found in typed
    ]


def flat(document: Mapping[str, Any]) -> Row:
    """The first answer of a GeocodeJSON collection as one row; empty cells where there is none."""
    if not document["features"]:
        return dict.fromkeys(MATCH_COLUMNS)
    feature = document["features"][0]
    found = feature["properties"]["geocoding"]
    lon, lat = (None, None) if feature["geometry"] is None else feature["geometry"]["coordinates"]
    return {
        "matched": found["label"],
        "level": found["level"],
        "score": found["score"],
        "error_m": found["error_m"],
        "ambiguous": found["ambiguous"],
        "division_code": found.get("division_code"),
        "lon": lon,
        "lat": lat,
        "coordsys": found["coordsys"],
    }


def in_coordsys(
    document: dict[str, Any], target: Coordsys, registry: DatumRegistry
) -> dict[str, Any]:
    """The collection with its positions in another system, named in every place that names one.

    Geographic systems (gcj02…) replace the coordinates; a plane grid adds ``position`` with
    ``north`` and ``east`` in metres, since GeoJSON coordinates are never metres.
    Raises PositionError where the system cannot hold one of the positions.
    """
    if target.name == "cgcs2000":
        return document
    chain = registry.chain("cgcs2000", target)
    geographic = target.kind == "geographic"
    for feature in document["features"]:
        properties: dict[str, Any] = feature["properties"]["geocoding"]
        geometry: Mapping[str, Any] | None = feature["geometry"]
        if geometry is None:
            continue
        x, y = _held(chain, *geometry["coordinates"])
        if geographic:
            feature["geometry"] = {"type": "Point", "coordinates": [round(x, 9), round(y, 9)]}
            properties["coordsys"] = target.name
        else:
            properties["position"] = {
                "coordsys": target.name,
                "north": round(y, 4),
                "east": round(x, 4),
            }
    if geographic:
        document["coordsys"] = target.name
        asked: dict[str, Any] = document["geocoding"]
        asked["coordsys"] = target.name
        if "lon" in asked:  # the position that was asked about, in the system named beside it
            x, y = _held(chain, asked["lon"], asked["lat"])
            asked["lon"], asked["lat"] = round(x, 9), round(y, 9)
    return document


def _held(chain: DatumChain, lon: float, lat: float) -> tuple[float, float]:
    x, y = chain.point(lon, lat)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise PositionError(
            f"{chain.target.name} 不能表示位置（{lon}, {lat}）。"
            f" {chain.target.name} cannot hold the position ({lon}, {lat})."
        )
    return x, y
