"""Turning the templates into delivery files for the data sets that are present.

`${DATA}` is the folder of the data sets, `${OUT}` that of prepared files. In a `map` or `where`,
`$osm.<code list>` stands for the OpenStreetMap values of that list, `$years` for the years from
1900, with the unknown year 0001 as a blank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from geoserver_py.real_deliveries.osm import flatten_osm
from layers.codes import code_list

Say = Callable[[str], None]

_PREPARED = {
    "liechtenstein": "osm/liechtenstein-2013-08-03.osm.pbf",
    "helsinki": "osm/Helsinki.osm.pbf",
}
"""OpenStreetMap extracts whose house numbers and places are first taken out of the free tags."""


def write_real_deliveries(
    data: Path, out: Path, say: Say | None = None, *, templates: Traversable | None = None
) -> tuple[Path, ...]:
    """Write `out/<name>/delivery.yaml` for each data set below `data`; absent ones are said.

    `templates` is a folder of other templates than those of the package. The paths of the
    delivery files come back in the order to run them.
    """
    made = []
    root = templates or resources.files("geoserver_py.real_deliveries")
    for entry in sorted(root.iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".yaml"):
            continue
        name = entry.name.removesuffix(".yaml")
        document = yaml.safe_load(entry.read_text("utf-8"))
        needed = [data / part for part in document.pop("needs")]
        absent = [path.name for path in needed if not path.exists()]
        if absent:
            if say is not None:
                say(f"{name}: 缺少 absent in {data}: {', '.join(absent)}")
            continue
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        parameters = document.pop("datum", None)
        if parameters is not None:
            document["datum_parameters"] = "datum.yaml"
            _write(folder / "datum.yaml", parameters)
        if name in _PREPARED:
            flatten_osm(data / _PREPARED[name], folder / "osm.gpkg")
        resolved = _resolve(document, {"${DATA}": str(data.resolve()), "${OUT}": "."})
        _write(folder / "delivery.yaml", resolved)
        made.append(folder / "delivery.yaml")
    return tuple(made)


def _write(path: Path, document: Any) -> None:
    """Write only what differs: an unchanged delivery file keeps its time and is not run again."""
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=100)
    if not path.is_file() or path.read_text("utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _resolve(value: Any, places: Mapping[str, str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _resolve(inner, places, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(inner, places) for inner in value]
    if not isinstance(value, str):
        return value
    if value == "$years":
        return {"0001": None} | {str(year): year for year in range(1900, 2101)}
    if value.startswith("$osm."):
        codes = osm_values(value.removeprefix("$osm."))
        return codes if key == "map" else list(codes)
    for name, place in places.items():
        value = value.replace(name, place)
    return value


def osm_values(name: str) -> dict[str, str]:
    """Code by OpenStreetMap value, of a code list with a column `osm`."""
    entries = code_list(name).entries.values()
    return {word: entry.code for entry in entries for word in entry.extra["osm"].split()}
