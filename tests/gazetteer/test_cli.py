"""`geoserver-py gazetteer` on the console: what a person reads, and what a program gets."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from gazetteer.normalise import normalise
from gazetteer.trace import changes
from geoserver_py.cli.app import app

Said = Callable[..., Result]


@pytest.fixture
def said(city_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Runs a sub-command of `gazetteer` on the small city."""
    monkeypatch.setenv("GEOSERVER_PY_DATABASE_URL", city_dsn)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["gazetteer", *arguments])

    return run


def test_the_commands_have_the_names_that_people_are_told(said: Said) -> None:
    shown = said("--help").stdout
    assert all(name in shown for name in ("build", "match", "parse", "explain", "report", "batch"))


def test_explain_tells_the_whole_way_of_an_answer(said: Said) -> None:
    """Steps in order, Chinese first; each change of the text with its place and its result."""
    run = said("explain", "梅 江區江南街道嘉应中路１２号3单元")
    assert run.exit_code == 0, run.output
    text = run.stdout
    steps = [text.index(f"\n{n} {title}") for n, title in (
        (1, "规范化"), (2, "解析"), (3, "查询"), (4, "候选"), (5, "结论"),
    )]  # fmt: skip
    assert steps == sorted(steps)
    assert "[第2字 char] “U+0020” → 去掉 dropped" in text
    assert "[第4字 char] “區” → “區”，比较时作 compared as “区”" in text
    assert "[第13-14字 chars] “１２” → “12”" in text
    assert "镇街 town: 江南街道 441402004 [原文 original] ← “江南街道”[第5-8字 chars]" in text
    assert "省 province: 广东省 44 [补全 completed]" in text
    assert "街路巷 嘉应中路 12号（441402）: 2 条记录 rows" in text
    assert "+0.00 门牌相符 (the house number is on record)" in text
    assert text.rstrip().endswith("[门牌号] 得分 score 1.000，误差 error 5.0 m")


def test_explain_shows_the_veto_on_a_contradiction(said: Said) -> None:
    run = said("explain", "大埔县江南街道嘉应中路12号")
    assert "否决 veto: " in run.stdout
    document = json.loads(said("explain", "--json", "大埔县江南街道嘉应中路12号").stdout)
    assert document["vetoed"], "a town of another county contradicts the county"
    assert all(c["vetoed"] and c["score"] <= c["most"] == 0.4 for c in document["vetoed"])
    assert document["decision"]["score"] < 0.9


@pytest.mark.parametrize(
    "text",
    [
        "梅江区嘉应中路12号", "嘉应中路7号", "黄坑村", "五家畲村", "人民路8号",
        "嘉应中路与剑英大道交叉口", "广州市天河区体育西路1号", "!!!", "41 Jiaying Zhong Rd",
    ],
)  # fmt: skip
def test_explain_decides_as_the_service_answers(said: Said, client: TestClient, text: str) -> None:
    decided = json.loads(said("explain", "--json", text).stdout)["decision"]
    answer = client.get("/geocode", params={"q": text}).json()
    assert decided["ambiguous"] == answer["geocoding"]["ambiguous"]
    first = answer["features"][0]["properties"]["geocoding"] if answer["features"] else None
    told = (decided["label"], decided["score"], decided["error_m"])
    assert told == (
        (None, None, None) if first is None else (first["label"], first["score"], first["error_m"])
    )


def test_the_scores_of_explain_add_up(said: Said) -> None:
    """What the lines take from 1 is what the candidate has, where nothing caps it."""
    document = json.loads(said("explain", "--json", "梅江区嘉应中路7号").stdout)
    for candidate in document["candidates"]:
        taken = 1 + sum(reason["delta"] for reason in candidate["explanation"])
        assert abs(min(taken, 1) - candidate["score"]) < 0.0015


def test_parse_shows_the_components_by_level(said: Said, client: TestClient) -> None:
    text = "梅江区嘉应中路12号之一3单元502室"
    run = said("parse", text)
    assert run.exit_code == 0
    levels = ("区县 county", "街路巷 road", "门牌号 number", "单元 unit", "户室 room")
    places = [run.stdout.index(level) for level in levels]
    assert places == sorted(places)
    over_http = client.get("/parse", params={"q": text}).json()
    assert json.loads(said("parse", "--json", text).stdout) == over_http


def test_a_coordinate_is_explained_as_one(said: Said) -> None:
    run = said("explain", "116.12345, 24.28765")
    assert run.exit_code == 0
    assert "文中是坐标" in run.stdout


def test_build_counts_the_names_and_report_the_addresses(said: Said) -> None:
    assert "village" in said("build").stdout
    assert "条地址" in said("report").stdout


@pytest.mark.parametrize("text", ["", "嘉" * 201])
def test_a_text_that_is_no_address_is_refused_in_a_sentence(said: Said, text: str) -> None:
    for command in ("match", "parse", "explain"):
        run = said(command, text)
        assert run.exit_code == 1
        assert "1 至 200 个字符" in str(run.exception)


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_changes_told_lead_from_the_text_typed_to_the_one_read(text: str) -> None:
    """Put in place of what was typed they give the normalised text and key, whatever the text."""
    found = normalise(text)
    for wanted, of in ((found.text, "text"), (found.key, "key")):
        made, at = "", 0
        for change in changes(found):
            assert change.typed == text[change.start : change.end]
            made += text[at : change.start] + getattr(change, of)
            at = change.end
        assert made + text[at:] == wanted
