"""`python -m tests.detection`: every labelled file to the detector; scores and the matrix.

Writes results.json (each file with its label and answer), summary.json and confusion.md into
--out, and with --docs the published tables. The order and the files do not depend on --workers.
While a detector is worked on: `--half tuning --cache DIR --each 6 --kind gcj02`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.detection import cached, detector, errors, published, real
from tests.detection.scoring import Scored, markdown, score, summary
from tests.detection.truth import KINDS, Kind

REPOSITORY = Path(__file__).resolve().parents[2]
SLICE = 4


def evaluate(
    folder: Path, kind: Kind, numbers: Iterable[int], seed: int, cache: Path | None
) -> list[Scored]:
    """Write, ask and score some cases of a kind; the files are removed again."""
    found = []
    for number in numbers:
        if cache is None:
            case = errors.write_case(folder, kind, number, seed)
            found.append(score(case, detector.ask(case)))
            _remove(folder, case.path)
            continue
        place = cached.place(cache, seed, kind, number)
        inputs = cached.load(place)
        if inputs is None:
            case = errors.write_case(folder, kind, number, seed)
            inputs = detector.read(case)
            cached.keep(place, inputs)
            _remove(folder, case.path)
        found.append(score(inputs.case, detector.judge(inputs)))
    return found


def _remove(folder: Path, path: Path) -> None:
    for file in folder.glob(f"{path.stem}.*"):
        file.unlink()


def evaluate_real(folder: Path, data: Path) -> list[Scored]:
    """The real files, where they are at hand."""
    found = []
    trusted = None
    for case in real.cases(data, folder):
        if case.references and trusted is None:
            trusted = detector.trusted_layer(real.counties(data))
        if case.titles is not None:
            found.append(score(case, detector.inspected(case)))
        else:
            found.append(score(case, detector.ask(case, trusted if case.references else None)))
    return found


def main() -> int:
    """Run, print the tables, write the results."""
    stated = _arguments()
    named = os.environ.get("GEOSERVER_PY_TEST_DATA")
    data = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    began = time.monotonic()
    stated.out.mkdir(parents=True, exist_ok=True)
    scored: list[Scored] = []
    kinds = [kind for kind in errors.COUNTS if stated.kind is None or kind in stated.kind]
    wanted = {kind: cached.spread(cached.numbers(kind, stated.half), stated.each) for kind in kinds}
    slices = [
        (kind, numbers[at : at + SLICE])
        for kind, numbers in wanted.items()
        for at in range(0, len(numbers), SLICE)
    ]
    whole = stated.kind is None and stated.half is None
    with tempfile.TemporaryDirectory(prefix="detection-") as temporary:
        folder = Path(temporary)
        if stated.workers == 1:
            for done, (kind, numbers) in enumerate(slices, 1):
                scored += evaluate(folder, kind, numbers, stated.seed, stated.cache)
                _progress(done, len(slices))
        else:
            with ProcessPoolExecutor(stated.workers) as pool:
                jobs = [
                    pool.submit(evaluate, folder, kind, numbers, stated.seed, stated.cache)
                    for kind, numbers in slices
                ]
                for done, job in enumerate(jobs, 1):
                    scored += job.result()
                    _progress(done, len(jobs))
        if whole:
            scored += evaluate_real(folder, data)
    found = summary(scored)
    found |= {
        "seed": stated.seed,
        "half": stated.half,
        "each": stated.each,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        "commit": _commit(),
        "wall_seconds": round(time.monotonic() - began, 1),
    }
    table = markdown(found)
    results = [one.to_json() for one in scored]
    (stated.out / "results.json").write_text(_json(results), "utf-8")
    (stated.out / "summary.json").write_text(_json(found), "utf-8")
    (stated.out / "confusion.md").write_text(table, "utf-8")
    if stated.docs:
        published.write(REPOSITORY / "docs" / "detection-evaluation.md", found, scored)
    print(table)  # noqa: T201
    if stated.wrong:
        for one in scored:
            if not one.right:
                print(published.line(one))  # noqa: T201
    print(  # noqa: T201
        f"{found['machine']}; detection {found['seconds']} s CPU, at most"
        f" {found['slowest_seconds']} s a file; {found['wall_seconds']} s in all;"
        f" results in {stated.out}"
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.detection")
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".data" / "detection")
    parser.add_argument("--seed", type=int, default=errors.SEED)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--each", type=int, help="only so many files of each kind, evenly spread")
    parser.add_argument("--half", choices=("tuning", "held-out"), help="one half of the files")
    parser.add_argument("--cache", type=Path, help="keep the files as read here between runs")
    parser.add_argument("--docs", action="store_true", help="write the tables into the docs")
    parser.add_argument("--wrong", action="store_true", help="list what was answered wrong")
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args()


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{of} ", end="", file=sys.stderr)  # noqa: T201


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"


def _commit() -> str | None:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(REPOSITORY), *arguments], capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = git("status", "--porcelain", "--", "etl/detection", "tests/detection")
    return (git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")) or None


if __name__ == "__main__":
    sys.exit(main())
