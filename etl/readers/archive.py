"""Zipped deliveries: every data set inside a .zip is a layer, read by its own reader.

Names without the UTF-8 flag are GB18030 (Chinese Windows writes them so) unless they are UTF-8.
The archive is unpacked into a temporary folder that lives as long as the source.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from etl.readers.model import (
    Batch,
    LayerInfo,
    ReadError,
    ReadOptions,
    Source,
    SourceInfo,
    choose_layer,
)

Opener = Callable[[Path, ReadOptions], Source]

MAX_BYTES = 50_000_000_000
MAX_FILES = 20_000
_MAX_RATIO = 500  # a DXF or CSV packs to a twentieth; more than this is a bomb
_SMALL = 100_000_000  # below this a ratio says nothing
_SPARE_BYTES = 1_000_000_000  # the database may live on the same disk

# Parts of a data set, or papers beside it: never data sets of their own.
_PARTS = frozenset(
    f".{suffix}"
    for suffix in (
        *("shx", "dbf", "prj", "cpg", "sbn", "sbx", "qix", "qpj", "qmd"),  # Shapefile
        *("id", "map", "ind", "mid"),  # MapInfo
        *("gfs", "xsd", "xml", "yaml", "yml", "sld", "qml", "aux", "ovr", "tfw"),
        *("md", "rtf", "htm", "html", "ini", "log", "db", "lnk", "tmp", "ldb", "laccdb"),
    )
)
_UTF8_FLAG = 0x800


def member_name(entry: zipfile.ZipInfo) -> str:
    """Name of a member as the bureau sees it; undecodable bytes stay cp437."""
    if entry.flag_bits & _UTF8_FLAG:
        return entry.filename
    try:
        raw = entry.filename.encode("cp437")
    except UnicodeEncodeError:
        return entry.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return entry.filename


def unpack(path: Path, folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Unpack below `folder`; ReadError for passwords, bombs, links and paths that lead outside.

    Damage raises what zipfile raises: BadZipFile, zlib.error, EOFError, NotImplementedError.
    """
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        size = sum(entry.file_size for entry in entries)
        packed = max(1, path.stat().st_size)
        too_dense = size > _SMALL and size > _MAX_RATIO * packed
        if len(entries) > MAX_FILES or size > max_bytes or too_dense:
            raise ReadError(
                path,
                f"压缩包解开有 {len(entries)} 个文件、{size} 字节，超出限度。",
                f"it unpacks to {len(entries)} files and {size} bytes, more than is accepted.",
            )
        free = shutil.disk_usage(folder).free - _SPARE_BYTES
        if size > free:
            raise ReadError(
                path,
                f"解开需要 {size} 字节，临时目录只有 {max(free, 0)} 字节可用。",
                f"it needs {size} bytes, the temporary folder has {max(free, 0)} to spare.",
            )
        for entry in entries:
            name = member_name(entry).replace("\\", "/")
            parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".")]
            if ".." in parts or any(":" in part or "\x00" in part for part in parts) or not parts:
                raise ReadError(
                    path,
                    f"压缩包内路径 {name} 不合法。",
                    f"the member path {name!r} leads outside.",
                )
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise ReadError(
                    path,
                    f"压缩包内 {name} 是链接，请放入文件本身。",
                    f"the member {name!r} is a link; put the file itself in.",
                )
            if entry.flag_bits & 1:
                raise ReadError(
                    path,
                    "压缩包有密码，请去掉密码后交付。",
                    "the archive is encrypted; deliver it without a password.",
                )
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


@dataclass(frozen=True, slots=True)
class Member:
    """A data set inside: its name in the archive and where it lies unpacked."""

    name: str
    path: Path


@dataclass(frozen=True, eq=False)
class ArchiveSource:
    """The data sets of an archive as layers: `村.shp`, or `a.gpkg:道路` where one has several."""

    path: Path
    options: ReadOptions
    opener: Opener
    folder: Path

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Data sets in the order of their names."""
        found: list[Member] = []
        inside: list[Path] = []
        for path in sorted(self.folder.rglob("*")):
            if any(path.is_relative_to(parent) for parent in inside):
                continue
            hidden = any(
                part.startswith((".", "__MACOSX", "~$"))
                for part in path.relative_to(self.folder).parts
            )
            suffix = path.suffix.lower()
            if path.is_dir():
                if suffix != ".gdb":
                    continue
                inside.append(path)
            if hidden or suffix in _PARTS or not suffix or self._part_of_mapinfo(path):
                continue
            found.append(Member(path.relative_to(self.folder).as_posix(), path))
        if not found:
            raise ReadError(self.path, "压缩包里没有数据文件。", "the archive holds no data file.")
        return tuple(found)

    def _part_of_mapinfo(self, path: Path) -> bool:
        """A .dat beside a .tab of the same name is its attribute table, no survey points."""
        return path.suffix.lower() == ".dat" and any(
            path.with_suffix(suffix).is_file() for suffix in (".tab", ".TAB", ".Tab")
        )

    @cached_property
    def _opened(self) -> tuple[tuple[Member, Source, LayerInfo, str], ...]:
        """(member, source, its layer, name of the layer here)."""
        out: list[tuple[Member, Source, LayerInfo, str]] = []
        errors: list[ReadError] = []
        for member in self.members:
            wanted = self.options.layer
            if wanted is not None and wanted.partition(":")[0] != member.name:
                continue
            try:
                source = self.opener(member.path, replace(self.options, layer=None))
                layers = source.info.layers
            except ReadError as error:
                errors.append(error)
                continue
            for layer in layers:
                name = member.name if len(layers) == 1 else f"{member.name}:{layer.name}"
                out.append((member, source, layer, name))
        if errors and (not out or self.options.layer is not None):
            first = errors[0]
            raise ReadError(
                self.path, f"{first.path.name}：{first.zh}", f"{first.path.name}: {first.en}"
            ) from first
        return tuple(out)

    @cached_property
    def info(self) -> SourceInfo:
        """All layers of all data sets; what could not be opened is a note."""
        notes: list[str] = []
        listed = {member.name for member, *_ in self._opened}
        if self.options.layer is None:
            notes += [
                f"{member.name} 不能读 cannot be read"
                for member in self.members
                if member.name not in listed
            ]
        for member in dict.fromkeys(m.name for m, *_ in self._opened):
            source = next(s for m, s, *_ in self._opened if m.name == member)
            notes += [f"{member}: {note}" for note in source.info.notes]
        layers = tuple(replace(layer, name=name) for _, _, layer, name in self._opened)
        drivers = dict.fromkeys(source.info.driver for _, source, *_ in self._opened)
        infos = [source.info for _, source, *_ in self._opened]
        single = infos[0] if len(infos) == 1 else None
        return SourceInfo(
            self.path,
            "ZIP/" + ",".join(drivers),
            layers,
            single.encoding_declared if single else None,
            single.encoding_detected if single else None,
            tuple(notes),
        )

    @cached_property
    def layer(self) -> LayerInfo:
        """The named layer, or the only one."""
        wanted = self.options.layer
        names = [name for *_, name in self._opened]
        if wanted is not None and not names:
            listed = ", ".join(member.name for member in self.members)
            raise ReadError(
                self.path,
                f"压缩包里没有 {wanted}；有：{listed}。",
                f"the archive holds no {wanted!r}; it has: {listed}.",
            )
        return choose_layer(self.info, wanted)

    def batches(self) -> Iterator[Batch]:
        """The batches of the layer's own reader."""
        name = self.layer.name
        member, layer = next((m, la) for m, _, la, n in self._opened if n == name)
        several = sum(m.name == member.name for m, *_ in self._opened) > 1
        options = replace(self.options, layer=layer.name if several else None)
        yield from self.opener(member.path, options).batches()


def open_archive(path: Path, options: ReadOptions, opener: Opener) -> ArchiveSource:
    """Unpack and list the data sets, each opened by `opener`; ReadError when none can be read."""
    folder = Path(tempfile.mkdtemp(prefix="delivery-"))
    try:
        unpack(path, folder)
        source = ArchiveSource(path, options, opener, folder)
        _ = source.info
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ReadError(
            path,
            "压缩包损坏、被截断或压缩方法不支持。",
            f"the archive is damaged, cut off or packed in an unknown way ({error}).",
        ) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(source, shutil.rmtree, folder, ignore_errors=True)
    return source
