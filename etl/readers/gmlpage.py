"""One answer of a WFS as a file: well-formed and whole, how many features, and how it names CRS."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.readers.http import ServiceError
from etl.readers.model import ReadError
from etl.readers.wfs_capabilities import refuse_exception, root_of
from etl.readers.xml import local, release, stream

_MEMBERS = ("member", "featureMember")
_NUMBER = re.compile(r"-?\d+(?:\.(\d+))?")
_SAMPLE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """`ids` are the gml:id of the features, `short_names` whether any srsName is `EPSG:nnnn`.

    `decimals`: the most decimals of the first positions; None without any.
    """

    path: Path
    count: int
    ids: frozenset[str]
    short_names: bool
    decimals: int | None


def page_of(path: Path, url: str) -> Page:
    """Look through an answer; ServiceError for an exception report or anything cut off."""
    return _json_page(path, url) if path.suffix == ".geojson" else _gml_page(path, url)


def _gml_page(path: Path, url: str) -> Page:
    count, ids, short, decimals, looked = 0, list[str](), False, -1, 0
    root: Any = None
    try:
        for element in stream(path):
            root = element
            name = local(element)
            named = str(element.get("srsName") or "")
            short = short or named.upper().startswith("EPSG:")
            if name in ("pos", "posList", "coordinates") and looked < _SAMPLE:
                looked += 1
                found = _NUMBER.findall((element.text or "")[:4000])
                decimals = max([decimals, *map(len, found)])
            if name in _MEMBERS or name == "featureMembers":
                ids += [_id(child) for child in element]
                count += len(element)
                release(element)
    except ReadError as error:
        raise ServiceError(url, error.zh, error.en) from error
    if root is not None:
        refuse_exception(root, url)
    if root is None or local(root) != "FeatureCollection":
        raise ServiceError(
            url,
            "服务的回答不是要素集 FeatureCollection。",
            "the service did not answer with a FeatureCollection.",
        )
    known = frozenset(i for i in ids if i)
    if len(known) < len([i for i in ids if i]):
        raise ServiceError(
            url, "一页内要素的 gml:id 重复。", "a page repeats the gml:id of a feature."
        )
    return Page(path, count, known, short, decimals if decimals >= 0 else None)


def _id(feature: Any) -> str:
    return next((v for k, v in feature.attrib.items() if k.rpartition("}")[2] in ("id", "fid")), "")


def _json_page(path: Path, url: str) -> Page:
    try:
        features = json.loads(path.read_bytes())["features"]
        ids = [str(f["id"]) for f in features if f.get("id") is not None]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if path.read_bytes()[:200].lstrip().startswith(b"<"):
            root_of(path, url)
        raise ServiceError(
            url, "服务的回答不是 GeoJSON 要素集。", "the service did not answer with GeoJSON."
        ) from error
    return Page(path, len(features), frozenset(ids), False, None)


def stated_count(path: Path, url: str) -> int | None:
    """The count of a `resultType=hits` answer."""
    root = root_of(path, url)
    said = str(root.get("numberMatched") or root.get("numberOfFeatures") or "")
    return int(said) if said.isdigit() else None
