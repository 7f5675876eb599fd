"""A reading on its way to an answer: name, position, error, score and components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gazetteer.answers import Candidate, Component, Reason
from gazetteer.index import Form, GazetteerIndex
from gazetteer.levels import Kind, Level, Status
from gazetteer.locate import How, Located
from gazetteer.normalise import Normalised
from gazetteer.readings import Edge, Reading
from gazetteer.reasons import (
    CORRECTED,
    CROSSING,
    GIVEN_UP,
    HOW_REASON,
    general_reasons,
    named_elsewhere,
)
from gazetteer.records import Place, compatible
from gazetteer.relative import Displacement, displacement

CONFLICT_SCORE = 0.4
"""Highest score of an answer that contradicts a part of the text (hard veto)."""
CROSSING_M = 30.0
"""Error of a crossing: half the width of the wider road and the survey of both."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A reading on its way to candidates."""

    index: GazetteerIndex
    normalised: Normalised
    reading: Reading
    behind: float
    """How much dearer the reading is than the likeliest."""
    crossing: bool = False
    """Whether the place named is a crossing of roads."""

    def named(
        self,
        place: Place,
        level: Level,
        further: Sequence[Reason] = (),
        missing: Edge | None = None,
    ) -> Candidate:
        """A division, road, estate or point of interest as an answer.

        ``missing`` is the number or building in it that has no record.
        """
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
        at = None if spot is None or spot.lon is None or spot.lat is None else (spot.lon, spot.lat)
        lon, lat = (None, None) if at is None else self._moved(*at)
        return Candidate(
            level=level,
            name=place.name,
            label=chain if place.kind.is_division else f"{chain}{place.name}",
            lon=lon,
            lat=lat,
            error_m=self._error(error),
            code=place.code,
            score=self._score(reasons),
            components=self._components(
                place.code, place if level != Level.UNKNOWN else None, missing
            ),
            reasons=tuple(reasons),
            record=(place.layer, place.id, place.fid),
            category=place.category,
            street=place.name if place.kind is Kind.ROAD else "",
        )

    def at_number(
        self,
        edge: Edge,
        name: str,
        number: Edge,
        spot: Located,
        further: Sequence[Reason] = (),
    ) -> Candidate:
        """A house number as an answer."""
        reason = HOW_REASON[spot.how]
        around = "、".join(p.number_text for p in spot.neighbours)
        if around:
            reason = replace(reason, zh=f"{reason.zh}（{around}）", en=f"{reason.en} ({around})")
        record = spot.record or spot.neighbours[0]
        code = (
            record.code
            if record.code
            else self.index.code_of(record.county, record.town, record.village)
        )
        if spot.record is None:  # between two plates the village is not sure
            code = (self.index.code_at(spot.lon, spot.lat) or code)[:9]
        plate = record.number_text or record.building
        if spot.how is not How.EXACT:
            plate = str(number.number)
        road = record.road
        bearer = Place(
            edge.kind, name, code, spot.lon, spot.lat, spot.error_m, "address", record.id
        )
        general = self._general(bearer)
        lon, lat = self._moved(spot.lon, spot.lat)
        return Candidate(
            level=Level.NUMBER,
            name=f"{name}{plate}",
            label=record.full_address
            if spot.how is How.EXACT
            else f"{self.index.label(code)}{'' if edge.kind.is_division else name}{plate}",
            lon=lon,
            lat=lat,
            error_m=self._error(spot.error_m),
            code=code,
            score=self._score([*general, reason, *further]),
            components=self._components(code, bearer),
            reasons=(*general, reason, *further),
            record=("address", record.id, record.fid),
            house_number=plate,
            street=road,
        )

    def at_crossing(self, one: Edge, other: Edge, lon: float, lat: float) -> Candidate:
        """The crossing of two roads as an answer."""
        road = one.places[0]
        name = f"{road.name}与{other.places[0].name}交叉口"
        code = self.index.code_at(lon, lat)
        if not code:
            code = max((p.code for edge in (one, other) for p in edge.places[:1]), key=len)
            for division in self.reading.codes:
                code = max(code, division, key=len)
        spot = Place(
            Kind.ROAD, name, code, lon, lat, CROSSING_M, road.layer, road.id, road.fid, CROSSING
        )
        found = self.named(spot, Level.CROSSING)
        reason = Reason("crossing", "两条道路相交处", "where the two roads meet")
        return replace(found, reasons=(*found.reasons, reason), street="", category="")

    def _general(self, place: Place) -> tuple[Reason, ...]:
        general = general_reasons(self.normalised, self.reading, self.behind, place)
        named = map(named_elsewhere, filter(self._is_name, self.reading.edges))
        return (*general, *named, *self._given_up(place))

    def _given_up(self, place: Place) -> Iterable[Reason]:
        """What it costs that a division named in the text was left unread, and is elsewhere."""
        key = self.normalised.key
        for low, high in () if self.reading.restarted else self.reading.unread(key):
            bearers = [
                bearer
                for entry in self.index.entries(key[low:high])
                if entry.form is Form.FULL and entry.kind.is_division
                for bearer in entry.places
            ]
            if bearers and not any(compatible(bearer.code, place.code) for bearer in bearers):
                yield GIVEN_UP
                return

    def _is_name(self, edge: Edge) -> bool:
        """Whether what was corrected to another village is a village's name as it stands."""
        return edge.form in CORRECTED and any(
            entry.form is Form.FULL and entry.kind is edge.kind is Kind.VILLAGE
            for entry in self.index.entries(self.normalised.key[edge.start : edge.end])
        )

    def _way(self) -> Displacement | None:
        return displacement(self.reading, crossing=self.crossing)

    def _moved(self, lon: float, lat: float) -> tuple[float, float]:
        way = self._way()
        return (lon, lat) if way is None else way.moved(lon, lat)

    def _error(self, error: float | None) -> float | None:
        if error is None:
            return None
        way = self._way()
        return round(error + (0.0 if way is None else way.error_m), 1)

    def _score(self, reasons: Iterable[Reason]) -> float:
        score = 1.0 + sum(reason.delta for reason in reasons)
        if self.reading.conflicts:
            score = min(score, CONFLICT_SCORE)
        return round(max(0.05, min(1.0, score)), 3)

    def _components(
        self, code: str, place: Place | None, missing: Edge | None = None
    ) -> tuple[Component, ...]:
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
            component = self._component(edge.kind, value, "", edge)
            if edge is missing:
                component = replace(component, status=Status.UNMATCHED)
            out.append(component)
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
