"""Reads damaged copies of the named formats, a JSON line for each: run by test_reader_fuzz.py.

A process of its own, so that a crash in a C library is seen as one, with the seed at fault.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

from etl.readers import ReadError, ReadOptions, open_source
from tests.etl.fuzz_files import FORMATS, damage


def outcome(path: Path) -> str:
    """`read N` rows over all layers, or the reason; any other exception is the finding."""
    rows = 0
    try:
        source = open_source(path)
        for layer in source.info.layers:
            for batch in open_source(path, ReadOptions(layer=layer.name)).batches():
                assert len(batch.rows) == len(batch.geometry) == batch.attributes.num_rows
                batch.attributes.to_pylist()
                rows += len(batch.rows)
    except ReadError as error:
        return f"refused {error.zh} {error.en}"
    return f"read {rows}"


def say(name: str, seed: int, **more: object) -> None:
    print(json.dumps({"name": name, "seed": seed, **more}), flush=True)  # noqa: T201


def fuzz(name: str, seeds: range, folder: Path) -> None:
    healthy = folder / "healthy"
    healthy.mkdir()
    FORMATS[name](healthy / name)
    parts = sorted(part.name for part in healthy.iterdir())
    say(name, -1)
    assert outcome(healthy / name).startswith("read "), outcome(healthy / name)
    for seed in seeds:
        say(name, seed)
        broken = folder / f"seed{seed}"
        shutil.copytree(healthy, broken)
        chosen = broken / random.Random(seed).choice(parts)
        chosen.write_bytes(damage(chosen.read_bytes(), seed))
        begun = time.monotonic()
        said = outcome(broken / name)
        say(name, seed, said=said, seconds=round(time.monotonic() - begun, 2))
        shutil.rmtree(broken)


def main() -> None:
    """`fuzz_worker FIRST LAST NAME...`: seeds from FIRST up to LAST of each format."""
    warnings.simplefilter("ignore")
    for name in sys.argv[3:]:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            fuzz(name, range(int(sys.argv[1]), int(sys.argv[2])), Path(folder))


if __name__ == "__main__":
    main()
