"""What a ranking means against what was declared: findings, sentences, agreement."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from etl.datum import Coordsys
from etl.datum.coordsys import datum_key
from etl.detection.evidence import Scored
from etl.detection.forms import central_meridian, zone_of
from etl.detection.model import KIND_TITLES, Datum, Finding, Hypothesis, Kind

_EXPLICIT = re.compile(r"东|北|经|纬|east|north|lon|lng|lat", re.I)
DECIDED = 0.95
CERTAIN = 0.99
# The finding that matters most names the detection.
_ORDER: tuple[Kind, ...] = (
    "mixed_datums", "several_zones", "packed_dms", "large_numbers_removed", "wrong_unit",
    "gcj02", "bd09", "xian80", "beijing54", "wrong_datum", "wrong_central_meridian",
    "wrong_zone_width", "missing_zone_prefix", "unexpected_zone_prefix", "unexplained_shift",
    "swapped_columns", "dms_text", "outside_city", "outliers",
)  # fmt: skip


def primary(findings: list[Finding]) -> Kind | None:
    """Kind of the most important finding."""
    kinds = {finding.kind for finding in findings}
    return next((kind for kind in _ORDER if kind in kinds), None)


def decide(ranked: list[Scored], few: bool = False) -> Hypothesis | None:
    """The reading that stands out: posterior 0.95, and no shift without a name.

    `few`: fewer than 20 points are compared with a reference, which must then support them.
    """
    if not ranked:
        return None
    best = ranked[0].hypothesis
    if few and ranked[0].nats < 3.0:
        return None  # a reference is there, a handful of points, and none near it
    rivals = [s for s in ranked[1:] if s.nats >= 3.0 and s.hypothesis.datum != "unknown"]
    if few and rivals and (best.near_share or 0.0) < 0.8:
        return None  # a fifth of a handful misses, and another datum has support: perhaps a mix
    return best if best.confidence >= DECIDED and best.datum != "unknown" else None


def form_decided(ranked: list[Scored]) -> Hypothesis | None:
    """The best reading when its form is sure although its datum is open."""
    if not ranked:
        return None
    best = ranked[0].hypothesis

    def same(other: Hypothesis) -> bool:
        return (
            (other.swapped, other.notation, _unit(other), other.added)
            == (best.swapped, best.notation, _unit(best), best.added)
            and other.zone == best.zone
            and other.central_meridian == best.central_meridian
        )

    sure = sum(s.hypothesis.confidence for s in ranked if same(s.hypothesis))
    return best if sure >= DECIDED and best.datum != "unknown" else None


def _unit(h: Hypothesis) -> str:
    # international and US survey feet lie 5 m apart in Meizhou: one unit until a fit decides
    return "foot" if "foot" in h.unit else h.unit


def marginal(ranked: list[Scored], kind: Kind) -> float:
    """Posterior of a form's peculiarity, whatever the datum and the exact offset."""
    tests: dict[Kind, Callable[[Hypothesis], bool]] = {
        "packed_dms": lambda h: h.notation in ("packed_dms", "packed_dddmmss", "ddmm.mmmm"),
        "large_numbers_removed": lambda h: h.added != (0.0, 0.0),
        "wrong_unit": lambda h: h.unit not in ("metre", "degree"),
        "swapped_columns": lambda h: h.swapped,
    }
    test = tests[kind]
    return float(sum((s.hypothesis.confidence for s in ranked if test(s.hypothesis)), 0.0))


def usual_order(titles: tuple[str, str] | None, axes_stated: bool) -> bool:
    """Whether exchanged columns are only the custom X = north: bare titles, nothing stated."""
    return titles is not None and not axes_stated and not _EXPLICIT.search(titles[0])


def swap_sentence(titles: tuple[str, str] | None) -> str:
    """Objection against exchanged columns."""
    if titles is None:
        return "x 与 y 写反了。 x and y are exchanged."
    return (
        f"列 {titles[0]} 应为东坐标（经度），实际是北坐标（纬度），与 {titles[1]} 写反。"
        f" The column {titles[0]!r} should hold eastings (longitudes) but holds northings"
        f" (latitudes): exchanged with {titles[1]!r}."
    )


def form_findings(ranked: list[Scored]) -> list[Finding]:
    """Packed notation, units, large numbers removed."""
    out: list[Finding] = []
    if not ranked:
        return out
    best = ranked[0].hypothesis
    if marginal(ranked, "packed_dms") >= DECIDED:
        out.append(
            Finding(
                "packed_dms",
                f"度分秒写成了小数（{best.notation}）：按十进制度读会偏差可达 20 km 以上。"
                " Degrees, minutes and seconds are packed into one number; read as decimal"
                " degrees they are up to 20 km and more off.",
                True,
            )
        )
    if marginal(ranked, "large_numbers_removed") >= DECIDED:
        options = dict.fromkeys(
            f"东 {h.added[0]:+.0f}、北 {h.added[1]:+.0f}"
            for h in (s.hypothesis for s in ranked[:6])
            if h.added != (0.0, 0.0) and h.confidence > 0.01
        )
        out.append(
            Finding(
                "large_numbers_removed",
                f"坐标减去了大数，可能要加回：{'；或 '.join(options)}。请说明所减的大数。"
                " Large numbers were taken away from the coordinates; state which.",
                True,
            )
        )
    if marginal(ranked, "wrong_unit") >= DECIDED:
        out.append(
            Finding(
                "wrong_unit",
                f"单位是 {best.unit}，不是米。The unit is {best.unit}, not metres.",
                True,
            )
        )
    return out


def system_finding(verdict: Hypothesis, declared: Coordsys | None) -> Finding | None:
    """How the decided system differs from the declared one, None when it does not."""
    datum: Datum = verdict.datum
    named: Kind | None = (
        "gcj02" if datum == "gcj02" else "bd09" if datum == "bd09"
        else "xian80" if datum == "xian80" else "beijing54" if datum == "beijing54" else None
    )  # fmt: skip
    if declared is None:
        if named is None:
            return None
        return Finding(named, _titled(named, verdict), False)
    if declared.name == verdict.coordsys or same_numbers(declared, verdict):
        return None
    kind = _difference(declared, verdict, named)
    title, english = KIND_TITLES[kind]
    return Finding(
        kind,
        f"{title}：声明为 {declared.name}，数据显示是 {verdict.coordsys}（{verdict.evidence}）。"
        f" Declared {declared.name}, the data say {verdict.coordsys}: {english}.",
        True,
    )


def _titled(kind: Kind, verdict: Hypothesis) -> str:
    title, english = KIND_TITLES[kind]
    return f"{title}（{verdict.coordsys}，{verdict.evidence}）。 {english}: {verdict.coordsys}."


def same_numbers(declared: Coordsys, verdict: Hypothesis) -> bool:
    """Systems with the same numbers: WGS 84 = CGCS2000, 6-degree CM 117 = 3-degree CM 117."""
    if declared.name == "wgs84" and verdict.coordsys == "cgcs2000":
        return True
    if (
        declared.epsg is None
        or verdict.datum == "unknown"
        or not verdict.coordsys.startswith("epsg:")
    ):
        return False
    code = int(verdict.coordsys.removeprefix("epsg:"))
    mine, theirs = central_meridian(declared.epsg), central_meridian(code)
    return (
        mine is not None
        and mine == theirs
        and zone_of(declared.epsg) == zone_of(code)
        and datum_key(declared.epsg) == datum_key(code)
        and declared.kind == "plane"
    )


def _difference(declared: Coordsys, verdict: Hypothesis, named: Kind | None) -> Kind:
    if named is not None and (declared.epsg is None or not _on(declared.epsg, verdict.datum)):
        return named
    if declared.epsg is None or declared.kind != "plane" or verdict.central_meridian is None:
        return "wrong_datum"
    meridian = central_meridian(declared.epsg)
    if meridian is None or not _on(declared.epsg, verdict.datum):
        return "wrong_datum"
    zone = zone_of(declared.epsg)
    if zone is not None and verdict.zone is not None and (zone < 25) != (verdict.zone < 25):
        return "wrong_zone_width"
    if meridian != verdict.central_meridian:
        return "wrong_central_meridian"
    return "missing_zone_prefix" if zone is not None else "unexpected_zone_prefix"


def _on(epsg: int, datum: Datum) -> bool:
    keys = {"cgcs2000": "China 2000", "xian80": "Xian 1980", "beijing54": "Beijing 1954"}
    return datum_key(epsg) == keys.get(datum)


def unexplained(ranked: list[Scored]) -> Finding | None:
    """A strong constant shift without a name, when it beats what was declared by far."""
    if not ranked or ranked[0].hypothesis.datum != "unknown":
        return None
    best = ranked[0]
    if best.nats < 20 or best.hypothesis.shift_m is None:
        return None
    east, north = best.hypothesis.shift_m
    # two votes a metre or two apart are one shift
    alike = sum(
        h.confidence
        for h in (s.hypothesis for s in ranked)
        if h.shift_m is not None and np.hypot(h.shift_m[0] - east, h.shift_m[1] - north) < 15.0
    )
    if alike < CERTAIN:
        return None
    length = float(np.hypot(east, north))
    return Finding(
        "unexplained_shift",
        f"与参照整体相差 {length:.0f} m（东 {east:+.1f}、北 {north:+.1f}），不是已知的基准差；"
        "可能是地方独立坐标系或未登记的参数。"
        f" The data lie {length:.0f} m ({east:+.1f} E, {north:+.1f} N) beside the reference, which"
        " no known datum explains: a local grid, or parameters that are not registered.",
        True,
    )


def what_would_decide(ranked: list[Scored], has_reference: bool, n: int) -> str | None:
    """What is missing for a verdict (None when nothing is open)."""
    if not ranked:
        return None
    datums = {s.hypothesis.datum for s in ranked if s.hypothesis.confidence > 0.02}
    offsets = {s.hypothesis.added for s in ranked if s.hypothesis.confidence > 0.02}
    parts = []
    if n < 20 and not has_reference:
        parts.append(f"只有 {n} 个点，点数不足 only {n} points")
    if len(offsets) > 1:
        parts.append("所减的大数，或一个已知点 the numbers taken away, or one known point")
    if len(datums) > 1 or not has_reference:
        layer = "同一地区的可信图层（道路、边界、房屋）或三个以上已知点"
        english = "a trusted layer of the same place (roads, boundaries, buildings) or known points"
        parts.append(f"{layer} {english}")
    if not parts:
        parts.append("更近的可信图层或已知点 a closer trusted layer or known points")
    return "；".join(parts)
