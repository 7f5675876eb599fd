"""Streaming XML without entities, network or external DTDs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from etl.readers.model import ReadError


def stream(path: Path, tags: tuple[str, ...] | None = None) -> Iterator[Any]:
    """Elements as they end; the caller clears them. ReadError where the file breaks off."""
    try:
        context = etree.iterparse(
            str(path),
            events=("end",),
            tag=tags,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
        )
        for _, element in context:
            yield element
    except etree.XMLSyntaxError as error:
        raise ReadError(
            path,
            f"XML 不完整或有错（第 {error.lineno} 行）。",
            f"the XML is cut off or malformed at line {error.lineno} ({error.msg}).",
        ) from error


def local(element: Any) -> str:
    """Tag without its namespace; "" for a comment. A damaged tag may hold a stray prefix."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def release(element: Any) -> None:
    """Free an element and its earlier siblings: keeps memory flat over any file size."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]
