"""`gazetteer explain` and `gazetteer parse` on the console: plain lines, Chinese first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

STATUS = {
    "original": "原文 original",
    "corrected": "更正 corrected",
    "completed": "补全 completed",
    "unmatched": "库中没有 unmatched",
}


def parse_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The readings of a text by level, likeliest first."""
    yield f"规范化 normalised: {document['normalised']}"
    yield from _readings(document["readings"], document["ambiguous"])


def trace_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The whole trace in five steps."""
    yield f"输入 input: {document['query']}"
    yield "1 规范化 normalisation"
    yield from _normalisation(document["normalisation"])
    parsed = document["parse"]
    yield f"2 解析 parse: {parsed['of']} 种读法 readings" + (
        "，已查找近形近音字 misspellings looked for" if parsed["misspellings_looked_for"] else ""
    )
    yield from _readings(parsed["readings"], parsed["ambiguous"])
    yield "3 查询 looked up"
    yield from _looked_up(document["looked_up"])
    yield f"4 候选 candidates: {document['candidates_of']}"
    for number, candidate in enumerate(document["candidates"], 1):
        yield from _candidate(number, candidate)
    if document["vetoed"]:
        yield "  否决的读法所得 from readings that contradict themselves:"
    for number, candidate in enumerate(document["vetoed"], 1):
        yield from _candidate(number, candidate)
    yield "5 结论 decision"
    yield from _decision(document["decision"])


def _normalisation(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"  文本 text: {found['text']}"
    yield f"  比较用 key: {found['key']}"
    if found["read_as"] is not None:
        yield f"  按拉丁写法读作 read as: {found['read_as']}"
    if not found["changes"]:
        yield "  没有改动 nothing changed"
    for change in found["changes"]:
        what = f"“{change['text']}”" if change["text"] else "去掉 dropped"
        if change["text"] and change["key"] != change["text"]:
            what += f"，比较时作 compared as “{change['key']}”"
        yield f"  {_span(change['span'])} “{_visible(change['typed'])}” → {what}"


def _readings(readings: Sequence[Mapping[str, Any]], ambiguous: bool) -> Iterator[str]:
    if ambiguous:
        yield "  几种读法不相上下 several readings are equally likely"
    for number, reading in enumerate(readings, 1):
        code = f"，区划 division {reading['division_code']}" if reading["division_code"] else ""
        outside = "，市外 outside" if reading["outside"] else ""
        yield f"  读法 reading {number}: 代价 cost {reading['cost']:.2f}{code}{outside}"
        yield from (f"    {line}" for line in map(_component, reading["components"]))
        if reading["unread"]:
            words = "、".join(f"“{u['text']}”{_span(u['span'])}" for u in reading["unread"])
            yield f"    未读 unread: {words}"
        for reason in reading["explanation"]:
            veto = "否决 veto: " if reason["rule"] == "conflict" else ""
            yield f"    {veto}{reason['zh']} ({reason['en']})"


def _component(component: Mapping[str, Any]) -> str:
    code = f" {component['code']}" if "code" in component else ""
    typed = ""
    if "span" in component:
        typed = f" ← “{component['text']}”{_span(component['span'])}"
    status = STATUS[component["status"]]
    return f"{component['title']} {component['kind']}: {component['value']}{code} [{status}]{typed}"


def _looked_up(asked: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not asked:
        yield "  没有要查的门牌或交叉口 no number or crossing to look up"
    for key in asked:
        number = f" {key['number']}号" if key.get("number") else ""
        within = f"（{key['within']}）" if key.get("within") else ""
        rows = f"{key['rows']} 条记录 rows" if key["rows"] else "没有记录 no rows"
        yield f"  {key['title']} {key['name']}{number}{within}: {rows}"


def _candidate(number: int, found: Mapping[str, Any]) -> Iterator[str]:
    record = found["record"]
    where = "没有位置 no position"
    if found["lon"] is not None:
        error = "误差不详 error unknown" if found["error_m"] is None else f"±{found['error_m']} m"
        where = f"{found['lon']:.7f}, {found['lat']:.7f} {found['coordsys']} {error}"
    yield f"  {number}. {found['label']} [{found['level']}] 得分 score {found['score']:.3f}"
    yield f"     {where}；记录 record {record['collection'] or '-'}/{record['id']}"
    yield from (f"     {line}" for line in map(_component, found["components"]))
    yield "     +1.00 起始 start"
    for reason in found["explanation"]:
        yield f"     {reason['delta']:+.2f} {reason['zh']} ({reason['en']})"
    if found["vetoed"]:
        yield (
            f"     否决 veto: 与文中另一部分矛盾，得分至多 {found['most']:.2f}"
            " (contradicts another part of the text)"
        )
    if found["score"] != found["sum"]:
        yield f"     合计 sum {found['sum']:.3f}，取 taken as {found['score']:.3f}"


def _decision(found: Mapping[str, Any]) -> Iterator[str]:
    for reason in found["explanation"]:
        yield f"  {reason['zh']} ({reason['en']})"
    if found["label"] is None:
        yield "  没有答案 no answer"
        return
    error = "" if found["error_m"] is None else f"，误差 error {found['error_m']} m"
    yield f"  {found['label']} [{found['level']}] 得分 score {found['score']:.3f}{error}"
    if found["ambiguous"]:
        yield "  有多处同样符合，请补充上级区划 (ambiguous: name the county or town)"


def _span(span: Sequence[int]) -> str:
    first, last = span[0] + 1, span[1]
    return f"[第{first}字 char]" if last <= first else f"[第{first}-{last}字 chars]"


def _visible(text: str) -> str:
    """Blanks and invisible characters by their number."""
    return "".join(c if c.isprintable() and not c.isspace() else f"U+{ord(c):04X}" for c in text)
