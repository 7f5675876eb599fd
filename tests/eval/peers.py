"""JioNLP and cpca on the same texts: county only, since neither knows where anything is.

They live in an environment of their own, `.data/eval/venv`, never among the project's
dependencies: `python3 -m venv .data/eval/venv && .data/eval/venv/bin/pip install jionlp cpca`.
This file is also the script that runs there, with nothing but the standard library and the two.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PEERS = ("cpca", "jionlp")
OURS = {
    "梅江区": "441402", "梅县区": "441403", "大埔县": "441422", "丰顺县": "441423",
    "五华县": "441424", "平远县": "441426", "蕉岭县": "441427", "兴宁市": "441481",
}  # fmt: skip


class PeerAbsentError(Exception):
    """A peer cannot be run here; the text says why."""


def install(folder: Path) -> Path:
    """The interpreter of the peers' environment, made when it is not there. PeerAbsentError."""
    python = folder / "bin" / "python"
    if python.exists():
        return python
    commands = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *PEERS],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerAbsentError(f"{' '.join(PEERS)}: {done.stderr.strip()[-300:]}")
    return python


def counties(python: Path, peer: str, texts: Sequence[str]) -> tuple[list[str], float]:
    """County codes that a peer finds ("" for none) and milliseconds a text. PeerAbsentError."""
    done = subprocess.run(
        [str(python), __file__, peer],
        input=json.dumps(texts), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise PeerAbsentError(f"{peer}: {done.stderr.strip().splitlines()[-1:]}")
    found = json.loads(done.stdout)
    return found["codes"], found["ms"]


def _cpca() -> Callable[[Sequence[str]], list[str]]:
    import cpca  # type: ignore[import-not-found]

    def parse(texts: Sequence[str]) -> list[str]:
        frame = cpca.transform([text or " " for text in texts])
        codes = [str(code) if code else "" for code in frame["adcode"]]
        return ["" if code.endswith("00") else code for code in codes]

    return parse


def _jionlp() -> Callable[[Sequence[str]], list[str]]:
    import jionlp  # type: ignore[import-not-found]

    def one(text: str) -> str:
        try:
            county = jionlp.parse_location(text, town_village=True, change2new=True)["county"]
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            return ""  # it breaks on odd input; that is an empty answer
        return OURS.get(county or "", "999999" if county else "")

    def parse(texts: Sequence[str]) -> list[str]:
        return [one(text) for text in texts]

    return parse


def _main() -> None:
    texts = json.load(sys.stdin)
    with contextlib.redirect_stdout(io.StringIO()):  # both greet
        parse = {"cpca": _cpca, "jionlp": _jionlp}[sys.argv[1]]()
        parse(["广东省梅州市梅江区"])
        began = time.perf_counter()
        codes = parse(texts)
        ms = (time.perf_counter() - began) * 1000 / max(1, len(texts))
    json.dump({"codes": codes, "ms": ms}, sys.stdout)


if __name__ == "__main__":
    _main()
