"""The evaluation as it is published: the tables in docs/detection-evaluation.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.detection import cached
from tests.detection.scoring import Scored, markdown

BEGIN, END = "<!-- written by make detection: begin -->", "<!-- end -->"


def line(one: Scored) -> str:
    """A wrong answer in one line."""
    case = one.case
    given = "+".join(case.references) or "no reference"
    return (
        f"{case.name} [{given}] {case.declared} is {case.truth.system}"
        f" -> {one.answer.kind} {one.answer.system or ''} ({one.why})"
        f" {one.answer.seconds:.1f}s | {one.answer.text[:200]}"
    )


def halves(scored: Iterable[Scored]) -> dict[str, tuple[int, int]]:
    """Right and all of the generated files, by half."""
    out = {"tuning": (0, 0), "held-out": (0, 0)}
    for one in scored:
        case = one.case
        if case.content.startswith("real"):
            continue
        half = "tuning" if case.number in cached.numbers(case.truth.kind, "tuning") else "held-out"
        right, every = out[half]
        out[half] = (right + one.right, every + 1)
    return out


def write(path: Path, found: dict[str, Any], scored: list[Scored]) -> None:
    """Replace what stands between the marks of the document by the run's date, figures, tables."""
    text = path.read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    told = "; ".join(
        f"{half} half {right} of {every} ({right / max(every, 1):.1%})"
        for half, (right, every) in halves(scored).items()
    )
    wrong = [f"- {line(one).split(' | ')[0]}" for one in scored if not one.right]
    body = [
        "",
        f"`etl.detection` at commit {found['commit']}, {found['at']}, seed {found['seed']}, "
        f"{found['machine']}. {found['files']} files with {found['row_groups']} row groups; "
        f"{found['seconds']} s of CPU in detection, at most {found['slowest_seconds']} s a file.",
        "",
        f"{told}. The detector was worked on without the held-out half (save the first small files,"
        " which `make test` asks).",
        "",
        markdown(found),
        "Every wrong answer:",
        "",
        *(wrong or ["- none"]),
        "",
    ]
    path.write_text(before + BEGIN + "\n".join(body) + END + after, "utf-8")
