"""The quality of an address table: what its records lack or contradict, street by street.

Table checks look at one record; numbering checks (GB/T 35639 annex B) at a street with its line.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import jinja2
import psycopg
import shapely

from gazetteer.levels import CODE_LENGTH, Kind
from gazetteer.names import official_name
from gazetteer.numbers import house_number
from gazetteer.production.numbering import (
    Finding,
    NumberingRules,
    Plate,
    Severity,
    check_street,
)
from gazetteer.production.statements import statement
from layers.city import CityProfile

RULES: Mapping[str, tuple[str, str]] = {
    "incomplete": ("要素不全", "a part is missing"),
    "number-form": ("门牌号写法不可识别", "house number of no known form"),
    "division-code": ("区划代码不存在", "no such division code"),
    "division-name": ("区划名称与代码不符", "division name and code disagree"),
    "full-address": ("标准地址与分项不符", "full address and its parts disagree"),
    "outside-town": ("位置在所属镇街之外", "position outside its town"),
    "road-unknown": ("街路巷不在道路图层", "road not in the road layer"),
    "repeated": ("标准地址重复", "full address repeated"),
    "duplicate": ("门牌号重号", "house number repeated on its street"),
    "order": ("门牌号次序颠倒", "house number out of sequence"),
    "side": ("单双号在错误一侧", "house number on the wrong side"),
    "far": ("离所在道路过远", "far from its street"),
    "direction": ("编号方向", "direction of numbering"),
    "parity": ("单双号分侧", "odd and even sides"),
    "gap": ("缺号", "missing numbers"),
}
STEPS = ("读取 reading", "逐条检查 records", "位置检查 positions", "逐街检查 streets")
"""What a survey is at, in order."""
SAMPLE = 200
"""Findings of a rule that a report lists; the counts are of all."""
_FIELDS = ("county", "town", "village", "village_code", "road", "number", "estate", "building",
           "unit")  # fmt: skip


@dataclass
class QualityReport:
    """A report as data; ``counts`` by rule, ``findings`` a sample by rule."""

    city: str
    records: int = 0
    streets: int = 0
    records_in_error: int = 0
    filled: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    findings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def good_share(self) -> float:
        """Share of records without an error (advice does not count)."""
        return 1.0 if not self.records else 1 - self.records_in_error / self.records

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            **asdict(self),
            "good_share": round(self.good_share, 5),
            "rules": {rule: {"zh": zh, "en": en} for rule, (zh, en) in RULES.items()},
            "reference": "GB/T 35639-2017 附录 B annex B",
        }


def survey(
    connection: psycopg.Connection[Any],
    profile: CityProfile,
    *,
    readable: frozenset[str],
    on_step: Callable[[str], None] | None = None,
) -> QualityReport:
    """Check the loaded address layer; ``readable`` names the other layers that may be compared.

    ``on_step`` is told each of the STEPS as it begins. Raises ValueError where the city has no
    plane grid to measure in.
    """
    if profile.plane_grid is None:
        raise ValueError(f"{profile.name}: 没有平面坐标系 (no plane grid to measure in)")
    step = on_step or (lambda _: None)
    srid = int(profile.plane_grid.crs.rpartition(":")[2])
    rules = rules_of(profile)
    step(STEPS[0])
    cursor = connection.execute(statement("table_rows"), {"srid": srid})
    names = [column.name for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    register = _register(connection, readable)
    lines = _lines(connection, srid) if "road" in readable else {}
    report = QualityReport(profile.title.zh, len(rows))
    report.filled = {name: sum(bool(row[name]) for row in rows) for name in _FIELDS}
    step(STEPS[1])
    found = [*check_table(rows, register, set(lines) if lines else None)]
    step(STEPS[2])
    if "division_town" in readable:
        found += [
            Finding(
                "outside-town", Severity.ERROR, (identity,), f"不在{name}范围内", f"not in {name}"
            )
            for identity, name in connection.execute(statement("outside_town")).fetchall()
        ]
    step(STEPS[3])
    for findings in check_streets(rows, lines, rules):
        report.streets += 1
        found += findings
    report.counts = dict(Counter(finding.rule for finding in found).most_common())
    in_error = {i for f in found if f.severity is Severity.ERROR for i in f.ids}
    report.records_in_error = len(in_error)
    for finding in found:
        sample = report.findings.setdefault(finding.rule, [])
        if len(sample) < SAMPLE:
            sample.append({**asdict(finding), "ids": list(finding.ids)[:20]})
    return report


def rules_of(profile: CityProfile) -> NumberingRules:
    """The numbering practice of a city's profile; annex B where it says nothing."""
    return NumberingRules(**profile.codes.get("address", {}).get("numbering", {}))


def check_table(
    rows: Sequence[Mapping[str, Any]], register: Mapping[str, str], roads: set[str] | None
) -> Iterator[Finding]:
    """Findings of single records; ``register``: names by division code (empty: not compared)."""
    whole: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        whole[row["full_address"]].append(row["id"])
        for rule, zh, en in _row_faults(row, register, roads):
            yield Finding(rule, Severity.ERROR, (row["id"],), zh, en)
    for text, ids in whole.items():
        if len(ids) > 1:
            count = len(ids)
            yield Finding(
                "repeated", Severity.ERROR, tuple(ids), f"{text}：{count} 条", f"{count} records"
            )


def _row_faults(
    row: Mapping[str, Any], register: Mapping[str, str], roads: set[str] | None
) -> Iterator[tuple[str, str, str]]:
    lacking = [name for name in ("county", "town", "village_code") if not row[name]]
    if not (row["road"] or row["estate"] or row["village"]):
        lacking.append("road/estate/village")
    if not (row["number"] or row["building"]):
        lacking.append("number/building")
    if lacking:
        yield "incomplete", f"缺 {'、'.join(lacking)}", f"lacks {', '.join(lacking)}"
    if row["number"] and house_number(row["number"]) is None:
        yield "number-form", f"“{row['number']}”", f"{row['number']!r}"
    if roads is not None and row["road"] and row["road"] not in roads:
        yield "road-unknown", row["road"], row["road"]
    yield from _division_faults(row, register)
    position = 0
    for name in ("county", "town", "road", "estate", "number", "building", "unit"):
        part = row[name]
        if not part:
            continue
        at = row["full_address"].find(part, position)
        if at < 0:
            yield "full-address", f"{row['full_address']} 不含 {part}", f"{part} is not in it"
            return
        position = at + len(part)


def _division_faults(
    row: Mapping[str, Any], register: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    code = row["village_code"]
    if not code or not register:
        return
    if code not in register:
        yield "division-code", code, code
        return
    for name, kind, digits in (("county", Kind.COUNTY, 6), ("town", Kind.TOWN, 9),
                               ("village", Kind.VILLAGE, 12)):  # fmt: skip
        stated, registered = row[name], register.get(code[:digits])
        if stated and registered and official_name(stated, kind) != registered:
            yield "division-name", f"{stated}，代码为{registered}", f"{code} is {registered}"


def check_streets(
    rows: Iterable[Mapping[str, Any]],
    lines: Mapping[str, list[shapely.LineString]],
    rules: NumberingRules,
) -> Iterator[list[Finding]]:
    """Findings of each street that has a line, county by county and part by part."""
    streets: dict[tuple[str, str], list[Plate]] = defaultdict(list)
    for row in rows:
        number = house_number(row["number"]) if row["number"] else None
        if row["road"] in lines and number is not None:
            part = "".join(row[name] or "" for name in ("estate", "building", "unit"))
            plate = Plate(row["id"], number, row["x"], row["y"], part)
            streets[row["road"], (row["village_code"] or "")[:6]].append(plate)
    for (road, _), plates in sorted(streets.items()):
        tree = shapely.STRtree(lines[road])
        nearest = tree.nearest(shapely.points([(plate.x, plate.y) for plate in plates]))
        for part in sorted(set(nearest.tolist())):
            own = [p for p, at in zip(plates, nearest.tolist(), strict=True) if at == part]
            yield check_street(road, lines[road][part], own, rules)


def render_html(report: QualityReport) -> str:
    """The report as one page that loads nothing from elsewhere."""
    return _template().render(report=report, rules=RULES, fields=_FIELDS)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gazetteer.production", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("quality.html")


def _lines(connection: psycopg.Connection[Any], srid: int) -> dict[str, list[shapely.LineString]]:
    """Lines by road name, those that meet joined."""
    parts: dict[str, list[Any]] = defaultdict(list)
    for name, wkb in connection.execute(statement("road_lines"), {"srid": srid}).fetchall():
        parts[name] += shapely.get_parts(shapely.from_wkb(wkb)).tolist()
    return {
        name: shapely.get_parts(shapely.line_merge(shapely.MultiLineString(some))).tolist()
        for name, some in parts.items()
    }


def _register(connection: psycopg.Connection[Any], readable: frozenset[str]) -> dict[str, str]:
    """Names by code, from the register where it is loaded and else from the polygons."""
    found: dict[str, str] = {}
    sources = {
        "division_county": "SELECT id, name FROM layer.division_county",
        "division_town": "SELECT id, name FROM layer.division_town",
        "division_village": "SELECT id, name FROM layer.division_village",
        "division_name": "SELECT id, name FROM layer.division_name",
    }
    for layer, query in sources.items():
        if layer in readable:
            for code, name in connection.execute(query).fetchall():
                kind = CODE_LENGTH.get(len(code))
                if kind is not None:
                    found[code] = official_name(name, kind)
    return found
