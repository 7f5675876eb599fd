"""From readings to answers: candidates, scores by element, honest ambiguity, explanation.

Matching is two pure steps around one look-up: ``wanted(parse)`` names the roads, estates and
villages whose address rows are needed, ``resolve`` judges with these rows. Single queries and
batches run the same two functions; they differ only in how many queries share the look-up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gazetteer.answers import (
    AddressRows,
    Answer,
    Asked,
    Candidate,
    Crossing,
    Hints,
    Reason,
    crossings_of,
    keys_of,
)
from gazetteer.draft import Draft
from gazetteer.index import GazetteerIndex
from gazetteer.levels import DIVISION_LEVEL, Kind, Level
from gazetteer.locate import SAME_SPOT_M, How, Located, distance_m, locate
from gazetteer.normalise import Normalised, is_han
from gazetteer.numbers import KILOMETRE, HouseNumber, building_number, main_number
from gazetteer.readings import Edge, Parse, Reading
from gazetteer.reasons import unknown_name
from gazetteer.records import AddressPoint, compatible, contains
from gazetteer.relative import CROSSINGS

AMBIGUOUS_GAP = 0.06
"""Answers closer in score than this and not at one place are rivals."""
AMBIGUOUS_SCORE = 0.6
"""Highest score of an answer that has rivals; no client should take it unseen."""
CODE_LENGTH_OF_COUNTY = 6
COARSER = 0.02
"""How far a division stays behind a place in it that a likelier reading names."""
_HARMLESS = frozenset("的第为是在约那个至到和与及")
_QUALIFYING = 4
"""Unread characters between a road and a number that say what bears the number; more are prose."""
_STROKES = frozenset("/&×x+-*")
"""Signs that join the names of two roads that cross."""
_DIVISION_LEVELS = frozenset(DIVISION_LEVEL.values())
_BEARERS = {KILOMETRE: "里程桩", "灯杆": "灯杆", "自编": "自编号", "旧": "旧门牌"}
"""What bears a number of a kind, in the words of an explanation."""


def wanted(parse: Parse) -> frozenset[Asked | Crossing]:
    """The keys of the address rows and crossings needed to judge this parse."""
    keys: set[Asked | Crossing] = set()
    key = parse.normalised.key
    for reading in parse.readings:
        roads = _crossing_roads(reading, key)
        if roads is not None:
            keys.update(crossings_of(*roads))
        number, building = reading.edge(Kind.NUMBER), reading.edge(Kind.BUILDING)
        for edge in reading.edges:
            if edge.kind is Kind.ESTATE and building is not None:
                keys.update(keys_of(edge, main_number(building.value)))
            elif edge.kind in (Kind.ROAD, Kind.VILLAGE) and number and number.number:
                for main in _mains(number.number):
                    keys.update(keys_of(edge, main))
    return frozenset(keys)


def resolve(index: GazetteerIndex, parse: Parse, rows: AddressRows, hints: Hints) -> Answer:
    """Judge all readings of a text with the address rows it wanted."""
    normalised = parse.normalised
    best = parse.readings[0]
    if best.outside:
        name = next((e.value for e in best.edges if _is_elsewhere(index, e)), "")
        reason = Reason(
            "outside", f"{name}不在本市范围内", "the address names a division outside this city"
        )
        return Answer(normalised, (), ambiguous=False, reasons=(reason,))
    found: dict[tuple[object, ...], Candidate] = {}
    judged: list[tuple[Reading, list[Candidate]]] = []
    for reading in parse.readings:
        if reading.outside:
            continue
        fuller = [c for other, some in judged if _says_more(other, reading) for c in some]
        produced = list(_candidates(index, normalised, reading, rows, reading.cost - best.cost))
        judged.append((reading, produced))
        for candidate in (_behind_finer(c, fuller) for c in produced):
            identity = (*candidate.record[:2], candidate.house_number)
            known = found.get(identity)
            if known is None or candidate.score > known.score:
                found[identity] = candidate
    kept = [c for c in found.values() if _inside(c, hints.bbox)]
    kept.sort(key=lambda c: (-round(c.score, 3), _focus_distance(c, hints.focus), c.code, c.label))
    if not kept:
        reasons = (_nothing(), *map(unknown_name, filter(_is_guess, best.edges)))
        return Answer(normalised, (), ambiguous=False, reasons=reasons)
    rivals = _rivals(kept)
    if rivals:
        kept = [_ambiguous(c, len(rivals) + 1) if c.score > AMBIGUOUS_SCORE else c for c in kept]
    return Answer(normalised, tuple(kept[: hints.limit]), ambiguous=bool(rivals))


def _says_more(likelier: Reading, reading: Reading) -> bool:
    """Whether a likelier reading has all the names of this one and corrects another."""
    names = {(e.start, e.end, e.kind) for e in reading.edges if e.places}
    more = {(e.start, e.end, e.kind) for e in likelier.edges if e.places}
    return names < more and not likelier.conflicts and not likelier.restarted


def _behind_finer(candidate: Candidate, fuller: Sequence[Candidate]) -> Candidate:
    """A division is no better an answer than what a likelier reading finds inside it.

    However doubtful a corrected village is, the text says it rather than the city alone.
    """
    inside = [
        c.score
        for c in fuller
        if len(c.code) > len(candidate.code) and contains(candidate.code, c.code)
    ]
    if candidate.level not in _DIVISION_LEVELS or not inside or candidate.score < max(inside):
        return candidate
    score = round(max(inside) - COARSER, 3)
    reason = Reason(
        "coarser",
        "另一种读法读出了其中的地名",
        "another reading names a place in it",
        round(score - candidate.score, 3),
    )
    return replace(candidate, score=score, reasons=(*candidate.reasons, reason))


def _is_elsewhere(index: GazetteerIndex, edge: Edge) -> bool:
    city = index.city_code
    return bool(edge.codes) and not any(compatible(city, code) for code in edge.codes)


def _is_guess(edge: Edge) -> bool:
    """Whether an edge is a name by its shape alone."""
    return edge.is_unknown and not edge.codes


def _nothing() -> Reason:
    return Reason("nothing", "没有可识别的地名", "no name of this gazetteer is in the text")


def _rivals(ranked: Sequence[Candidate]) -> list[Candidate]:
    """Candidates as good as the first that mean another place."""
    first = ranked[0]
    return [
        other
        for other in ranked[1:]
        if first.score - other.score < AMBIGUOUS_GAP and not _same_place(first, other)
    ]


def _same_place(one: Candidate, other: Candidate) -> bool:
    if one.level is other.level and one.name != other.name:
        return False
    if one.level in _DIVISION_LEVELS or other.level in _DIVISION_LEVELS:
        # a division and something in it that bears its name are one place for the asker
        return one.level is not other.level and (
            contains(one.code, other.code) or contains(other.code, one.code)
        )
    if None in (one.lon, one.lat, other.lon, other.lat):
        return False
    apart = distance_m(one.lon or 0, one.lat or 0, other.lon or 0, other.lat or 0)
    return apart <= max(one.error_m or 0.0, other.error_m or 0.0, 50.0)


def _ambiguous(candidate: Candidate, count: int) -> Candidate:
    delta = AMBIGUOUS_SCORE - candidate.score
    reason = Reason(
        "ambiguous", f"有 {count} 处同样符合", f"{count} places fit equally well", round(delta, 3)
    )
    return replace(candidate, score=AMBIGUOUS_SCORE, reasons=(*candidate.reasons, reason))


def _inside(candidate: Candidate, bbox: tuple[float, float, float, float] | None) -> bool:
    if bbox is None:
        return True
    if candidate.lon is None or candidate.lat is None:
        return False
    west, south, east, north = bbox
    return west <= candidate.lon <= east and south <= candidate.lat <= north


def _focus_distance(candidate: Candidate, focus: tuple[float, float] | None) -> float:
    if focus is None or candidate.lon is None or candidate.lat is None:
        return 0.0
    return distance_m(*focus, candidate.lon, candidate.lat)


def _candidates(
    index: GazetteerIndex,
    normalised: Normalised,
    reading: Reading,
    rows: AddressRows,
    behind: float,
) -> Iterable[Candidate]:
    """All answers of one reading, from the finest component that the gazetteer holds."""
    roads = _crossing_roads(reading, normalised.key)
    if roads is not None:
        met = Draft(index, normalised, reading, behind, crossing=True)
        crossings = _met(met, roads, rows)
        if crossings:
            return crossings
    draft = Draft(index, normalised, reading, behind)
    number, road = reading.edge(Kind.NUMBER), reading.named(Kind.ROAD)
    estate, poi = reading.named(Kind.ESTATE), reading.named(Kind.POI)
    held = [e for e in (road, estate, reading.edge(Kind.VILLAGE)) if e]
    produced: list[Candidate] = []
    building = reading.edge(Kind.BUILDING)
    if number is None and building is not None and estate is not None:
        produced += _built(draft, estate, building, rows)
    qualified = "" if number is None else _before_number(reading, normalised.key, number)
    if number is not None and number.number is not None and not qualified:
        for edge in held:
            produced += _numbered(draft, edge, number, rows)
            if produced:
                break
    if poi is not None and poi.places:
        produced += [draft.named(place, Level.POI) for place in poi.places]
    if produced:
        return produced
    missing = number or building
    lost = [] if missing is None else [_lost(missing, qualified)]
    for known, level in ((estate, Level.ESTATE), (road, Level.ROAD)):
        if known is not None and known.places:
            return [draft.named(place, level, lost, missing) for place in known.places]
    # 扶贵村…，已向程江镇反映: the town named once more behind its village is not meant
    divisions = max(
        (e for e in reversed(reading.edges) if e.codes & reading.codes),
        key=lambda e: e.kind,
        default=next((e for e in reversed(reading.edges) if e.codes), None),
    )
    if divisions is None:
        return []
    return [
        draft.named(place, DIVISION_LEVEL[place.kind], lost, missing)
        for place in divisions.places
        if any(contains(place.code, code) for code in reading.codes)
    ]


def _crossing_roads(reading: Reading, key: str) -> tuple[Edge, Edge] | None:
    """The two roads of a reading that names their crossing, if it names one."""
    if reading.edge(Kind.NUMBER) is not None:
        return None
    roads = [e for e in reading.edges if e.kind is Kind.ROAD and e.places]
    if len(roads) != 2:
        return None
    one, other = roads
    between = reading.edges[reading.edges.index(one) + 1 : reading.edges.index(other)]
    said = any(e.kind is Kind.NOTE and e.value in CROSSINGS for e in reading.edges)
    joined = all(e.kind is Kind.NOTE for e in between)
    stroke = set(key[one.end : other.start]) & _STROKES
    near = said or between or stroke or one.end == other.start
    return (one, other) if joined and near else None


def _met(draft: Draft, roads: tuple[Edge, Edge], rows: AddressRows) -> list[Candidate]:
    """The crossings of two roads that lie on the first one as the text places it."""
    spots: list[tuple[float, float]] = []
    for lon, lat in rows.crossing(*roads):
        on_road = any(
            p.lon is None
            or p.lat is None
            or p.radius_m is None
            or distance_m(lon, lat, p.lon, p.lat) <= p.radius_m + SAME_SPOT_M
            for p in roads[0].places
        )
        if on_road and all(distance_m(lon, lat, *spot) > SAME_SPOT_M for spot in spots):
            spots.append((lon, lat))
    return [draft.at_crossing(*roads, lon, lat) for lon, lat in spots]


def _before_number(reading: Reading, key: str, number: Edge) -> str:
    """What stands unread between a road and the number behind it: 摊位 of …路摊位37号.

    Then the number is not the road's: what bears it has no record here.
    """
    before = [e for e in reading.edges if e.end <= number.start and e.kind is not Kind.NOTE]
    if not before or before[-1].kind is not Kind.ROAD:
        return ""
    road = before[-1]
    between = [
        key[low:high]
        for low, high in reading.unread(key)
        if road.end <= low and high <= number.start
    ]
    said = "".join(c for c in "".join(between) if is_han(c) and c not in _HARMLESS)
    return said if len(said) <= _QUALIFYING else ""


def _lost(part: Edge, qualified: str) -> Reason:
    """Why the answer is coarser than the text: no record bears its number or building."""
    if qualified:
        return Reason(
            "number-of-other",
            f"“{qualified}{part.value}”不是道路的门牌",
            f"{part.value} is the number of {qualified!r}, not a plate of the road",
            -0.2,
        )
    if part.kind is Kind.BUILDING:
        what = f"没有楼栋 {part.value} 的记录，取所在的地名"
        return Reason("building-missing", what, f"no record of building {part.value}", -0.2)
    kind = "" if part.number is None else part.number.kind
    called = _BEARERS.get(kind, "门牌")
    return Reason(
        "number-missing",
        f"没有{called} {part.value} 的记录，取所在的地名",
        f"no record of {part.value}; the place around it",
        -0.3,
    )


def _numbered(draft: Draft, edge: Edge, number: Edge, rows: AddressRows) -> list[Candidate]:
    """House numbers of a road, an estate or a village, county by county."""
    plate = number.number
    if plate is None or not edge.places:
        return []
    codes = draft.reading.codes or frozenset({""})
    located = _located(draft, edge, plate, rows, codes)
    if any(spot.how is How.EXACT for _, spot in located):  # a plate beats any reckoning
        located = [(name, spot) for name, spot in located if spot.how is How.EXACT]
    if located or edge.kind is not Kind.ROAD:
        return [draft.at_number(edge, name, number, spot) for name, spot in located]
    # the road has this plate in the county, only not in the town that the text names
    counties = frozenset(code[:6] for code in codes if len(code) > CODE_LENGTH_OF_COUNTY)
    return [
        draft.at_number(edge, name, number, spot, [_other_division(draft, codes, spot.record)])
        for name, spot in _located(draft, edge, plate, rows, counties)
        if spot.how is How.EXACT and spot.record is not None
    ]


def _located(
    draft: Draft, edge: Edge, plate: HouseNumber, rows: AddressRows, codes: frozenset[str]
) -> list[tuple[str, Located]]:
    """Where the rows inside the divisions put a plate, with the name that bears it."""
    groups: dict[tuple[str, str], list[AddressPoint]] = defaultdict(list)
    for name, row in (found for main in _mains(plate) for found in rows.of(edge, main)):
        if any(compatible(code, row.code) for code in codes):
            group = groups[name, row.code[:6] if edge.kind is Kind.ROAD else row.code]
            if row not in group:
                group.append(row)
    return [
        (name, spot)
        for (name, county), points in sorted(groups.items())
        for spot in locate(
            points,
            plate,
            draft.index.address_accuracy_m,
            rows.line(name, county, plate.main) if edge.kind is Kind.ROAD else None,
        )
    ]


def _mains(plate: HouseNumber) -> tuple[int, ...]:
    """The main numbers whose rows place a number: of a spot between posts those of both."""
    return (plate.main, plate.main + 1) if plate.kind == KILOMETRE else (plate.main,)


def _other_division(draft: Draft, codes: frozenset[str], record: AddressPoint) -> Reason:
    """What it costs that the plate lies in another town or village than the text says."""
    same_town = any(code[:9] == record.code[:9] for code in codes)
    where = draft.index.label(record.code if same_town else record.code[:9])
    return Reason(
        "other-division",
        f"该门牌登记在{where}",
        f"the plate is on record in {where}",
        -0.12 if same_town else -0.25,
    )


def _built(draft: Draft, estate: Edge, building: Edge, rows: AddressRows) -> list[Candidate]:
    """Buildings of an estate (恒发苑D1栋): the record of the building, by its number alone."""
    codes = draft.reading.codes or frozenset({""})
    return [
        draft.at_number(
            estate,
            name,
            building,
            Located(row.lon, row.lat, draft.index.address_accuracy_m, How.EXACT, row),
        )
        for name, row in rows.of(estate, main_number(building.value))
        if row.building
        and not row.unit
        and building_number(row.building) == building.value
        and any(compatible(code, row.code) for code in codes)
    ]
