"""Code lists: complete, and linked as the standards link them."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from layers.codes import code_list, code_lists
from layers.definition import load_definitions


def test_every_domain_of_a_definition_is_a_list() -> None:
    for definition in load_definitions().values():
        for field in definition.fields:
            if field.domain is not None:
                assert code_list(field.domain).entries


@pytest.mark.parametrize("name", code_lists())
def test_every_code_has_both_names_and_its_list_says_where_it_is_from(name: str) -> None:
    entries = code_list(name).entries
    assert code_list(name).note
    for code, entry in entries.items():
        assert entry.code == code
        assert entry.zh
        assert entry.en


def test_components_and_matters_are_as_many_as_the_standard_has() -> None:
    components, matters = code_list("component_class"), code_list("matter_class")
    assert Counter(e.extra["major"] for e in components.entries.values()) == {
        "01": 76, "02": 44, "03": 16, "04": 14, "05": 3,
    }  # fmt: skip
    assert Counter(e.extra["major"] for e in matters.entries.values()) == {
        "01": 76, "02": 44, "03": 16, "04": 14, "05": 3,
        "06": 51, "07": 7, "08": 16, "09": 21, "10": 2,
    }  # fmt: skip
    for code, component in components.entries.items():
        assert matters.entries[code].zh.replace("异常", "") == component.zh  # 紧急报警点异常SOS


def test_crosswalk_to_2013_goes_both_ways() -> None:
    components, old = code_list("component_class"), code_list("component_class_2013")
    forth = {e.extra["class_2013"]: c for c, e in components.entries.items()}
    for code, entry in old.entries.items():
        assert entry.extra["class_2026"] == forth.get(code, "")
    assert forth["0101"] == "01001"  # 上水井盖 is 供水井盖 now


def test_pipelines_have_8_classes_and_37_sub_classes() -> None:
    classes, subclasses = code_list("pipeline_class"), code_list("pipeline_subclass")
    assert list(classes.entries) == ["JS", "PS", "RQ", "RL", "DL", "TX", "GY", "QT"]
    assert len(subclasses.entries) == 37
    assert {e.extra["class"] for e in subclasses.entries.values()} == set(classes.entries)
    assert classes.entries["RQ"].extra["rgb"] == "255,0,255".replace(",", " ")
    assert subclasses.by_name("污水") == subclasses.entries["WS"]


def test_unknown_list_is_refused_with_the_known_names() -> None:
    with pytest.raises(KeyError, match="road_class"):
        code_list("../definitions/road")


def test_directory_agrees_with_the_transcription_beside_the_clone(shared_data: Path) -> None:
    source = shared_data / "gbt47678-5-2026" / "directory.csv"
    lists = {"管理部件": code_list("component_class"), "管理事项": code_list("matter_class")}
    with source.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == sum(len(known.entries) for known in lists.values())
    for row in rows:
        assert lists[row["kind"]].entries[row["code"]].zh == row["name"]
