"""The rejected rows of a run as a folder that is a delivery again: files, delivery.yaml, a note."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from etl.delivery import Delivery, FileSource, Load
from etl.mapping import FILE, ROW
from etl.readers import ReadError, ReadOptions, Source, open_source
from etl.readers.archive import ArchiveSource
from etl.readers.excel import ExcelSource
from etl.readers.shapefile import check
from etl.readers.table import TableSource
from etl.rejects import shapefile, sheets, text, vector
from etl.rejects.model import Marks, RejectsError

_NOTE = """\
{name} 的退回记录 Rejected rows

1. 每行末尾的“行号、规则、原因”说明原文件的第几行、违反哪条规则、为什么；坐标和其他列与交付时一样。
   The last columns name the row, the rule and the reason; all other columns are as delivered.
2. 改正后把整个文件夹压缩成 zip 再交（上传页或 geoserver-py etl run delivery.yaml）。三列可以不删。
   Correct the rows, zip the folder and send it again; the three columns may stay.
3. delivery.yaml 是 mode: append：只补这些行，不删其他行。 Only these rows are added or updated.
{notes}"""


_ONCE = ("schedule", "expected_every")
_WHOLE = ("area", "edges", "check_points")
"""Keys of a load that only mean something where a delivery is whole."""


@dataclass(frozen=True, slots=True)
class Package:
    """What was written: data files, number of rows, and remarks such as another format."""

    folder: Path
    files: tuple[Path, ...]
    rows: int
    notes: tuple[str, ...] = ()


@dataclass
class _Part:
    """A layer or sheet of a file with its refused rows; `points`: a sheet to copy whole."""

    file: FileSource
    load: Load
    at: tuple[int, int]
    """Positions of load and file in the delivery file."""
    marks: Marks
    written: FileSource | None = field(default=None)


def write_rejects(
    delivery: Delivery,
    marks: Mapping[str, Marks],
    folder: Path,
    *,
    layers: Sequence[str],
    name: str,
    before: datetime | None = None,
) -> Package:
    """Write the refused rows of `layers` into the empty or new `folder`.

    `marks` are by file label (`marks_of_runs`), `name` is the new delivery's; the new delivery
    file holds the loads of the first one with `mode: append`. Same driver, columns, coordinates and
    encoding as delivered; a format that nobody here writes becomes a GeoPackage, which `notes`
    say. RejectsError when there is nothing to write, a file is gone or was changed after `before`.
    """
    parts = _parts(delivery, marks, layers)
    if not parts:
        raise RejectsError("没有被拒绝的行 (no row was rejected)")
    folder.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    by_path: dict[Path, list[_Part]] = {}
    for part in parts:
        by_path.setdefault(part.file.path, []).append(part)
    files = []
    for path, group in by_path.items():
        _require_unchanged(path, before)
        try:
            files.append(_write(path, group, folder, delivery, notes))
        except ReadError as error:
            raise RejectsError(str(error)) from error
    document = _document(delivery, parts, folder, name, notes)
    (folder / "delivery.yaml").write_text(
        yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8"
    )
    said = "".join(f"4. {note}\n" for note in notes)
    (folder / "说明.txt").write_text(_NOTE.format(name=delivery.name, notes=said), "utf-8-sig")
    rows = sum(len(part.marks) for part in parts)
    return Package(folder, tuple(files), rows, tuple(notes))


def zip_folder(folder: Path, target: Path) -> None:
    """Pack all files of `folder`, names in UTF-8."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())


def _parts(delivery: Delivery, marks: Mapping[str, Marks], layers: Sequence[str]) -> list[_Part]:
    parts = []
    for at, load in enumerate(delivery.loads):
        if load.layer not in layers:
            continue
        for nth, file in enumerate(load.files):
            found = marks.get(file.label)
            if found:
                _require_own_ids(load, file)
                parts.append(_Part(file, load, (at, nth), found))
    return parts


def _require_own_ids(load: Load, file: FileSource) -> None:
    template = "" if load.id is None else load.id.template or ""
    for word in (ROW, FILE):
        if f"{{{word}}}" in template:
            raise RejectsError(
                f"{file.label}: 标识码由 {{{word}}} 拼成，单独更正会变；请改正原文件后整体重交 "
                f"(the ids are made from {{{word}}}; correct the file and deliver all of it again)"
            )


def _require_unchanged(path: Path, before: datetime | None) -> None:
    if not path.exists():
        raise RejectsError(
            f"{path.name}: 原文件已不在，不能按原格式退回 (the delivered file is gone)"
        )
    if before is not None and path.stat().st_mtime > before.timestamp():
        raise RejectsError(
            f"{path.name}: 批次之后改过，行号可能不对；请先重新运行交付 (changed after the run; "
            f"run the delivery again first)"
        )


def _write(
    path: Path, group: list[_Part], folder: Path, delivery: Delivery, notes: list[str]
) -> Path:
    source = _opened(path, group[0])
    if isinstance(source, ArchiveSource):
        return _from_archive(source, group, folder, delivery, notes)
    relative = _relative(path, delivery.path.parent, folder)
    suffix = path.suffix.lower()
    joined = {name for part in group if (name := _points(part)) is not None}
    target = folder / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    by_name: dict[str, dict[int, Any]] = {}
    for part in group:
        part_source = source if len(group) == 1 else _opened(path, part)
        by_name.setdefault(part_source.layer.name, {}).update(part.marks)
    merged = {name: {row: found[row] for row in sorted(found)} for name, found in by_name.items()}
    only = next(iter(merged.values()))
    if suffix == ".shp":
        shapefile.write_shapefile(path, target, only, check(path, group[0].file.encoding).encoding)
    elif isinstance(source, TableSource):
        text.write_table(source, target, only)
    elif isinstance(source, ExcelSource):
        target = target.with_suffix(".xlsx")
        sheets.write_workbook(source, target, merged, sorted(joined))
    else:
        if suffix not in vector.DRIVERS:
            target = target.with_suffix(".gpkg")
        _write_vector(path, group, target, merged, sorted(joined))
    if target.name != path.name:
        kind = source.info.driver
        notes.append(
            f"{path.name}（{kind}）不能原样写出，退回为 {target.name}，列名和坐标不变 "
            f"({kind} is not written here; the rows come as {target.suffix[1:]}, same columns and "
            f"coordinates)"
        )
    written = target.relative_to(folder).as_posix()
    for part in group:
        same = target.suffix.lower() == suffix
        part.written = replace(
            part.file,
            written=written,
            encoding=part.file.encoding if same else None,
            layer=part.file.layer if part.file.sheet is None else None,
        )
    return target


def _write_vector(
    path: Path,
    group: list[_Part],
    target: Path,
    merged: Mapping[str, Marks],
    whole: Sequence[str],
) -> None:
    started = False
    for name in [*merged, *(other for other in whole if other not in merged)]:
        # points of a table are read by the columns that the delivery names
        reading = _options(group[0], name if len(merged) + len(whole) > 1 else _wanted(group[0]))
        vector.write_layer(
            open_source(path, reading), target, name, merged.get(name), append=started
        )
        started = True


def _wanted(part: _Part) -> str | None:
    return part.file.layer or part.file.sheet


def _options(part: _Part, layer: str | None) -> ReadOptions:
    named = part.load.columns if part.load.from_points is None else None
    return ReadOptions(
        encoding=part.file.encoding,
        layer=layer,
        x=None if named is None else named.x,
        y=None if named is None else named.y,
        z=None if named is None else named.z,
    )


def _opened(path: Path, part: _Part) -> Source:
    return open_source(path, _options(part, _wanted(part)))


def _points(part: _Part) -> str | None:
    join = part.load.from_points
    return None if join is None else part.file.points or join.sheet


def _from_archive(
    source: ArchiveSource,
    group: list[_Part],
    folder: Path,
    delivery: Delivery,
    notes: list[str],
) -> Path:
    """Each data set of a zipped file by its own writer."""
    first: Path | None = None
    names = {member.name: member.path for member in source.members}
    by_member: dict[str, list[_Part]] = {}
    for part in group:
        wanted = _wanted(part) or source.layer.name
        by_member.setdefault(wanted.partition(":")[0], []).append(part)
    inside = replace(delivery, path=source.folder / "delivery.yaml")
    for name, members in by_member.items():
        own = []
        for part in members:
            layer = (_wanted(part) or "").partition(":")[2] or None
            file = replace(part.file, path=names[name], layer=layer, sheet=None, written=name)
            own.append(replace(part, file=file))
        written = _write(names[name], own, folder, inside, notes)
        first = first or written
        for part, done in zip(members, own, strict=True):
            part.written = done.written
    if first is None:
        raise RejectsError(f"{source.path.name}: 没有可写的行 (no rows to write)")
    return first


def _relative(path: Path, home: Path, folder: Path) -> PurePosixPath:
    """Where a file goes in the package: as beside its delivery file, else by its name alone."""
    relative = PurePosixPath(path.name)
    with suppress(ValueError):
        relative = PurePosixPath(path.resolve().relative_to(home.resolve()).as_posix())
    taken = folder / relative
    return relative.with_stem(f"{relative.stem}_2") if taken.exists() else relative


def _document(
    delivery: Delivery, parts: Sequence[_Part], folder: Path, name: str, notes: list[str]
) -> dict[str, Any]:
    """The delivery file of the package: the same mapping, the written files, mode append."""
    # what is corrected comes once: it has no timetable, and nothing is deleted or measured by it
    document = {k: v for k, v in delivery.document.items() if k not in (*_ONCE, "loads")}
    document["delivery"] = name
    parameters = delivery.datum_parameters
    if parameters is not None:
        home = delivery.path.parent.resolve()
        if parameters.is_file() and parameters.resolve().is_relative_to(home):
            copied = folder / parameters.resolve().relative_to(home)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(parameters, copied)
        else:
            document.pop("datum_parameters")
            notes.append(
                "坐标转换参数不随包退回，用平台登记的参数 (datum parameters stay with the centre: "
                "those registered there are used)"
            )
    loads: dict[int, dict[str, Any]] = {}
    for part in parts:
        if part.written is None:
            continue
        at, _ = part.at
        if at not in loads:
            stated = delivery.document["loads"][at]
            kept = {key: value for key, value in stated.items() if key not in _WHOLE}
            loads[at] = {**kept, "files": [], "mode": "append"}
        written = part.written
        entry = {
            "path": written.written,
            "encoding": written.encoding,
            "layer": written.layer,
            "sheet": written.sheet,
            "points": written.points,
        }
        loads[at]["files"].append({k: v for k, v in entry.items() if v is not None})
    document["loads"] = [loads[at] for at in sorted(loads)]
    return document
