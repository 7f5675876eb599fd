"""`python -m tests.eval`: how right the address engine is, by class, beside other engines."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.eval import city, corpus, peers
from tests.eval.corpus import HAND, HELD_OUT, TUNING, Case
from tests.eval.judge import share
from tests.eval.run import Judged, by_group, by_kind, failure, judged, table
from tests.eval.truth import Base

OUT = Path(__file__).resolve().parent.parent.parent / ".data" / "eval"
PARTS = (TUNING, HELD_OUT, HAND)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.eval", description=__doc__)
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--no-peers", action="store_true", help="leave JioNLP and cpca out")
    parser.add_argument("--dsn", help="a database that --load has filled; else a temporary one")
    parser.add_argument("--load", metavar="DSN", help="only load the city into an empty database")
    parser.add_argument("--write", action="store_true", help="only write tuning.csv anew")
    return parser.parse_args()


@contextlib.contextmanager
def _database(dsn: str | None) -> Iterator[str]:
    if dsn is not None:
        yield dsn
        return
    with city.temporary_city() as temporary:
        yield temporary


def _cases(base: Base, part: str) -> list[Case]:
    if part == HAND:
        return corpus.handwritten()
    return corpus.generate(base, part)


_COUNTIES = ("梅江", "梅县", "大埔", "丰顺", "五华", "平远", "蕉岭", "兴宁")


def _names_county(text: str) -> bool:
    """Whether the text has a county's short name as it is written today."""
    return any(name in text for name in _COUNTIES)


def _beside(base: Base, cases: Sequence[Case], console: Console) -> dict[str, Any]:
    """County accuracy of the peers on cases of one county, or outside the city."""
    truths = [(case, base.truth(case.label, case.text)) for case in cases]
    asked = [
        (case, truth)
        for case, truth in truths
        if truth.expect == "outside" or (truth.expect == "place" and truth.counties)
    ]
    found: dict[str, Any] = {}
    try:
        python = peers.install(OUT / "venv")
    except peers.PeerAbsentError as absent:
        console.print(f"not measured: {absent}", markup=False)
        return found
    for peer in peers.PEERS:
        try:
            codes, ms = peers.counties(python, peer, [case.text for case, _ in asked])
        except peers.PeerAbsentError as absent:
            console.print(f"not measured: {absent}", markup=False)
            continue
        right = [
            code in truth.counties if truth.expect == "place" else not code.startswith("4414")
            for code, (_, truth) in zip(codes, asked, strict=True)
        ]
        named = [r for r, (case, _) in zip(right, asked, strict=True) if _names_county(case.text)]
        found[peer] = {
            "n": len(right), "county": sum(right) / len(right),
            "n_named": len(named), "county_named": sum(named) / max(1, len(named)), "ms": ms,
        }  # fmt: skip
        console.print(
            "{0}: county {county:.1%} of {n}; {county_named:.1%} of the {n_named} that name one;"
            " {ms:.2f} ms each".format(peer, **found[peer])
        )
    return found


def _ours(found: Sequence[Judged]) -> dict[str, Any]:
    """County accuracy on the cases that the peers are asked."""
    one = [j for j in found if j.verdict.county is not None and j.truth.expect != "ambiguous"]
    named = [j.verdict for j in one if _names_county(j.case.text)]
    return {
        "n": len(one), "county": share([j.verdict for j in one], "county") or 0.0,
        "n_named": len(named), "county_named": share(named, "county") or 0.0,
    }  # fmt: skip


def main() -> None:
    """Measure the parts asked for; print tables, write `.data/eval/<part>.json`."""
    arguments, console = _arguments(), Console(width=150)
    if arguments.load:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            city.load(arguments.load, Path(folder) / "city")
        return
    base = Base()
    if arguments.write:
        corpus.write(corpus.FOLDER / "tuning.csv", corpus.generate(base, TUNING))
        return
    OUT.mkdir(parents=True, exist_ok=True)
    with _database(arguments.dsn) as dsn:
        for part in PARTS if arguments.part == "all" else (arguments.part,):
            cases = _cases(base, part)
            found = asyncio.run(judged(dsn, base, cases))
            rows = by_group(found)
            console.print(table(f"{part}: {len(cases)} addresses", rows))
            differ = sum(not j.same for j in found)
            console.print(f"single and batch differ in {differ} of {len(found)}")
            ours = _ours(found)
            console.print(
                "geoserver_py: county {county:.1%} of {n}; {county_named:.1%} of the {n_named}"
                " that name one".format(**ours)
            )
            document: dict[str, Any] = {
                "part": part,
                "groups": rows,
                "kinds": by_kind(found),
                "ours": ours,
            }
            if part != HELD_OUT:  # its cases are not for looking at
                document["failures"] = [failure(j) for j in found if not j.verdict.right]
            if not arguments.no_peers:
                document["peers"] = _beside(base, cases, console)
            (OUT / f"{part}.json").write_text(
                json.dumps(document, ensure_ascii=False, indent=1), "utf-8"
            )
    console.print(f"written: {OUT}", markup=False)


if __name__ == "__main__":
    main()
