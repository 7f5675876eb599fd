"""AMap's documents, pure: every number a string, every empty value [], locations "lng,lat" GCJ-02.

Field names and order follow answers of AMap's service; values of ours that it does not have
(``ambiguous``, ``score``) stand at the end, where its clients do not look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gazetteer.answers import Answer, Candidate
from gazetteer.index import GazetteerIndex
from gazetteer.levels import Kind, Level
from gazetteer.reverse import Found, Surroundings
from geoserver_py.compat.areas import adcode, towncode
from layers.city import CityProfile

ToGcj = Callable[[float, float], tuple[float, float]]

USABLE_SCORE = 0.4
"""An answer must score above this: up to it something contradicts, and AMap's clients look at
no score."""
RIVAL_GAP = 0.06
MAX_RIVALS = 10

CATEGORY = {
    "food": ("050000", "餐饮服务"),
    "shopping": ("060000", "购物服务"),
    "service": ("070000", "生活服务"),
    "culture": ("080000", "体育休闲服务"),
    "health": ("090000", "医疗保健服务"),
    "hotel": ("100000", "住宿服务"),
    "scenic": ("110000", "风景名胜"),
    "religious": ("110000", "风景名胜"),
    "residence": ("120000", "商务住宅"),
    "government": ("130000", "政府机构及社会团体"),
    "education": ("140000", "科教文化服务"),
    "transport": ("150000", "交通设施服务"),
    "finance": ("160000", "金融保险服务"),
    "company": ("170000", "公司企业"),
    "utility": ("200000", "公共设施"),
}
"""Category of the layer to AMap's class: only its big classes (first two digits) are comparable."""
PLACE_NAMES = ("190000", "地名地址信息")


def ok(**members: Any) -> dict[str, Any]:
    """A successful answer."""
    return {"status": "1", "info": "OK", "infocode": "10000", **members}


def text(value: str | None) -> str | list[Any]:
    """The value, [] where there is none."""
    return value or []


def location(to_gcj: ToGcj, lon: float | None, lat: float | None) -> str | list[Any]:
    """ "lng,lat" in GCJ-02 of a CGCS2000 position in degrees, eight decimals (1 mm); [] of none."""
    if lon is None or lat is None:
        return []
    x, y = to_gcj(lon, lat)
    return f"{x:.8f},{y:.8f}"


def division_names(index: GazetteerIndex, code: str) -> dict[Kind, str]:
    """Names from province down to what the code says, by level."""
    return {place.kind: place.name for place in index.chain(code)}


def _named(name: str | None, kind: str | None = None) -> dict[str, Any]:
    return {"name": text(name), "type": text(kind if name else None)}


def geocode(
    candidate: Candidate | None,
    index: GazetteerIndex,
    citycode: str,
    to_gcj: ToGcj,
    *,
    ambiguous: bool,
) -> dict[str, Any]:
    """One entry of ``geocodes``; all members [] for an address that was not found."""
    if candidate is None:
        names: dict[Kind, str] = {}
        code = formatted = number = street = level = estate = building = ""
        where: str | list[Any] = []
    else:
        code, formatted = candidate.code, candidate.label
        names = division_names(index, code)
        number, street = candidate.house_number, candidate.street
        level = candidate.level.value if candidate.level is not Level.COORDINATE else "未知"
        where = location(to_gcj, candidate.lon, candidate.lat)
        parts = {component.kind: component.value for component in candidate.components}
        estate, building = parts.get(Kind.ESTATE, ""), parts.get(Kind.POI, "")
    found = candidate is not None
    return {
        "formatted_address": text(formatted),
        "country": text("中国" if found else None),
        "province": text(names.get(Kind.PROVINCE)),
        "citycode": text(citycode if Kind.CITY in names else None),
        "city": text(names.get(Kind.CITY)),
        "district": text(names.get(Kind.COUNTY)),
        "township": text(names.get(Kind.TOWN)),
        "neighborhood": _named(estate, "商务住宅"),
        "building": _named(building),
        "adcode": text(adcode(code)),
        "street": text(street),
        "number": text(number),
        "location": where,
        "level": text(level),
        "ambiguous": "1" if ambiguous else "0",
        "score": "0" if candidate is None else f"{candidate.score:g}",
    }


def usable(answer: Answer, areas: Sequence[str] | None, profile: CityProfile) -> list[Candidate]:
    """Candidates that may be given to a client that sees no score, in the areas asked for.

    One if it is alone; where it has rivals, these too, so that the client can ask. The city
    itself lies at the centre that its profile states, since no layer holds it.
    """
    if areas is None:
        return []
    kept = [
        candidate
        for candidate in (_centred(found, profile) for found in answer.candidates)
        if candidate.score > USABLE_SCORE
        and candidate.lon is not None
        and any(candidate.code.startswith(area) for area in areas)
    ]
    if not kept:
        return []
    best = kept[0].score
    rivals = [c for c in kept if best - c.score < RIVAL_GAP][:MAX_RIVALS]
    return rivals if answer.ambiguous else kept[:1]


def _centred(found: Candidate, profile: CityProfile) -> Candidate:
    if found.lon is not None or found.code != profile.division_code:
        return found
    lon, lat = profile.center
    return replace(found, lon=lon, lat=lat)


def regeocode(
    index: GazetteerIndex,
    found: Surroundings | None,
    citycode: str,
    to_gcj: ToGcj,
    *,
    everything: bool,
) -> dict[str, Any]:
    """What is at a position; all members [] outside the city."""
    around = found or Surroundings()
    here = around.code or (around.address.code if around.address else "")
    names = division_names(index, here)
    document: dict[str, Any] = {
        "formatted_address": text(_formatted(index, around, here)),
        "addressComponent": {
            "country": text("中国" if names else None),
            "province": text(names.get(Kind.PROVINCE)),
            "city": text(names.get(Kind.CITY)),
            "citycode": text(citycode if names else None),
            "district": text(names.get(Kind.COUNTY)),
            "adcode": text(adcode(here)),
            "township": text(names.get(Kind.TOWN)),
            "towncode": text(towncode(here)),
            "neighborhood": _named(None),
            "building": _named(None),
            "streetNumber": _street_number(around.address, to_gcj),
            "businessAreas": [[]],
        },
    }
    if everything:
        document |= {
            "roads": [_road(around.road, to_gcj)] if around.road else [],
            "roadinters": [],
            "pois": [_near(poi, to_gcj) for poi in around.pois],
            "aois": [],
        }
    return document


def _formatted(index: GazetteerIndex, around: Surroundings, code: str) -> str:
    if around.address is not None:
        return around.address.name
    chain = index.label(code)
    return f"{chain}{around.road.name}" if around.road and chain else chain


def _street_number(address: Found | None, to_gcj: ToGcj) -> dict[str, Any]:
    if address is None:
        return {"street": [], "number": [], "direction": [], "distance": []}
    return {
        "street": text(address.road),
        "number": text(address.number),
        "location": location(to_gcj, address.lon, address.lat),
        "direction": text(address.direction),
        "distance": metres(address.distance_m),
    }


def _road(road: Found, to_gcj: ToGcj) -> dict[str, Any]:
    return {
        "id": road.id,
        "name": road.name,
        "direction": text(road.direction),
        "distance": metres(road.distance_m),
        "location": location(to_gcj, road.lon, road.lat),
    }


def _near(poi: Found, to_gcj: ToGcj) -> dict[str, Any]:
    _, kind = CATEGORY.get(poi.category, PLACE_NAMES)
    return {
        "id": poi.id,
        "name": poi.name,
        "type": kind,
        "tel": [],
        "direction": text(poi.direction),
        "distance": metres(poi.distance_m),
        "location": location(to_gcj, poi.lon, poi.lat),
        "address": [],
        "poiweight": [],
        "businessarea": [],
    }


def metres(distance: float) -> str:
    """A distance as AMap writes it."""
    return f"{distance:.4f}".rstrip("0").rstrip(".")


def poi(
    place: Mapping[str, Any], index: GazetteerIndex, citycode: str, to_gcj: ToGcj, *, full: bool
) -> dict[str, Any]:
    """One entry of ``pois``; ``place``: id, name, category, address, code, lon, lat, distance."""
    names = division_names(index, place["code"])
    typecode, kind = CATEGORY.get(place["category"], PLACE_NAMES)
    document: dict[str, Any] = {
        "id": place["id"],
        "name": place["name"],
        "type": kind,
        "typecode": typecode,
        "biz_type": [],
        "address": text(place["address"]),
        "location": location(to_gcj, place["lon"], place["lat"]),
        "tel": [],
        "distance": [] if place["distance"] is None else str(round(place["distance"])),
        "biz_ext": {"rating": [], "cost": []},
        "pname": text(names.get(Kind.PROVINCE)),
        "cityname": text(names.get(Kind.CITY)),
        "adname": text(names.get(Kind.COUNTY)),
        "importance": [],
        "shopid": [],
        "shopinfo": "0",
        "poiweight": [],
    }
    if full:
        document |= {
            "tag": [],
            "postcode": [],
            "website": [],
            "email": [],
            "pcode": text(adcode(place["code"][:2])),
            "citycode": text(citycode if names else None),
            "adcode": text(adcode(place["code"])),
            "gridcode": [],
            "navi_poiid": [],
            "entr_location": [],
            "exit_location": [],
            "business_area": [],
            "match": "0",
            "recommend": "0",
            "timestamp": [],
            "alias": [],
            "indoor_map": "0",
            "indoor_data": {"cpid": [], "floor": [], "truefloor": [], "cmsid": []},
            "groupbuy_num": "0",
            "discount_num": "0",
            "children": [],
            "photos": [],
        }
    return document
