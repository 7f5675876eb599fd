"""The pygeoapi provider of a catalogue layer: its fields, for queryables and schemas.

Items never come through here: pygeoapi swaps the axes of EPSG:4490, counts every page and pages
by OFFSET (docs/decisions), so ``geoserver_py.features`` serves them over the query compiler.
"""

from __future__ import annotations

from typing import Any

from pygeoapi.provider.base import BaseProvider

from layers.codes import code_list
from layers.definition import Field, FieldType, LayerDefinition

_JSON_TYPES = {
    FieldType.TEXT: {"type": "string"},
    FieldType.INTEGER: {"type": "integer"},
    FieldType.REAL: {"type": "number"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.TIMESTAMP: {"type": "string", "format": "date-time"},
}


def json_type(field: Field) -> dict[str, Any]:
    """The JSON Schema type of a field's values, its code list as ``enum``."""
    schema: dict[str, Any] = dict(_JSON_TYPES[field.type])
    if field.domain is not None:
        schema["enum"] = list(code_list(field.domain).entries)
    return schema


class CatalogueProvider(BaseProvider):  # type: ignore[misc]  # pygeoapi is untyped
    """Describes one layer; ``data`` of the provider definition is its LayerDefinition."""

    def __init__(self, provider_def: dict[str, Any]) -> None:
        super().__init__(provider_def)
        self.definition: LayerDefinition = provider_def["data"]
        self.get_fields()

    def get_fields(self) -> dict[str, dict[str, Any]]:
        """Fields by name as pygeoapi wants them: type, format and allowed values."""
        if not self._fields:
            for field in self.definition.fields:
                schema = json_type(field)
                if "enum" in schema:
                    schema["values"] = schema.pop("enum")
                self._fields[field.name] = schema
        return dict(self._fields)
