"""What a layer is: the definition that tables, API, tiles, checks and forms are derived from.

Definitions are YAML files (``layers/definitions/*.yaml``), one layer each; ``layers apply`` turns
them into tables. A definition may say ``like: <layer>`` to take over fields and rules of another
one (foreign sets with a frame of their own do).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from layers.access import AccessClass

MAX_IDENTIFIER_BYTES = 48
"""PostgreSQL cuts identifiers at 63 bytes; 15 are kept for index and constraint suffixes."""

SYSTEM_COLUMNS = frozenset(
    {"fid", "id", "revision", "run", "source_ref", "row_hash", "geom", "tile_geom"}
)
"""Columns that every layer table has and no field may be named after."""


class DefinitionError(ValueError):
    """A definition that cannot become a layer; the message names file, key and what would do."""


class GeometryType(StrEnum):
    """Geometry types a layer can hold; lines and polygons are always Multi* in the store."""

    POINT = "Point"
    MULTILINESTRING = "MultiLineString"
    MULTIPOLYGON = "MultiPolygon"

    @property
    def dimension(self) -> int:
        """Topological dimension: 0 points, 1 lines, 2 areas."""
        return {"Point": 0, "MultiLineString": 1, "MultiPolygon": 2}[self.value]


class FieldType(StrEnum):
    """Value types of fields, and the PostgreSQL type each is stored as."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"

    @property
    def postgres(self) -> str:
        """Type name in DDL. Integers are 64 bits, reals 64 bits, timestamps carry a zone."""
        return {
            "text": "text",
            "integer": "bigint",
            "real": "double precision",
            "boolean": "boolean",
            "date": "date",
            "timestamp": "timestamptz",
        }[self.value]


@dataclass(frozen=True)
class Title:
    """A title in both languages; Chinese is shown first."""

    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.zh} {self.en}"


@dataclass(frozen=True)
class Field:
    """A field of a layer.

    ``alias`` are the names under which deliveries and standards know the field (e.g. GLBJBSM).
    ``domain`` names a code list in ``layers/codes``. ``tile_zoom`` is the first zoom at which
    vector tiles carry the field; None keeps it out of tiles. ``unit`` is a UCUM code.
    """

    name: str
    type: FieldType
    title: Title
    required: bool = False
    domain: str | None = None
    alias: tuple[str, ...] = ()
    tile_zoom: int | None = None
    unit: str | None = None
    max_length: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    indexed: bool = False


@dataclass(frozen=True)
class LayerDefinition:
    """A layer: its identity, its fields and the rules its data must keep.

    ``frame`` names the city profile whose extent the coordinates must lie in.
    ``required_accuracy_m`` blocks loads whose datum steps are less accurate.
    ``checks`` are rule names with their parameters, run by ``etl``.
    ``number_indexes`` are pairs (field, numbered): an index on the field and on the main number of
    the other (12 in 自编12号之三), by which house numbers are found and put in order.
    ``optional`` layers get a table only when asked for (sample sets that a city does not have).
    ``minimum_zoom``/``maximum_zoom`` bound the layer in tiles (Web Mercator zooms).
    """

    name: str
    title: Title
    theme: str
    bureau: str
    fields: tuple[Field, ...]
    geometry: GeometryType | None
    has_z: bool = False
    access: AccessClass = AccessClass.RESTRICTED
    description: Title = Title("", "")
    id_title: Title = Title("标识码", "Identifier")
    id_pattern: str | None = None
    id_alias: tuple[str, ...] = ()
    time_field: str | None = None
    label_field: str | None = None
    minimum_zoom: int = 0
    maximum_zoom: int = 22
    frame: str = "meizhou"
    required_accuracy_m: float | None = None
    checks: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    standard: str | None = None
    optional: bool = False
    number_indexes: tuple[tuple[str, str], ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def field_by_name(self) -> Mapping[str, Field]:
        """Fields by their names."""
        return {f.name: f for f in self.fields}

    @property
    def field_names(self) -> tuple[str, ...]:
        """Names of the fields in definition order (system columns excluded)."""
        return tuple(f.name for f in self.fields)

    @property
    def postgis_type(self) -> str | None:
        """Type of the ``geom`` column without SRID, e.g. ``MultiPolygonZ``."""
        if self.geometry is None:
            return None
        return f"{self.geometry.value}{'Z' if self.has_z else ''}"


def load_definitions(paths: Iterable[Path] | None = None) -> dict[str, LayerDefinition]:
    """Read definitions by name: those of the package, or of the given YAML files.

    Raises DefinitionError for an unknown key, a bad name, a reserved field or a broken ``like``.
    """
    if paths is None:
        root = resources.files("layers") / "definitions"
        sources = {
            entry.name: entry.read_text("utf-8")
            for entry in sorted(root.iterdir(), key=lambda e: e.name)
            if entry.name.endswith(".yaml")
        }
    else:
        sources = {str(path): path.read_text("utf-8") for path in paths}
    raw: dict[str, tuple[str, dict[str, Any]]] = {}
    for origin, text in sources.items():
        document = yaml.load(text, yaml.CSafeLoader)  # safe_load takes 0.3 s for all layers
        if not isinstance(document, dict) or "name" not in document:
            raise DefinitionError(f"{origin}: 缺少 name (a layer definition needs a name)")
        raw[document["name"]] = (origin, document)
    return {
        name: parse_definition(_inherit(name, raw), origin=origin)
        for name, (origin, _) in raw.items()
    }


def _inherit(name: str, raw: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    origin, document = raw[name]
    parent = document.get("like")
    if parent is None:
        return document
    if parent not in raw or "like" in raw[parent][1]:
        raise DefinitionError(
            f"{origin}: like: {parent} 不存在或本身也是 like "
            f"(name a definition that stands on its own)"
        )
    own = {key: value for key, value in document.items() if key != "like"}
    return {**raw[parent][1], **own}


def standing(
    definitions: Mapping[str, LayerDefinition], applied: Collection[str] = ()
) -> tuple[LayerDefinition, ...]:
    """The definitions that `layers apply` keeps: all but optional ones that nobody applied yet."""
    return tuple(d for d in definitions.values() if not d.optional or d.name in applied)


_LAYER_KEYS = {
    "name", "title", "theme", "bureau", "fields", "geometry", "has_z", "access", "description",
    "id", "time_field", "label_field", "zoom", "frame", "required_accuracy_m", "checks", "standard",
    "optional", "number_indexes",
}  # fmt: skip
_FIELD_KEYS = {
    "name", "type", "title", "required", "domain", "alias", "tile_zoom", "unit", "max_length",
    "minimum", "maximum", "indexed",
}  # fmt: skip


def parse_definition(document: Mapping[str, Any], *, origin: str = "definition") -> LayerDefinition:
    """Turn one YAML mapping into a definition; raises DefinitionError with the key at fault."""
    unknown = set(document) - _LAYER_KEYS
    if unknown:
        raise DefinitionError(f"{origin}: 未知的键 unknown keys {sorted(unknown)}")
    try:
        name = _identifier(str(document["name"]), origin)
        fields = tuple(_field(entry, origin) for entry in document.get("fields", ()))
        geometry = document.get("geometry")
        identity = document.get("id", {})
        low, high = document.get("zoom", (0, 22))
        definition = LayerDefinition(
            name=name,
            title=_title(document["title"], origin),
            theme=str(document["theme"]),
            bureau=str(document["bureau"]),
            fields=fields,
            geometry=None if geometry is None else GeometryType(geometry),
            has_z=bool(document.get("has_z", False)),
            access=AccessClass(document.get("access", AccessClass.RESTRICTED)),
            description=_title(document.get("description", {"zh": "", "en": ""}), origin),
            id_title=_title(identity.get("title", {"zh": "标识码", "en": "Identifier"}), origin),
            id_pattern=identity.get("pattern"),
            id_alias=tuple(identity.get("alias", ())),
            time_field=document.get("time_field"),
            label_field=document.get("label_field"),
            minimum_zoom=int(low),
            maximum_zoom=int(high),
            frame=str(document.get("frame", "meizhou")),
            required_accuracy_m=document.get("required_accuracy_m"),
            checks=tuple((str(rule), dict(args or {})) for rule, args in _rules(document)),
            standard=document.get("standard"),
            optional=bool(document.get("optional", False)),
            number_indexes=tuple((str(a), str(b)) for a, b in document.get("number_indexes", ())),
            source=dict(document),
        )
    except KeyError as missing:
        raise DefinitionError(f"{origin}: 缺少 {missing} (this key is required)") from missing
    except ValueError as bad:
        raise DefinitionError(f"{origin}: {bad}") from bad
    names = [f.name for f in fields]
    if len(set(names)) != len(names):
        raise DefinitionError(f"{origin}: 字段重名 (two fields share a name)")
    numbered = [name for pair in definition.number_indexes for name in pair]
    for reference in (definition.time_field, definition.label_field, *numbered):
        if reference is not None and reference not in definition.field_by_name:
            raise DefinitionError(f"{origin}: 没有字段 no field named {reference}")
    return definition


def _rules(document: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any] | None]]:
    for entry in document.get("checks", ()):
        if isinstance(entry, str):
            yield entry, None
        else:
            yield from entry.items()


def _identifier(name: str, origin: str) -> str:
    if not name.isidentifier() or not name.isascii() or name != name.lower():
        raise DefinitionError(f"{origin}: {name!r} 不是小写英文标识符 (lower-case a-z 0-9 _)")
    if len(name) > MAX_IDENTIFIER_BYTES:
        raise DefinitionError(f"{origin}: {name!r} 超过 {MAX_IDENTIFIER_BYTES} 个字符 (too long)")
    return name


def _title(value: Any, origin: str) -> Title:
    if not isinstance(value, Mapping) or set(value) != {"zh", "en"}:
        raise DefinitionError(f"{origin}: 标题须写成 {{zh: …, en: …}} (got {value!r})")
    return Title(zh=str(value["zh"]), en=str(value["en"]))


def _field(entry: Mapping[str, Any], origin: str) -> Field:
    unknown = set(entry) - _FIELD_KEYS
    if unknown:
        raise DefinitionError(f"{origin}: 字段的未知键 unknown field keys {sorted(unknown)}")
    name = _identifier(str(entry["name"]), origin)
    if name in SYSTEM_COLUMNS:
        raise DefinitionError(f"{origin}: 字段名 {name} 为系统保留 (reserved)")
    return Field(
        name=name,
        type=FieldType(entry["type"]),
        title=_title(entry["title"], origin),
        required=bool(entry.get("required", False)),
        domain=entry.get("domain"),
        alias=tuple(entry.get("alias", ())),
        tile_zoom=entry.get("tile_zoom"),
        unit=entry.get("unit"),
        max_length=entry.get("max_length"),
        minimum=entry.get("minimum"),
        maximum=entry.get("maximum"),
        indexed=bool(entry.get("indexed", False)),
    )
