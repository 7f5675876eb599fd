"""EPANET and SWMM networks (.inp): nodes as points, links as lines along their vertices.

Layers are the sections (`junctions`, `pipes`, `conduits`, `subcatchments`, ...). A number with a
unit carries it in its field name (`length_ft`, `diameter_mm`): both programs take the units of a
file from its flow units. Neither states a CRS, and many models are schematic: nothing is declared.
Sources: EPANET 2.2 manual, appendix C; SWMM 5.2 manual, appendix D.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import shapely

from etl.readers.encoding import text_encoding
from etl.readers.memory import MemoryLayer, MemorySource, line
from etl.readers.model import ReadError, ReadOptions

MAX_BYTES = 500_000_000

Rows = list[tuple[int, list[str]]]
Place = tuple[float, float]

_US_EPANET = {"CFS", "GPM", "MGD", "IMGD", "AFD"}
_SI_EPANET = {"LPS", "LPM", "MLD", "CMH", "CMD", "CMS"}
_US_SWMM, _SI_SWMM = {"CFS", "GPM", "MGD"}, {"CMS", "LPS", "MLD"}

# Columns after the name; {l} length, {d} diameter, {a} area, {q} flow. Links start with two nodes.
_EPANET_NODES: Mapping[str, str] = {
    "junctions": "elevation_{l} demand_{q} pattern",
    "reservoirs": "head_{l} pattern",
    "tanks": "elevation_{l} init_level_{l} min_level_{l} max_level_{l} diameter_{l} "
    "min_volume_{l}3 volume_curve overflow",
}
_EPANET_LINKS: Mapping[str, str] = {
    "pipes": "length_{l} diameter_{d} roughness minor_loss status",
    "pumps": "parameters*",
    "valves": "diameter_{d} type setting minor_loss",
}
_SWMM_NODES: Mapping[str, str] = {
    "junctions": "invert_{l} max_depth_{l} init_depth_{l} surcharge_depth_{l} ponded_area_{l}2",
    "outfalls": "invert_{l} type parameters*",
    "storage": "invert_{l} max_depth_{l} init_depth_{l} shape parameters*",
    "dividers": "invert_{l} diverted_link type parameters*",
}
_SWMM_LINKS: Mapping[str, str] = {
    "conduits": "length_{l} roughness in_offset_{l} out_offset_{l} init_flow_{q} max_flow_{q}",
    "pumps": "curve status startup_{l} shutoff_{l}",
    "orifices": "type offset_{l} coefficient gated close_time",
    "weirs": "type crest_{l} coefficient gated end_contractions end_coefficient surcharge "
    "road_width road_surface curve",
    "outlets": "offset_{l} type parameters*",
}
_SECTION_SHAPE = "shape geom1_{l} geom2 geom3 geom4 barrels culvert"
_SUBCATCHMENT = "rain_gage outlet area_{a} imperviousness_pct width_{l} slope_pct curb_length_{l}"


@dataclass(frozen=True, slots=True)
class Units:
    """Units of a model: flow as written, and what they imply (manuals, table of units)."""

    flow: str
    us: bool
    swmm: bool

    def fields(self, layout: str) -> list[str]:
        """Field names of a layout with their units."""
        length, area = ("ft", "acre") if self.us else ("m", "ha")
        return layout.format(
            l=length, d="in" if self.us else "mm", a=area, q=self.flow.lower()
        ).split()


def _sections(text: str) -> dict[str, Rows]:
    """Rows by lower-case section; `;` starts a comment; several parts of a section are joined."""
    out: dict[str, Rows] = {}
    current: Rows | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        content = raw.partition(";")[0].strip()
        if content.startswith("["):
            current = out.setdefault(content.strip("[]").strip().lower(), [])
        elif content and current is not None:
            current.append((number, content.split()))
    return out


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class _Model:
    """The parts of a file that rows refer to: places of nodes, vertices, tags, cross-sections."""

    def __init__(self, sections: Mapping[str, Rows], units: Units) -> None:
        self.sections, self.units = sections, units
        self.bad: dict[str, str] = {}
        self.places: dict[str, Place] = {}
        for name, points in self._points("coordinates").items():
            self.places[name] = points[-1]
        self.vertices = self._points("vertices")
        self.rings = self._points("polygons")
        self.symbols = self._points("symbols")
        self.shapes = {self.key(words[0]): words[1:] for _, words in sections.get("xsections", ())}
        self.tags = {
            (words[0].lower(), self.key(words[1])): " ".join(words[2:])
            for _, words in sections.get("tags", ())
            if len(words) > 2
        }

    def key(self, name: str) -> str:
        """SWMM compares names without case, EPANET with."""
        return name.lower() if self.units.swmm else name

    def _points(self, section: str) -> dict[str, list[Place]]:
        out: dict[str, list[Place]] = {}
        for number, words in self.sections.get(section, ()):
            x, y = (_number(word) for word in [*words[1:3], "", ""][:2])
            key = self.key(words[0])
            if x is None or y is None:
                self.bad[key] = (
                    f"第 {number} 行坐标不是数字 the coordinates on line {number} are no numbers"
                )
            else:
                out.setdefault(key, []).append((x, y))
        return out

    def nodes(self, section: str, layout: str) -> MemoryLayer:
        """Points of a node section."""
        fields = self.units.fields(layout)
        layer = MemoryLayer(section, "Point", ("id", *_plain(fields), "tag"))
        for number, words in self.sections.get(section, ()):
            key = self.key(words[0])
            record = _record(fields, words[1:])
            record |= {"id": words[0], "tag": self.tags.get(("node", key))}
            place, reason = self.places.get(key), self.bad.get(key, "")
            if place is None and not reason:
                reason = f"节点 {words[0]} 没有坐标 node {words[0]} has no coordinates"
            layer.add(number, record, None if place is None else shapely.Point(place), reason)
        return layer

    def links(self, section: str, layout: str) -> MemoryLayer:
        """Lines of a link section: from node, vertices, to node."""
        fields = self.units.fields(layout)
        shape = self.units.fields(_SECTION_SHAPE) if section in _SHAPED and self.shapes else []
        names = ("id", "from_node", "to_node", *_plain(fields), *_plain(shape), "tag")
        layer = MemoryLayer(section, "LineString", names)
        for number, words in self.sections.get(section, ()):
            key = self.key(words[0])
            start, end = [*words[1:3], "", ""][:2]
            record = _record(fields, words[3:]) | _record(shape, self.shapes.get(key, []))
            record |= {"id": words[0], "from_node": start, "to_node": end}
            record["tag"] = self.tags.get(("link", key))
            ends = [self.places.get(self.key(node)) for node in (start, end)]
            reason, path = self.bad.get(key, ""), None
            if ends[0] is None or ends[1] is None:
                lost = "、".join(n for n, at in zip((start, end), ends, strict=True) if at is None)
                reason = f"端点 {lost} 没有坐标 its end {lost} has no coordinates"
            else:
                path = line([ends[0], *self.vertices.get(key, []), ends[1]])
                if path is None and not reason:
                    reason = "两端坐标相同 both ends lie on one spot"
            layer.add(number, record, path, reason)
        return layer

    def subcatchments(self) -> MemoryLayer:
        """Polygons of the drained areas."""
        fields = self.units.fields(_SUBCATCHMENT)
        layer = MemoryLayer("subcatchments", "Polygon", ("id", *fields, "tag"))
        for number, words in self.sections.get("subcatchments", ()):
            key = self.key(words[0])
            ring = self.rings.get(key, [])
            record = _record(fields, words[1:])
            record |= {"id": words[0], "tag": self.tags.get(("subcatch", key))}
            reason = self.bad.get(key, "")
            if len(set(ring)) < 3 and not reason:
                reason = "多边形少于三点 its polygon has fewer than three points"
            layer.add(number, record, None if reason else shapely.Polygon(ring), reason)
        return layer

    def raingages(self) -> MemoryLayer:
        """Rain gages at their symbols."""
        layer = MemoryLayer("raingages", "Point", ("id", "parameters"))
        for number, words in self.sections.get("raingages", ()):
            at = self.symbols.get(self.key(words[0]))
            reason = "" if at else "没有 [SYMBOLS] 坐标 no coordinates in [SYMBOLS]"
            shape = shapely.Point(at[-1]) if at else None
            layer.add(number, {"id": words[0], "parameters": " ".join(words[1:])}, shape, reason)
        return layer


_SHAPED = {"conduits", "orifices", "weirs"}


def _plain(fields: list[str]) -> list[str]:
    return [name.rstrip("*") for name in fields]


def _record(fields: list[str], words: list[str]) -> dict[str, str | None]:
    """Values by field; a field with a star takes the rest of the line."""
    out: dict[str, str | None] = {}
    for position, name in enumerate(fields):
        if name.endswith("*"):
            out[name.rstrip("*")] = " ".join(words[position:]) or None
        else:
            out[name] = words[position] if position < len(words) else None
    return out


def _units(path: Path, sections: Mapping[str, Rows], swmm: bool) -> Units:
    key, flow = ("flow_units" if swmm else "units"), ("CFS" if swmm else "GPM")
    for _, words in sections.get("options", ()):
        if words[0].lower() == key and len(words) > 1:
            flow = words[1].upper()
    us, si = (_US_SWMM, _SI_SWMM) if swmm else (_US_EPANET, _SI_EPANET)
    if flow not in us | si:
        known = ", ".join(sorted(us | si))
        raise ReadError(
            path,
            f"[OPTIONS] 的流量单位 {flow} 不认识，可用：{known}。",
            f"unknown flow unit {flow!r} in [OPTIONS]; one of {known}.",
        )
    return Units(flow, flow in us, swmm)


def _map_units(sections: Mapping[str, Rows]) -> str | None:
    for section in ("map", "backdrop"):
        for _, words in sections.get(section, ()):
            if words[0].lower() == "units" and len(words) > 1:
                return words[1]
    return None


def open_inp(path: Path, options: ReadOptions) -> MemorySource:
    """Read a network model whole; ReadError when it is neither EPANET's nor SWMM's."""
    if path.stat().st_size > MAX_BYTES:
        raise ReadError(path, "大于 500 MB。", "larger than 500 MB.")
    encoding, detected = text_encoding(path, options.encoding)
    sections = _sections(path.read_bytes().decode(encoding).lstrip("\ufeff"))
    swmm = bool({"conduits", "subcatchments", "xsections", "outfalls"} & sections.keys())
    if not swmm and not {"junctions", "pipes"} & sections.keys():
        raise ReadError(
            path,
            "不是 EPANET 或 SWMM 模型：没有 [JUNCTIONS]、[PIPES] 或 [CONDUITS]。",
            "neither EPANET nor SWMM: no [JUNCTIONS], [PIPES] or [CONDUITS].",
        )
    units = _units(path, sections, swmm)
    model = _Model(sections, units)
    nodes, links = (_SWMM_NODES, _SWMM_LINKS) if swmm else (_EPANET_NODES, _EPANET_LINKS)
    layers = [model.nodes(name, layout) for name, layout in nodes.items() if sections.get(name)]
    layers += [model.links(name, layout) for name, layout in links.items() if sections.get(name)]
    if sections.get("subcatchments"):
        layers.append(model.subcatchments())
    if sections.get("raingages"):
        layers.append(model.raingages())
    if not layers:
        raise ReadError(path, "模型里没有节点和管段。", "the model has no nodes or links.")
    system = "英制 US customary" if units.us else "公制 SI"
    drawn = _map_units(sections)
    notes = (
        f"流量单位 {units.flow}，{system}：单位见字段名"
        f" flow units {units.flow}: units stand in the field names",
        f"模型不写坐标系，可能是示意图；图上单位 {drawn or '未写'} "
        f"no CRS in the format, the layout may be schematic; map units: {drawn or 'not stated'}",
    )
    driver = "SWMM" if swmm else "EPANET"
    return MemorySource(path, options, driver, tuple(layers), detected or encoding, notes)
