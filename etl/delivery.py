"""Delivery files: what a bureau says about its files, as YAML kept beside them.

A delivery names its files, the coordinate system each was made in, how columns become fields,
and its answers to objections of earlier runs. Nothing is guessed that changes a position.
Paths are relative to the delivery file; `url` names a running service instead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from etl.area import AreaKeys, parse_area
from etl.pull import PullError, parse_pull
from etl.readers.pull import Pull
from etl.timetable import Timetable, parse_span, parse_timetable

MAX_BYTES = 10_000_000
"""Of a delivery file: one that maps thousands of codes has less than one."""
MAX_ENTRIES = 1_000_000


class DeliveryError(ValueError):
    """A delivery that cannot be run; the message names file and key and what would be right."""


class Mode(StrEnum):
    """full: what the bureau no longer delivers is deleted; append: only inserts and updates.

    partial: like full inside the delivery's area, and nothing outside it.
    """

    FULL = "full"
    APPEND = "append"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class FileSource:
    """One file of a load; `layer` (GeoPackage, FileGDB, DXF...) or `sheet` (Excel) picks a part."""

    path: Path
    encoding: str | None = None
    layer: str | None = None
    sheet: str | None = None
    points: str | None = None
    """Sheet or layer of the same file that holds the points of a `from_points` geometry."""
    written: str | None = None
    """The path as the delivery writes it."""
    pull: Pull | None = None
    """Set: rows come from this service, and `path` only names it."""

    @property
    def label(self) -> str:
        """Path as written and part, as reports show it."""
        part = self.layer or self.sheet
        name = self.written or self.path.name
        return name if part is None else f"{name}#{part}"


@dataclass(frozen=True, slots=True)
class PositionColumns:
    """Columns of a table that hold the position: x = longitude or easting, y the other one.

    A delivery writes `lon`/`lat` (or `x`/`y`) for geographic systems and `north`/`east` for
    plane grids, where Chinese survey files title the northing X and the easting Y.
    """

    x: str
    y: str
    z: str | None
    plane: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are given."""
        return tuple(name for name in (self.x, self.y, self.z) if name is not None)


@dataclass(frozen=True, slots=True)
class FromPoints:
    """Lines joined from a point table of the same file by point number.

    `id` is the column of point numbers in the point table; `start`, `end` (numbers) and
    `start_z`, `end_z` (elevations; None: those of the points) are columns of the line table.
    """

    id: str
    start: str
    end: str
    start_z: str | None = None
    end_z: str | None = None
    sheet: str | None = None
    """The point table of files that name none of their own."""

    @property
    def ends(self) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
        """(number column, elevation column) of both ends."""
        return (self.start, self.start_z), (self.end, self.end_z)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the line table that are used."""
        return tuple(name for pair in self.ends for name in pair if name is not None)


@dataclass(frozen=True, slots=True)
class Expression:
    """How a field gets its value: exactly one of `column`, `value`, `template`.

    `map` translates the text of a column (codes); `unit` multiplies numbers: a factor, or the
    name of the unit of the column, converted to the unit of the field. `blank` are texts that
    stand for "no value" (NA, 无, -9999).
    """

    column: str | None = None
    value: Any = None
    template: str | None = None
    map: Mapping[str, Any] | None = None
    unit: float | str | None = None
    blank: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiver:
    """A bureau's explicit acceptance of positions less accurate than the layer requires."""

    metres: float
    reason: str


@dataclass(frozen=True, slots=True)
class CheckPoints:
    """Points of known position, surveyed apart from the delivery, that prove its accuracy.

    `id` is the column of the features' identifiers; None compares each point with the nearest
    vertex within `search_m` metres.
    """

    file: FileSource
    coordsys: str
    columns: PositionColumns
    id: str | None
    search_m: float


@dataclass(frozen=True, slots=True)
class Load:
    """Files that go into one layer in one coordinate system."""

    layer: str
    files: tuple[FileSource, ...]
    coordsys: str | None
    columns: PositionColumns | None
    mode: Mode
    id: Expression | None
    fields: Mapping[str, Expression]
    where: Mapping[str, tuple[str | None, ...]]
    answers: Mapping[str, str]
    accept_accuracy: Waiver | None
    check_points: CheckPoints | None = None
    from_points: FromPoints | None = None
    """Set: `columns` name the position in the point table, not in the file of rows."""
    area: AreaKeys | None = None
    """What a partial delivery replaces; None in the other modes."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery of a bureau; `name` is unique, running it again changes nothing."""

    name: str
    bureau: str
    city: str
    synthetic: bool
    datum_parameters: Path | None
    loads: tuple[Load, ...]
    path: Path = field(compare=False)
    document: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The YAML as written, for the record."""
    schedule: Timetable | None = None
    """When it is pulled; None: somebody runs it."""
    expected_every: str | None = None
    """What the bureau promised, e.g. ``1 month``."""


_DELIVERY_KEYS = (
    "delivery", "bureau", "city", "synthetic", "datum_parameters", "schedule", "expected_every",
    "loads",
)  # fmt: skip
_LOAD_KEYS = (
    "layer", "files", "coordsys", "columns", "mode", "id", "fields", "where", "answers",
    "accept_accuracy", "geometry", "area", "edges", "check_points",
)  # fmt: skip
_FILE_KEYS = ("path", "encoding", "layer", "sheet", "points")
_JOIN_KEYS = ("sheet", "id", "start", "end", "z")
_EXPRESSION_KEYS = ("column", "value", "template", "map", "unit", "blank")
_COLUMN_PAIRS = (("x", "y", False), ("lon", "lat", False), ("east", "north", True))


def load_delivery(path: Path) -> Delivery:
    """Read a delivery file; DeliveryError names the key at fault and what it should hold."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(path)
        document = yaml.safe_load(path.read_text("utf-8"))
        if _entries(document, {}) > MAX_ENTRIES:
            raise _too_large(path)
    except FileNotFoundError as missing:
        raise DeliveryError(f"{path}: 没有这个交付文件 (no such delivery file)") from missing
    except (yaml.YAMLError, UnicodeDecodeError) as bad:
        sentence = " ".join(str(bad).split())
        raise DeliveryError(f"{path}: 不是 UTF-8 的 YAML (not YAML in UTF-8): {sentence}") from bad
    except RecursionError as deep:
        raise _too_large(path) from deep
    return parse_delivery(document, path)


def _too_large(path: Path) -> DeliveryError:
    return DeliveryError(
        f"{path}: 交付文件过大、嵌套过深或引用自身 (too large, too deep, or it contains itself)"
    )


def _entries(value: Any, counted: dict[int, float]) -> float:
    """Entries of a document with its aliases written out; infinite where one contains itself.

    A few lines of aliases may stand for more entries than anything could walk through.
    """
    inner = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping | list):
        return 1
    if id(value) not in counted:
        counted[id(value)] = math.inf
        counted[id(value)] = 1 + sum(_entries(one, counted) for one in inner)
    return counted[id(value)]


def parse_delivery(document: Any, path: Path) -> Delivery:
    """Turn the YAML document of `path` into a delivery; relative paths stand beside `path`."""
    at = _At(path.name)
    top = at.mapping(document, _DELIVERY_KEYS, required=("delivery", "bureau", "city", "loads"))
    synthetic = top.get("synthetic")
    if not isinstance(synthetic, bool):
        raise at.error(
            "synthetic", "须写明 true 或 false：是否合成数据 (state true or false: synthetic data?)"
        )
    parameters = top.get("datum_parameters")
    loads = at.sequence(top["loads"], "loads")
    if not loads:
        raise at.error("loads", "至少一项 (at least one load)")
    delivery = Delivery(
        name=at.text(top["delivery"], "delivery"),
        bureau=at.text(top["bureau"], "bureau"),
        city=at.text(top["city"], "city"),
        synthetic=synthetic,
        datum_parameters=None if parameters is None else path.parent / str(parameters),
        loads=tuple(_load(entry, at.inside(f"loads[{n}]"), path) for n, entry in enumerate(loads)),
        path=path,
        document=top,
        schedule=parse_timetable(top.get("schedule"), at),
        expected_every=parse_span(top.get("expected_every"), at),
    )
    modes: dict[str, tuple[Mode, AreaKeys | None]] = {}
    for load in delivery.loads:
        if modes.setdefault(load.layer, (load.mode, load.area)) != (load.mode, load.area):
            raise at.error(
                "loads",
                f"图层 {load.layer} 的 mode、area 不一致 "
                f"(loads into one layer must agree on mode and area)",
            )
    return delivery


class _At:
    """Where in a document we are: makes errors that name file and key."""

    def __init__(self, where: str) -> None:
        self.where = where

    def inside(self, key: str) -> _At:
        return _At(f"{self.where}: {key}")

    def error(self, key: str, sentence: str) -> DeliveryError:
        return DeliveryError(f"{self.where}: {key}: {sentence}")

    def mapping(
        self, value: Any, known: Sequence[str], *, required: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise DeliveryError(
                f"{self.where}: 须为键值表 (must be a mapping with {', '.join(known)})"
            )
        unknown = [str(key) for key in value if key not in known]
        if unknown:
            raise self.error(unknown[0], f"未知的键，可用 (unknown key; known: {', '.join(known)})")
        for key in required:
            if value.get(key) in (None, ""):
                raise self.error(key, "缺少 (this key is required)")
        return value

    def sequence(self, value: Any, key: str) -> Sequence[Any]:
        if not isinstance(value, list):
            raise self.error(key, "须为列表 (must be a list)")
        return value

    def text(self, value: Any, key: str) -> str:
        if isinstance(value, bool | Mapping | list) or value is None or not str(value).strip():
            raise self.error(key, f"须为文字 (must be text, got {value!r})")
        return str(value).strip()

    def optional(self, value: Any, key: str) -> str | None:
        return None if value is None else self.text(value, key)


def _load(entry: Any, at: _At, path: Path) -> Load:
    load = at.mapping(entry, _LOAD_KEYS, required=("layer", "files"))
    files = at.sequence(load["files"], "files")
    if not files:
        raise at.error("files", "至少一个文件 (at least one file)")
    try:
        mode = Mode(load.get("mode", Mode.APPEND))
    except ValueError as bad:
        raise at.error(
            "mode", "须为 full、append 或 partial (must be full, append or partial)"
        ) from bad
    if (mode is Mode.PARTIAL) != (load.get("area") is not None):
        raise at.error(
            "area", "mode: partial 须写 area，其他 mode 不用 (goes with mode: partial, and only it)"
        )
    if mode is not Mode.PARTIAL and load.get("edges") is not None:
        raise at.error("edges", "只用于 mode: partial (only with mode: partial)")
    answers = load.get("answers") or {}
    if not isinstance(answers, Mapping):
        raise at.error("answers", "须为键值表 (must be a mapping such as {datum: 理由 reason})")
    fields = load.get("fields") or {}
    if not isinstance(fields, Mapping):
        raise at.error("fields", "须为字段到列的键值表 (must map fields to columns)")
    identity = load.get("id")
    join = _from_points(load.get("geometry"), at)
    sources = tuple(_file(f, at.inside(f"files[{n}]"), path) for n, f in enumerate(files))
    for n, source in enumerate(sources):
        if source.pull is not None and source.pull.partial and mode is not Mode.APPEND:
            raise at.error(
                f"files[{n}].since",
                f"mode: {mode.value} 会删除未变化的要素，只取变化须用 append ({mode.value} would "
                "delete what did not change: changes need mode: append)",
            )
        if source.pull is not None and join is not None:
            raise at.error(f"files[{n}].url", "不能用于 (not with) geometry: {from_points: …}")
        if source.points is not None and join is None:
            raise at.error(f"files[{n}].points", "只用于 (only with) geometry: {from_points: …}")
        if join is not None and source.points is None and join.sheet is None:
            raise at.error(
                f"files[{n}]",
                "点表未写明：points: 工作表 (name the point table, points: SHEET)",
            )
    return Load(
        layer=at.text(load["layer"], "layer"),
        files=sources,
        coordsys=at.optional(load.get("coordsys"), "coordsys"),
        columns=_columns(load.get("columns"), at),
        mode=mode,
        id=None if identity is None else _expression(identity, at.inside("id")),
        fields={str(k): _expression(v, at.inside(f"fields.{k}")) for k, v in fields.items()},
        where=_where(load.get("where"), at),
        answers={str(k): at.text(v, f"answers.{k}") for k, v in answers.items()},
        accept_accuracy=_waiver(load.get("accept_accuracy"), at),
        check_points=_check_points(load.get("check_points"), at, path),
        from_points=join,
        area=parse_area(load["area"], load.get("edges"), at, path)
        if mode is Mode.PARTIAL
        else None,
    )


def _check_points(value: Any, at: _At, path: Path) -> CheckPoints | None:
    if value is None:
        return None
    inner = at.inside("check_points")
    known = ("file", "encoding", "sheet", "coordsys", "columns", "id", "search_m")
    points = inner.mapping(value, known, required=("file", "coordsys", "columns"))
    columns = _columns(points["columns"], inner)
    search = points.get("search_m", 2.0)
    if columns is None or isinstance(search, bool) or not isinstance(search, int | float):
        raise inner.error("search_m", "须为米数 (must be metres)")
    file = {"path": points["file"], "encoding": points.get("encoding")}
    return CheckPoints(
        file=_file({**file, "sheet": points.get("sheet")}, inner, path),
        coordsys=inner.text(points["coordsys"], "coordsys"),
        columns=columns,
        id=inner.optional(points.get("id"), "id"),
        search_m=float(search),
    )


def _file(entry: Any, at: _At, path: Path) -> FileSource:
    if isinstance(entry, str):
        return FileSource(path.parent / entry, written=entry)
    if isinstance(entry, Mapping) and "url" in entry:
        return _service(entry, at)
    file = at.mapping(entry, _FILE_KEYS, required=("path",))
    return FileSource(
        path=path.parent / at.text(file["path"], "path"),
        encoding=at.optional(file.get("encoding"), "encoding"),
        layer=at.optional(file.get("layer"), "layer"),
        sheet=at.optional(file.get("sheet"), "sheet"),
        points=at.optional(file.get("points"), "points"),
        written=at.text(file["path"], "path"),
    )


def _service(entry: Mapping[str, Any], at: _At) -> FileSource:
    try:
        pull = parse_pull(entry)
    except PullError as bad:
        raise at.error(bad.key, bad.sentence) from bad
    layer = at.optional(entry.get("layer"), "layer")
    return FileSource(Path(pull.host), layer=layer, written=pull.url, pull=pull)


def _columns(value: Any, at: _At) -> PositionColumns | None:
    if value is None:
        return None
    known = ("lon", "lat", "north", "east", "x", "y", "z")
    columns = at.mapping(value, known)
    named = {key for key in columns if key != "z"}
    for x, y, plane in _COLUMN_PAIRS:
        if named == {x, y}:
            z = at.optional(columns.get("z"), "columns.z")
            return PositionColumns(
                at.text(columns[x], f"columns.{x}"), at.text(columns[y], f"columns.{y}"), z, plane
            )
    raise at.error(
        "columns",
        "经纬度写 {lon: 列, lat: 列}，平面坐标写 {north: 列, east: 列} "
        "(degrees: lon and lat; plane grids: north and east)",
    )


def _from_points(value: Any, at: _At) -> FromPoints | None:
    if value is None:
        return None
    outer = at.inside("geometry")
    inner = outer.inside("from_points")
    document = outer.mapping(value, ("from_points",), required=("from_points",))["from_points"]
    join = inner.mapping(document, _JOIN_KEYS, required=("id", "start", "end"))
    z = join.get("z")
    heights: Mapping[str, Any] = {}
    if z is not None:
        heights = inner.inside("z").mapping(z, ("start", "end"), required=("start", "end"))
    return FromPoints(
        id=inner.text(join["id"], "id"),
        start=inner.text(join["start"], "start"),
        end=inner.text(join["end"], "end"),
        start_z=inner.optional(heights.get("start"), "z.start"),
        end_z=inner.optional(heights.get("end"), "z.end"),
        sheet=inner.optional(join.get("sheet"), "sheet"),
    )


def _expression(value: Any, at: _At) -> Expression:
    if isinstance(value, str):
        return Expression(column=value)
    expression = at.mapping(value, _EXPRESSION_KEYS)
    sources = [key for key in ("column", "value", "template") if key in expression]
    if len(sources) != 1:
        raise DeliveryError(f"{at.where}: 须恰有其一 (exactly one of): column, value, template")
    codes = expression.get("map")
    if codes is not None and not isinstance(codes, Mapping):
        raise at.error("map", "须为旧码到新码的键值表 (must map old codes to new ones)")
    unit = expression.get("unit")
    if isinstance(unit, bool) or not isinstance(unit, int | float | str | None):
        raise at.error("unit", "须为系数或单位名 (must be a factor or a unit name)")
    blank = at.sequence(expression.get("blank", []), "blank")
    return Expression(
        column=at.optional(expression.get("column"), "column"),
        value=expression.get("value"),
        template=at.optional(expression.get("template"), "template"),
        map=None if codes is None else {str(k): v for k, v in codes.items()},
        unit=float(unit) if isinstance(unit, int | float) else unit,
        blank=tuple(at.text(word, "blank") for word in blank),
    )


def _where(value: Any, at: _At) -> Mapping[str, tuple[str | None, ...]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise at.error("where", "须为 {列: 值或列表} (must map columns to a value or a list)")
    return {
        str(column): tuple(
            None if item is None else str(item)
            for item in (wanted if isinstance(wanted, list) else [wanted])
        )
        for column, wanted in value.items()
    }


def _waiver(value: Any, at: _At) -> Waiver | None:
    if value is None:
        return None
    inner = at.inside("accept_accuracy")
    waiver = inner.mapping(value, ("metres", "reason"), required=("metres", "reason"))
    metres = waiver["metres"]
    if isinstance(metres, bool) or not isinstance(metres, int | float) or not metres > 0:
        raise inner.error("metres", "须为大于 0 的米数 (must be metres above 0)")
    return Waiver(float(metres), inner.text(waiver["reason"], "reason"))
