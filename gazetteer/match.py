"""From readings to answers: candidates, scores by element, honest ambiguity, explanation.

Matching is two pure steps around one look-up: ``wanted(parse)`` names the roads, estates and
villages whose address rows are needed, ``resolve`` judges with these rows. Single queries and
batches run the same two functions; they differ only in how many queries share the look-up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gazetteer.answers import (
    AddressRows,
    Answer,
    Asked,
    Candidate,
    Component,
    Hints,
    Reason,
    keys_of,
)
from gazetteer.history import other_names
from gazetteer.index import Form, GazetteerIndex
from gazetteer.levels import DIVISION_LEVEL, Kind, Level, Status
from gazetteer.locate import How, Located, distance_m, locate
from gazetteer.normalise import Normalised, is_han, key_of
from gazetteer.numbers import building_number, main_number
from gazetteer.parse import DISPLACING
from gazetteer.readings import Edge, Parse, Reading
from gazetteer.records import AddressPoint, Place, compatible, contains

AMBIGUOUS_GAP = 0.06
"""Answers closer in score than this and not at one place are rivals."""
AMBIGUOUS_SCORE = 0.6
"""Highest score of an answer that has rivals; no client should take it unseen."""
CONFLICT_SCORE = 0.4
"""Highest score of an answer that contradicts a part of the text (hard veto)."""
DISPLACED_M = 300.0
"""Added to the error where the text says beside or opposite the place found."""


def wanted(parse: Parse) -> frozenset[Asked]:
    """The keys of the address rows needed to judge this parse."""
    keys: set[Asked] = set()
    for reading in parse.readings:
        number, building = reading.edge(Kind.NUMBER), reading.edge(Kind.BUILDING)
        for edge in reading.edges:
            if edge.kind is Kind.ESTATE and building is not None:
                keys.update(keys_of(edge, main_number(building.value)))
            elif edge.kind in (Kind.ROAD, Kind.VILLAGE) and number and number.number:
                keys.update(keys_of(edge, number.number.main))
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
    for reading in parse.readings:
        if reading.outside:
            continue
        for candidate in _candidates(index, normalised, reading, rows, reading.cost - best.cost):
            identity = (*candidate.record[:2], candidate.house_number)
            known = found.get(identity)
            if known is None or candidate.score > known.score:
                found[identity] = candidate
    kept = [c for c in found.values() if _inside(c, hints.bbox)]
    kept.sort(key=lambda c: (-round(c.score, 3), _focus_distance(c, hints.focus), c.code, c.label))
    if not kept:
        return Answer(normalised, (), ambiguous=False, reasons=(_nothing(),))
    rivals = _rivals(kept)
    if rivals:
        kept = [_ambiguous(c, len(rivals) + 1) if c.score > AMBIGUOUS_SCORE else c for c in kept]
    return Answer(normalised, tuple(kept[: hints.limit]), ambiguous=bool(rivals))


def _is_elsewhere(index: GazetteerIndex, edge: Edge) -> bool:
    city = index.city_code
    return bool(edge.codes) and not any(compatible(city, code) for code in edge.codes)


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
    divisions = set(DIVISION_LEVEL.values())
    if one.level in divisions or other.level in divisions:
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
    draft = _Draft(index, normalised, reading, behind)
    number, road = reading.edge(Kind.NUMBER), reading.edge(Kind.ROAD)
    held = [e for e in (road, reading.edge(Kind.ESTATE), reading.edge(Kind.VILLAGE)) if e]
    poi = reading.edge(Kind.POI)
    produced: list[Candidate] = []
    building, estate = reading.edge(Kind.BUILDING), reading.edge(Kind.ESTATE)
    if number is None and building is not None and estate is not None:
        produced += _built(draft, estate, building, rows)
    if number is not None and number.number is not None:
        for edge in held:
            produced += _numbered(draft, edge, number, rows)
            if produced:
                break
    if poi is not None and poi.places:
        produced += [draft.named(place, Level.POI) for place in poi.places]
    if produced:
        return produced
    lost = [] if number is None else [_number_lost(number)]
    for known, level in ((reading.edge(Kind.ESTATE), Level.ESTATE), (road, Level.ROAD)):
        if known is not None and known.places:
            return [draft.named(place, level, lost) for place in known.places]
    divisions = next((e for e in reversed(reading.edges) if e.codes), None)
    if divisions is None:
        return []
    return [
        draft.named(place, DIVISION_LEVEL[place.kind], lost)
        for place in divisions.places
        if any(contains(place.code, code) for code in reading.codes)
    ]


def _number_lost(number: Edge) -> Reason:
    return Reason(
        "number-missing", f"没有门牌 {number.value} 的记录", f"no record of {number.value}", -0.3
    )


def _numbered(draft: _Draft, edge: Edge, number: Edge, rows: AddressRows) -> list[Candidate]:
    """House numbers of a road, an estate or a village, county by county."""
    plate = number.number
    if plate is None or not edge.places:
        return []
    codes = draft.reading.codes or frozenset({""})
    groups: dict[tuple[str, str], list[AddressPoint]] = defaultdict(list)
    for name, row in rows.of(edge, plate.main):
        if any(compatible(code, row.code) for code in codes):
            groups[name, row.code[:6] if edge.kind is Kind.ROAD else row.code].append(row)
    located = [
        (name, spot)
        for (name, _), points in sorted(groups.items())
        for spot in locate(points, plate, draft.index.address_accuracy_m)
    ]
    if any(spot.how is How.EXACT for _, spot in located):  # a plate beats any reckoning
        located = [(name, spot) for name, spot in located if spot.how is How.EXACT]
    return [draft.at_number(edge, name, number, spot) for name, spot in located]


def _built(draft: _Draft, estate: Edge, building: Edge, rows: AddressRows) -> list[Candidate]:
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


_HOW_REASON = {
    How.EXACT: Reason("number", "门牌相符", "the house number is on record"),
    How.MAIN_NUMBER: Reason(
        "main-number", "主门牌相符，附号没有记录", "main number on record, its suffix is not", -0.08
    ),
    How.INTERPOLATED: Reason(
        "interpolated", "由相邻门牌内插", "interpolated between neighbouring numbers", -0.15
    ),
    How.NEAREST: Reason(
        "nearest", "取最近的门牌", "position of the nearest number on record", -0.25
    ),
}
_FORM_REASON = {
    Form.SHORT: ("short-name", "简称", "short name"),
    Form.CLASS: ("other-class", "通名不同", "other class word"),
    Form.PINYIN: ("pinyin", "拼音", "pinyin"),
    Form.FORMER: ("former-name", "旧名", "former name"),
    Form.ALIAS: ("alias", "别名", "alias"),
    Form.INITIALS: ("initials", "拼音首字母", "pinyin initials"),
    Form.HOMOPHONE: ("homophone", "同音字", "sounds the same"),
    Form.FUZZY: ("one-character", "一字之差", "one character differs"),
}
_FORM_DELTA = {
    Form.CLASS: -0.08,
    Form.PINYIN: -0.05,
    Form.FORMER: -0.03,
    Form.ALIAS: -0.05,
    Form.INITIALS: -0.15,
    Form.HOMOPHONE: -0.11,
    Form.FUZZY: -0.12,
}
_SHORT_DELTA = {Kind.PROVINCE: 0.0, Kind.CITY: 0.0, Kind.COUNTY: 0.0, Kind.TOWN: -0.02}


def _general_reasons(
    normalised: Normalised, reading: Reading, behind: float, place: Place
) -> Iterable[Reason]:
    """What the reading as a whole takes from the score, whatever it is matched to."""
    for edge in reading.edges:
        if edge.form in _FORM_REASON and edge.form is not None:
            rule, zh, en = _FORM_REASON[edge.form]
            delta = _FORM_DELTA.get(edge.form) or _SHORT_DELTA.get(edge.kind, -0.05)
            typed = normalised.original(edge.start, edge.end)
            meant = _meant(edge, place)
            if edge.form in (Form.FORMER, Form.ALIAS):
                zh = f"{zh}：{_became(normalised.key[edge.start : edge.end], place.code[:4])}"
            yield Reason(rule, f"{typed} → {meant}（{zh}）", f"{en}: {meant}", delta)
            if edge.form in (Form.FUZZY, Form.HOMOPHONE) and not _confirmed(reading, edge):
                yield Reason(
                    "unconfirmed",
                    "没有上级地名佐证",
                    "no other name in the text confirms the correction",
                    -0.2,
                )
        elif edge.is_unknown and not edge.codes:
            yield Reason(
                "unknown-name",
                f"{edge.kind.zh}“{edge.value}”不在地名库中",
                f"{edge.kind.label} {edge.value!r} is not in the gazetteer",
                -0.2,
            )
    key = normalised.key
    unread = reading.unread(key)
    if unread:
        total = max(1, sum(is_han(c) or c.isalnum() for c in key))
        missed = sum(is_han(c) or c.isalnum() for low, high in unread for c in key[low:high])
        words = "、".join(normalised.original(low, high) for low, high in unread)[:60]
        yield Reason(
            "unread",
            f"未用到：{words}",
            f"not used: {words}",
            -max(0.05, 0.03 * missed, 0.45 * missed / total),
        )
    if any(_between_names(reading, low, high) for low, high in unread):
        yield Reason("gap", "名称之前有未读的字", "characters before a name were not read", -0.12)
    for before, after in reading.conflicts:
        yield Reason(
            "conflict",
            f"{after.value}不属于{before.value}",
            f"{after.value} is not in {before.value}",
            -0.5,
        )
    if reading.restarted:
        yield Reason(
            "restart", "前面的区划与后文矛盾，以后文为准", "an earlier division was given up", -0.25
        )
    if _displaced(reading):
        yield Reason(
            "displaced", "文中说的是附近，不是原处", "the text says near it, not at it", -0.1
        )
    if behind > 0:
        yield Reason("other-reading", "另一种读法", "another reading is likelier", -0.08 * behind)


def _became(typed: str, city_code: str) -> str:
    """What became of a former name, or what an alias is for."""
    known = (o.reason for o in other_names(city_code) if key_of(o.name) == typed)
    return next(known, "")


def _between_names(reading: Reading, low: int, high: int) -> bool:
    """Whether unread characters stand directly before a name, so belong to it."""
    return (low == 0 or any(e.end == low and e.places for e in reading.edges)) and any(
        e.start == high and e.places for e in reading.edges
    )


def _confirmed(reading: Reading, edge: Edge) -> bool:
    """Whether another name leaves few enough places for a misspelled one: its county or nearer."""
    return any(
        e is not edge and e.form in (Form.FULL, Form.SHORT, Form.CLASS) and e.kind >= Kind.COUNTY
        for e in reading.edges
    )


def _meant(edge: Edge, place: Place) -> str:
    """Which of the names that an edge may stand for leads to the place."""
    if edge.kind is place.kind and not edge.codes:
        return place.name
    fitting = (p.name for p in edge.places if contains(p.code, place.code))
    return next(fitting, edge.value)


def _displaced(reading: Reading) -> bool:
    return any(e.kind is Kind.NOTE and e.value in DISPLACING for e in reading.edges)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A reading on its way to candidates."""

    index: GazetteerIndex
    normalised: Normalised
    reading: Reading
    behind: float
    """How much dearer the reading is than the likeliest."""

    def named(self, place: Place, level: Level, further: Sequence[Reason] = ()) -> Candidate:
        """A division, road, estate or point of interest as an answer."""
        spot = self.index.positioned(place)
        reasons = [*self._general(place), *further]
        if spot is None:
            reasons.append(Reason("no-position", "没有位置", "no layer gives a position"))
        elif spot is not place:
            reasons.append(
                Reason("position-above", f"位置取自{spot.name}", f"position of {spot.name}", -0.05)
            )
        error = None if spot is None or spot.radius_m is None else spot.radius_m
        chain = self.index.label(place.code)
        return Candidate(
            level=level,
            name=place.name,
            label=chain if place.kind.is_division else f"{chain}{place.name}",
            lon=None if spot is None else spot.lon,
            lat=None if spot is None else spot.lat,
            error_m=self._error(error),
            code=place.code,
            score=self._score(reasons),
            components=self._components(place.code, place if level != Level.UNKNOWN else None),
            reasons=tuple(reasons),
            record=(place.layer, place.id, place.fid),
            category=place.category,
            street=place.name if place.kind is Kind.ROAD else "",
        )

    def at_number(self, edge: Edge, name: str, number: Edge, spot: Located) -> Candidate:
        """A house number as an answer."""
        reason = _HOW_REASON[spot.how]
        around = "、".join(p.number_text for p in spot.neighbours)
        if around:
            reason = replace(reason, zh=f"{reason.zh}（{around}）", en=f"{reason.en} ({around})")
        record = spot.record or spot.neighbours[0]
        code = (
            record.code
            if record.code
            else self.index.code_of(record.county, record.town, record.village)
        )
        if spot.record is None:
            code = code[:9]  # between two plates the village is not sure
        plate = record.number_text or record.building
        if spot.how is not How.EXACT:
            plate = str(number.number)
        road = record.road
        bearer = Place(
            edge.kind, name, code, spot.lon, spot.lat, spot.error_m, "address", record.id
        )
        general = self._general(bearer)
        return Candidate(
            level=Level.NUMBER,
            name=f"{name}{plate}",
            label=record.full_address
            if spot.how is How.EXACT
            else f"{self.index.label(code)}{'' if edge.kind.is_division else name}{plate}",
            lon=spot.lon,
            lat=spot.lat,
            error_m=self._error(spot.error_m),
            code=code,
            score=self._score([*general, reason]),
            components=self._components(code, bearer),
            reasons=(*general, reason),
            record=("address", record.id, record.fid),
            house_number=plate,
            street=road,
        )

    def _general(self, place: Place) -> tuple[Reason, ...]:
        return tuple(_general_reasons(self.normalised, self.reading, self.behind, place))

    def _error(self, error: float | None) -> float | None:
        if error is None:
            return None
        return round(error + (DISPLACED_M if _displaced(self.reading) else 0.0), 1)

    def _score(self, reasons: Iterable[Reason]) -> float:
        score = 1.0 + sum(reason.delta for reason in reasons)
        if self.reading.conflicts:
            score = min(score, CONFLICT_SCORE)
        return round(max(0.05, min(1.0, score)), 3)

    def _components(self, code: str, place: Place | None) -> tuple[Component, ...]:
        out: list[Component] = []
        for division in self.index.chain(code):
            edge = next(
                (
                    e
                    for e in reversed(self.reading.edges)
                    if e.kind is division.kind and division.code in e.codes
                ),
                None,
            )
            out.append(self._component(division.kind, division.name, division.code, edge))
        for edge in sorted(self.reading.edges, key=lambda e: (e.kind, e.start)):
            if edge.codes or edge.kind is Kind.NOTE:
                continue
            value = edge.value
            if place is not None and edge.kind is place.kind:
                value = place.name
            out.append(self._component(edge.kind, value, "", edge))
        if (
            place is not None
            and not place.kind.is_division
            and not any(c.kind is place.kind for c in out)
        ):
            out.append(Component(place.kind, place.name, Status.COMPLETED))
        return tuple(out)

    def _component(self, kind: Kind, value: str, code: str, edge: Edge | None) -> Component:
        if edge is None:
            return Component(kind, value, Status.COMPLETED, code=code)
        return Component(
            kind,
            value,
            edge.status,
            text=self.normalised.original(edge.start, edge.end),
            code=code,
            span=self.normalised.span(edge.start, edge.end),
        )
