"""OSMnx street graphs (.graphml): layers `edges` and `nodes`, x = lon, y = lat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import shapely

from etl.readers.model import (
    Batch,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    RowBuffer,
    RowProblem,
    SourceInfo,
    choose_layer,
)
from etl.readers.xml import local, release, stream

_NS = "{http://graphml.graphdrawing.org/xmlns}"


@dataclass(frozen=True)
class GraphmlSource:
    """A graph whose nodes have x and y and whose edges may have a WKT `geometry`."""

    path: Path
    options: ReadOptions

    @cached_property
    def _scan(self) -> tuple[dict[str, dict[str, str]], str | None, dict[str, int]]:
        """Keys by domain ({node: {d4: y}}), CRS, and counts of nodes and edges."""
        keys: dict[str, dict[str, str]] = {"node": {}, "edge": {}, "graph": {}}
        counts = {"node": 0, "edge": 0}
        crs = None
        for element in stream(self.path):
            name = local(element)
            if name == "key":
                domain = keys.setdefault(element.get("for", ""), {})
                domain[element.get("id", "")] = element.get("attr.name", "")
            elif name == "data" and keys["graph"].get(element.get("key", "")) == "crs":
                crs = (element.text or "").strip() or None
            elif name in counts:
                counts[name] += 1
                release(element)
        if not keys["node"] or counts["node"] == 0:
            raise ReadError(
                self.path, "不是带坐标的 GraphML 图。", "not a GraphML graph with positioned nodes."
            )
        return keys, crs, counts

    @cached_property
    def info(self) -> SourceInfo:
        """Both layers; their extent is known after reading."""
        keys, crs, counts = self._scan
        declared = None if crs is None else crs.upper()
        edge = ["u", "v", *(n for n in keys["edge"].values() if n != "geometry")]
        node = ["osmid", *(n for n in keys["node"].values() if n not in {"x", "y"})]
        layers = tuple(
            LayerInfo(
                name, kind, tuple(FieldInfo(t, "String") for t in titles), declared, count, None
            )
            for name, kind, titles, count in (
                ("edges", "LineString", edge, counts["edge"]),
                ("nodes", "Point", node, counts["node"]),
            )
        )
        return SourceInfo(self.path, "GraphML", layers, "UTF-8", "UTF-8")

    @property
    def layer(self) -> LayerInfo:
        """`edges` unless `nodes` is asked for."""
        return choose_layer(self.info, self.options.layer or "edges")

    def batches(self) -> Iterator[Batch]:
        """Stream edges or nodes; node positions are kept in memory for straight edges."""
        keys = self._scan[0]
        layer = self.layer
        buffer = RowBuffer(tuple(field.name for field in layer.fields))
        places: dict[str, tuple[float, float]] = {}
        ordinal = 0
        for element in stream(self.path, (f"{_NS}node", f"{_NS}edge")):
            name = local(element)
            values = {
                keys[name].get(child.get("key", ""), ""): child.text or "" for child in element
            }
            if name == "node":
                place = _place(values)
                if place is not None:
                    places[element.get("id", "")] = place
            if name == layer.name[:-1]:
                ordinal += 1
                self._add(buffer, element, values, places, ordinal)
                if len(buffer.rows) >= self.options.batch_rows:
                    yield buffer.take()
            release(element)
        if buffer.rows:
            yield buffer.take()

    def _add(
        self,
        buffer: RowBuffer,
        element: Any,
        values: dict[str, str],
        places: dict[str, tuple[float, float]],
        ordinal: int,
    ) -> None:
        shape: Any = None
        if local(element) == "node":
            record = {"osmid": element.get("id"), **values}
            place = places.get(element.get("id", ""))
            shape = None if place is None else shapely.Point(place)
        else:
            u, v = element.get("source", ""), element.get("target", "")
            record = {"u": u, "v": v, **values}
            if values.get("geometry"):
                shape = shapely.from_wkt(values["geometry"], on_invalid="ignore")
            elif u in places and v in places:
                shape = shapely.LineString([places[u], places[v]])
        if shape is None:
            reason = "没有可用的坐标 no usable coordinates"
            buffer.problems.append(RowProblem(ordinal, None, reason))
        buffer.rows.append(ordinal)
        buffer.records.append(record)
        buffer.geometry.append(shape)


def _place(values: dict[str, str]) -> tuple[float, float] | None:
    try:
        return float(values["x"]), float(values["y"])
    except (KeyError, ValueError):
        return None


def open_graphml(path: Path, options: ReadOptions) -> GraphmlSource:
    """Open a street graph; ReadError when it is none."""
    source = GraphmlSource(path, options)
    _ = source.info
    return source
