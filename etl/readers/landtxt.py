"""Land survey text of 国土报盘 (勘测定界): plots with holes, coordinates as north, east.

Values are north then east whatever the header calls them. Ring 2 and following are holes where
they lie inside an earlier ring, else further parts. The header's 坐标系, 几度分带 and 带号 become
the declared CRS; the prefix of the eastings decides between the zone and the meridian form.
Variants: 【】 for [], CRLF and GBK, no 转换参数, empty 带号, eastings without prefix, rings not
closed, plot lines of 9 to 14 fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely

from etl.readers.encoding import text_encoding
from etl.readers.memory import MemoryLayer, MemorySource
from etl.readers.model import ReadError, ReadOptions

MAX_BYTES = 500_000_000
LAYER = "地块"
# 自然资源部 report format 1.01: points, area, number, name, kind, sheet, use, land class
_PLOT = (
    "界址点数",
    "地块面积_公顷",
    "地块编号",
    "地块名称",
    "图形属性",
    "图幅号",
    "地块用途",
    "地类编码",
)
_HEADER = re.compile(r"[\[【]\s*(.+?)\s*[\]】]\s*$")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?", re.ASCII)

# EPSG of the Gauss-Krüger systems: first code and first zone with prefix, first code by meridian
# (75E onwards), for 3 and 6 degree zones. Source: EPSG dataset, projected CRS of China.
_SYSTEMS: Mapping[str, Mapping[int, tuple[int, int, int]]] = {
    "CGCS2000": {3: (4513, 25, 4534), 6: (4491, 13, 4502)},
    "Xian 1980": {3: (2349, 25, 2370), 6: (2327, 13, 2338)},
    "Beijing 1954": {3: (2401, 25, 2422), 6: (21413, 13, 21453)},
}


@dataclass(slots=True)
class Plot:
    """A plot line and its rings; points are (north, east) as written."""

    row: int
    values: list[str]
    rings: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def eastings(self) -> Iterable[float]:
        """All eastings."""
        return (east for ring in self.rings.values() for _, east in ring)


def datum_name(text: str) -> str | None:
    """Datum that a 坐标系 entry names, None for any other text."""
    plain = text.upper().replace(" ", "")
    if "2000" in plain:
        return "CGCS2000"
    if "80" in plain or "西安" in plain:
        return "Xian 1980"
    if "54" in plain or "北京" in plain:
        return "Beijing 1954"
    return None


def _zone(east: float) -> int | None:
    """Zone prefix of an easting, None where it has none."""
    zone = int(east // 1e6)
    return zone if 13 <= zone <= 45 else None


def _parse(path: Path, text: str) -> tuple[dict[str, str], list[Plot]]:
    header: dict[str, str] = {}
    plots: list[Plot] = []
    section = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        content = raw.strip().strip("\ufeff\x1a").translate(_WIDE)
        title = _HEADER.match(content)
        if title is not None:
            section = title[1]
        elif not content:
            continue
        elif "=" in content and "坐标" not in section:
            key, _, value = content.partition("=")
            header[key.strip()] = value.strip()
        elif content.endswith("@"):
            plots.append(Plot(number, [c.strip() for c in content[:-1].split(",")]))
        else:
            _point(path, number, content, plots)
    return header, plots


_WIDE = str.maketrans("，＝＠", ",=@")


def _point(path: Path, number: int, content: str, plots: list[Plot]) -> None:
    if not plots:
        raise ReadError(
            path,
            f"第 {number} 行在任何地块之前：地块行应以 @ 结束。",
            f"line {number} stands before any plot line (a plot line ends with @).",
        )
    cells = [cell.strip() for cell in content.split(",")]
    plot = plots[-1]
    if len(cells) < 4 or not all(_NUMBER.fullmatch(cell) for cell in cells[2:4]):
        plot.reasons.append(
            f"第 {number} 行不是界址点（点号,圈号,北,东） line {number} is no boundary point"
        )
        return
    plot.rings.setdefault(cells[1] or "1", []).append((float(cells[2]), float(cells[3])))


def _polygon(plot: Plot, shift: Mapping[int, float]) -> tuple[shapely.Geometry | None, str]:
    """Polygon of a plot, x = east; or the reason why there is none."""
    if plot.reasons:
        return None, "；".join(plot.reasons[:3])
    shells: list[list[np.ndarray]] = []
    for name, points in plot.rings.items():
        ring = np.array([(e - shift.get(_zone(e) or 0, 0.0), n) for n, e in points])
        if len(np.unique(ring, axis=0)) < 3:
            return None, f"第 {name} 圈少于三点 ring {name} has fewer than three points"
        if np.all(np.abs(ring[:, 1]) < 1e6) and np.all(ring[:, 0] > 1.9e6):
            return None, (
                "北、东坐标颠倒：应先北（X）后东（Y） north and east are the wrong way round: "
                "north (X) stands first"
            )
        inside = shapely.Point(ring[0])
        for shell in shells:
            if shapely.Polygon(shell[0]).covers(inside):
                shell.append(ring)
                break
        else:
            shells.append([ring])
    if not shells:
        return None, "没有界址点 no boundary points"
    parts = [shapely.Polygon(outer, holes) for outer, *holes in shells]
    return (parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)), ""


def _declared(
    header: Mapping[str, str], zones: set[int | None], notes: list[str]
) -> tuple[str | None, dict[int, float]]:
    """(EPSG of the coordinates as read, what to take off eastings by zone prefix)."""
    stated = header.get("坐标系", "")
    datum = datum_name(stated)
    if datum is None:
        notes.append(f"坐标系“{stated or '空'}”不认识，未声明 the header names no known datum")
    width = _whole(header.get("几度分带"))
    zone = _whole(header.get("带号"))
    prefixes = {z for z in zones if z is not None}
    mixed = bool(prefixes) and None in zones
    if len(prefixes) > 1:
        listed = "、".join(str(z) for z in sorted(prefixes))
        notes.append(f"一个文件里有多个带号 {listed} several zones in one file: none declared")
        return None, {}
    if prefixes:
        (written,) = prefixes
        if zone is not None and zone != written:
            notes.append(
                f"带号={zone} 与坐标前缀 {written} 不符，未声明坐标系"
                f" zone {zone} in the header, {written} in the coordinates: none declared"
            )
            return None, {}
        zone = written
        width = width or (3 if written >= 25 else 6)
    if zone is None:
        notes.append("没有带号，坐标也没有前缀，无法判断 no zone in header or coordinates")
        return None, {}
    if datum is None or width not in (3, 6):
        if datum is not None:
            notes.append("几度分带应为 3 或 6 the zone width must be 3 or 6")
        return None, {}
    with_prefix, first, by_meridian = _SYSTEMS[datum][width]
    last = first + (20 if width == 3 else 10)
    if not first <= zone <= last:
        notes.append(f"带号 {zone} 超出 {first}-{last} zone {zone} is outside {first}-{last}")
        return None, {}
    if prefixes and not mixed:
        return f"EPSG:{with_prefix + zone - first}", {}
    if mixed:
        notes.append(
            f"部分东坐标带前缀 {zone}，已去掉 some eastings carry the zone {zone}: taken off"
        )
    else:
        notes.append(f"东坐标不带前缀，带号 {zone} eastings without prefix, zone {zone}")
    return f"EPSG:{by_meridian + zone - first}", {zone: zone * 1e6} if mixed else {}


def _whole(text: str | None) -> int | None:
    match = re.match(r"\d+", text or "")
    return int(match[0]) if match else None


def _record(plot: Plot, shape: shapely.Geometry | None, extra: int) -> dict[str, str | None]:
    padded = plot.values + [""] * (len(_PLOT) + extra - len(plot.values))
    record: dict[str, str | None] = dict(zip(_PLOT, padded, strict=False))
    for position in range(extra):
        record[f"字段{len(_PLOT) + position + 1}"] = padded[len(_PLOT) + position]
    record["图形面积_公顷"] = None if shape is None else f"{float(shapely.area(shape)) / 1e4:.4f}"
    return record


def _area_note(plot: Plot, shape: shapely.Geometry) -> str | None:
    """Remark where the stated hectares are not the ring's: beyond rounding and 0.1 %."""
    stated = plot.values[1] if len(plot.values) > 1 else ""
    if not _NUMBER.fullmatch(stated):
        return None
    decimals = len(stated.partition(".")[2])
    area = float(shapely.area(shape)) / 1e4
    # a plane area differs from the ellipsoid's by up to 0.07 % in a zone; both are in use
    if abs(float(stated) - area) <= 0.5 * 10.0**-decimals + area * 1e-3:
        return None
    return (
        f"第 {plot.row} 行地块面积 {stated} 公顷，界址点围成 {area:.4f} 公顷"
        f" line {plot.row}: {stated} ha stated, its rings enclose {area:.4f} ha"
    )


def _count_note(plot: Plot) -> str | None:
    stated = _whole(plot.values[0] if plot.values else None)
    points = sum(len(ring) for ring in plot.rings.values())
    closed = sum(len(r) > 1 and r[0] == r[-1] for r in plot.rings.values())
    if stated is None or stated in range(points - closed, points + 1):
        return None
    return (
        f"第 {plot.row} 行写 {stated} 个界址点，实有 {points} 个"
        f" line {plot.row} states {stated} points, {points} follow"
    )


def _cut_off(plot: Plot) -> str:
    """Why a plot with fewer points than its line states is none: the file may be cut off."""
    stated = _whole(plot.values[0] if plot.values else None) or 0
    points = sum(len(ring) for ring in plot.rings.values())
    opened = sum(ring[0] != ring[-1] for ring in plot.rings.values())  # closing points left out
    if points + opened >= stated:
        return ""
    return (
        f"应有 {stated} 个界址点，只有 {points} 个，文件可能不完整"
        f" {stated} points stated, {points} follow: the file may be cut off"
    )


def is_land_text(text: str) -> bool:
    """Whether a text begins like a 国土报盘 file, in [] or 【】."""
    return bool(re.search(r"[\[【]\s*(?:属性描述|地块坐标)\s*[\]】]", text))


def open_land_text(path: Path, options: ReadOptions) -> MemorySource:
    """Read all plots; ReadError when the text holds none."""
    if path.stat().st_size > MAX_BYTES:
        raise ReadError(path, "大于 500 MB。", "larger than 500 MB.")
    encoding, detected = text_encoding(path, options.encoding)
    header, plots = _parse(path, path.read_bytes().decode(encoding))
    if not plots:
        raise ReadError(
            path,
            "没有地块：[地块坐标] 下应有以 @ 结束的地块行。",
            "it holds no plot: plot lines end with @ below [地块坐标].",
        )
    notes: list[str] = []
    declared, shift = _declared(header, {_zone(e) for p in plots for e in p.eastings()}, notes)
    extra = max(0, *(len(plot.values) - len(_PLOT) for plot in plots))
    while extra and all(not "".join(p.values[len(_PLOT) + extra - 1 :]) for p in plots):
        extra -= 1
    names = (*_PLOT, *(f"字段{len(_PLOT) + i + 1}" for i in range(extra)), "图形面积_公顷")
    layer = MemoryLayer(LAYER, "Polygon", names, declared)
    for plot in plots:
        shape, reason = _polygon(plot, shift)
        reason = reason or _cut_off(plot)
        layer.add(plot.row, _record(plot, shape, extra), shape, reason)
        if shape is not None and not reason:
            notes += [n for n in (_area_note(plot, shape), _count_note(plot)) if n is not None]
    return MemorySource(path, options, "国土TXT", (layer,), detected or encoding, tuple(notes))
