"""Which encoding the bytes are in: UTF-8 or GB18030, never GBK.

GBK lacks characters of real place names (輋𣒍村 has U+2348D); GB18030 contains all of GBK, so a
file declared GBK, GB2312, CP936 or ANSI_936 is read as GB18030.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from etl.readers.model import ReadError

_WIDENED = {"gbk", "gb2312", "cp936", "936", "ms936", "euc-cn", "ansi 936", "ansi_936", "hz"}
SAMPLE_BYTES = 4_000_000
_CHUNK = 1_000_000


def canonical(name: str, path: Path) -> str:
    """`UTF-8`, `GB18030` or the codec's own name; ReadError for an unknown encoding."""
    low = name.strip().lower().removeprefix("ldid/").replace("_", "-")
    if low in _WIDENED or low.replace("-", " ") in _WIDENED or low == "77":
        return "GB18030"
    if low == "65001":
        return "UTF-8"
    try:
        found = codecs.lookup(low).name
    except (LookupError, ValueError) as error:  # ValueError: a zero byte in a damaged .cpg
        raise ReadError(
            path,
            f"不认识编码 {name}；可用 UTF-8 或 GB18030。",
            f"unknown encoding {name!r}; use UTF-8 or GB18030.",
        ) from error
    found = found.removesuffix("-sig") if found.startswith("utf-8") else found
    return {"utf-8": "UTF-8", "gb18030": "GB18030", "gbk": "GB18030"}.get(found, found)


def decodes(path: Path, encoding: str) -> bool:
    """Whether the whole file is valid text in `encoding`; read in pieces."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def detect_text(path: Path) -> str | None:
    """Encoding of a text file: UTF-8 where all of it is valid (ASCII included), else GB18030."""
    return next((name for name in ("UTF-8", "GB18030") if decodes(path, name)), None)


def text_encoding(
    path: Path, stated: str | None, *, streamed: bool = False
) -> tuple[str, str | None]:
    """(encoding to read with, encoding detected) of a text file; ReadError as in `choose`.

    With `streamed` a stated encoding is tried on the first 4 MB only: decoding 75 MB three times
    took a quarter of a load. The caller decodes the rest strictly and raises `misread`.
    """
    if streamed and stated is not None and path.stat().st_size > SAMPLE_BYTES:
        name = canonical(stated, path)
        with path.open("rb") as stream:
            sample = stream.read(SAMPLE_BYTES)
        if _begins(sample, name):
            return name, next((n for n in ("UTF-8", "GB18030") if _begins(sample, n)), None)
        raise misread(path, stated)
    detected = detect_text(path)
    valid = stated is not None and decodes(path, canonical(stated, path))
    return choose(path, stated, detected, valid), detected


def _begins(sample: bytes, encoding: str) -> bool:
    """Whether the first bytes of a text are valid in `encoding`; the last character may be cut."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def misread(path: Path, stated: str) -> ReadError:
    """The refusal of a text that is not in the encoding that the delivery states."""
    return _wrong(stated, detect_text(path), path)


def choose(path: Path, stated: str | None, detected: str | None, valid: bool) -> str:
    """Encoding to read with: the stated one if the bytes allow it, else the detected.

    `valid`: whether the bytes decode in the stated encoding. Raises ReadError where the stated
    encoding is wrong, or where none fits.
    """
    if stated is not None:
        name = canonical(stated, path)
        if valid:
            return name
        raise _wrong(stated, detected, path)
    if detected is None:
        raise ReadError(
            path,
            "文字既不是 UTF-8 也不是 GB18030，文件可能损坏。",
            "the text is neither UTF-8 nor GB18030; the file may be damaged.",
        )
    return detected


def _wrong(stated: str, detected: str | None, path: Path) -> ReadError:
    hint = f"；字节像是 {detected}" if detected else ""
    also = f"; the bytes look like {detected}" if detected else ""
    return ReadError(
        path,
        f"编码不是所声明的 {stated}{hint}，请改正交付文件中的 encoding。",
        f"the text is not {stated} as stated{also}; correct `encoding` in the delivery.",
    )
