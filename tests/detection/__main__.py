"""`python -m tests.detection`: every labelled file to the detector; scores and the matrix.

Writes results.json (each file with its label and answer), summary.json and confusion.md into
--out. Two processes by default; the order and the files do not depend on it.
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

from tests.detection import detector, errors, real
from tests.detection.scoring import Scored, markdown, score, summary
from tests.detection.truth import KINDS, Kind

REPOSITORY = Path(__file__).resolve().parents[2]
SLICE = 4


def evaluate(folder: Path, kind: Kind, numbers: Iterable[int], seed: int) -> list[Scored]:
    """Write, ask and score some cases of a kind; the files are removed again."""
    found = []
    for number in numbers:
        case = errors.write_case(folder, kind, number, seed)
        found.append(score(case, detector.ask(case)))
        for file in folder.glob(f"{case.path.stem}.*"):
            file.unlink()
    return found


def evaluate_real(folder: Path, data: Path) -> list[Scored]:
    """The real files, where they are at hand."""
    found = []
    trusted = None
    for case in real.cases(data, folder):
        if case.references and trusted is None:
            trusted = detector.trusted_layer(real.counties(data))
        found.append(score(case, detector.ask(case, trusted if case.references else None)))
    return found


def main() -> int:
    """Run, print the tables, write the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.detection")
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".data" / "detection")
    parser.add_argument("--seed", type=int, default=errors.SEED)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--each", type=int, help="only the first so many files of each kind")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    stated = parser.parse_args()
    named = os.environ.get("GEOSERVER_PY_TEST_DATA")
    data = Path(named) if named else REPOSITORY.parent / "shared" / "data"

    def wanted(count: int) -> int:
        return count if stated.each is None else min(count, stated.each)

    began = time.monotonic()
    stated.out.mkdir(parents=True, exist_ok=True)
    scored: list[Scored] = []
    with (
        tempfile.TemporaryDirectory(prefix="detection-") as temporary,
        ProcessPoolExecutor(stated.workers) as pool,
    ):
        folder = Path(temporary)
        jobs = [
            pool.submit(
                evaluate, folder, kind, range(at, min(at + SLICE, wanted(count))), stated.seed
            )
            for kind, count in errors.COUNTS.items()
            if stated.kind is None or kind in stated.kind
            for at in range(0, wanted(count), SLICE)
        ]
        if stated.kind is None:
            jobs.append(pool.submit(evaluate_real, folder, data))
        for done, job in enumerate(jobs, 1):
            scored += job.result()
            if sys.stderr.isatty():
                print(f"\r{done}/{len(jobs)} ", end="", file=sys.stderr)  # noqa: T201
    found = summary(scored)
    found |= {
        "seed": stated.seed,
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
    print(table)  # noqa: T201
    print(f"{found['machine']}; {found['wall_seconds']} s; results in {stated.out}")  # noqa: T201
    return 0


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"


def _commit() -> str | None:
    answer = subprocess.run(
        ["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return answer.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
