"""A delivery file says everything that moves a coordinate, or is refused with the key at fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl.delivery import MAX_BYTES, DeliveryError, Mode, load_delivery, parse_delivery

BASE: dict[str, Any] = {
    "delivery": "bureau/2026-11",
    "bureau": "住房和城乡建设局",
    "city": "meizhou",
    "synthetic": False,
    "loads": [{"layer": "building", "files": ["a/buildings.shp"], "coordsys": "epsg:4548"}],
}


def changed(load: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    return {**BASE, "loads": [{**BASE["loads"][0], **(load or {})}], **top}


def test_paths_stand_beside_the_delivery_file(tmp_path: Path) -> None:
    delivery = parse_delivery(changed(datum_parameters="../datum.yaml"), tmp_path / "d.yaml")
    assert delivery.loads[0].files[0].path == tmp_path / "a" / "buildings.shp"
    assert delivery.datum_parameters == tmp_path / ".." / "datum.yaml"
    assert delivery.loads[0].mode is Mode.APPEND  # nothing is deleted unless the delivery says so


@pytest.mark.parametrize(
    ("document", "key", "right"),
    [
        (changed(bureau=None), "bureau", "required"),
        (changed(synthetic=None), "synthetic", "true or false"),
        (changed(colour="red"), "colour", "known: delivery, bureau"),
        (changed(loads=[]), "loads", "at least one"),
        (changed({"mode": "replace"}), "loads[0]: mode", "full, append or partial"),
        (changed({"files": []}), "loads[0]: files", "at least one"),
        (changed({"files": [{"name": "x"}]}), "loads[0]: files[0]: name", "path, encoding"),
        (changed({"columns": {"x": "X", "north": "Y"}}), "columns", "north and east"),
        (changed({"columns": {"lon": "X"}}), "columns", "lon and lat"),
        (changed({"fields": {"use": {"column": "a", "value": 1}}}), "fields.use", "exactly one"),
        (changed({"fields": {"use": {}}}), "fields.use", "column, value, template"),
        (changed({"accept_accuracy": {"metres": 3}}), "reason", "required"),
        (changed({"accept_accuracy": {"metres": 0, "reason": "x"}}), "metres", "above 0"),
        (changed({"answers": "yes"}), "answers", "mapping"),
    ],
)
def test_a_fault_names_file_key_and_what_is_right(
    document: dict[str, Any], key: str, right: str, tmp_path: Path
) -> None:
    with pytest.raises(DeliveryError) as refused:
        parse_delivery(document, tmp_path / "delivery.yaml")
    sentence = str(refused.value)
    assert sentence.startswith("delivery.yaml")
    assert key in sentence
    assert right in sentence


def test_loads_into_one_layer_agree_on_what_is_deleted(tmp_path: Path) -> None:
    load = BASE["loads"][0]
    with pytest.raises(DeliveryError, match="mode"):
        parse_delivery(
            changed(loads=[{**load, "mode": "full"}, {**load, "mode": "append"}]), tmp_path / "d"
        )


def test_what_is_no_yaml_and_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    with pytest.raises(DeliveryError, match="no such delivery"):
        load_delivery(path)
    path.write_text("loads: [", "utf-8")
    with pytest.raises(DeliveryError, match=r"broken\.yaml.*not YAML"):
        load_delivery(path)
    path.write_bytes("bureau: 城管局".encode("gbk"))
    with pytest.raises(DeliveryError, match="UTF-8"):
        load_delivery(path)


def test_a_delivery_file_of_few_bytes_and_endless_entries_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "delivery.yaml"
    doubled = "".join(f"z{n}: &z{n} [*z{n - 1}, *z{n - 1}]\n" for n in range(1, 60))
    for text in (
        "z0: &z0 [a]\n" + doubled,
        "loads: &own [*own]\n",
        "[" * 20_000,
        "bureau: b\n" * (MAX_BYTES // 10 + 1),
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(DeliveryError, match="too large, too deep"):
            load_delivery(path)


def test_aliases_of_a_delivery_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "delivery.yaml"
    path.write_text(
        "delivery: a\nbureau: b\ncity: meizhou\nsynthetic: false\nloads:\n"
        "- {layer: building, files: [a.shp], fields: &same {name: 名称}}\n"
        "- {layer: building, files: [b.shp], fields: *same}\n",
        "utf-8",
    )
    first, second = load_delivery(path).loads
    assert first.fields == second.fields
