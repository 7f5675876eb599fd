"""The capabilities of a WFS 2.0.0 or 1.1.0: feature types, their CRS and place, and paging.

Read by local names, since servers differ in namespaces and prefixes; URLs in it are not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from etl.readers.http import ServiceError
from etl.readers.model import Bounds
from etl.readers.xml import local

VERSIONS = ("2.0.0", "1.1.0")


@dataclass(frozen=True, slots=True)
class FeatureType:
    """A feature type; `bounds` is its WGS84BoundingBox (west, south, east, north)."""

    name: str
    namespace: str | None
    default_crs: str
    other_crs: tuple[str, ...]
    formats: tuple[str, ...]
    bounds: Bounds | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a service offers; `limit` is the most features that one answer holds."""

    version: str
    types: Mapping[str, FeatureType]
    paging: bool
    limit: int | None
    formats: tuple[str, ...]

    def page_limit(self, wanted: int) -> int:
        """How many features to ask for at a time."""
        return wanted if not self.limit else min(wanted, self.limit)


def root_of(path: Path, url: str) -> Any:
    """The root of an XML answer, without entities and network; ServiceError for anything else."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.parse(str(path), parser).getroot()
    except etree.XMLSyntaxError as error:
        raise ServiceError(
            url, "服务的回答不是完整的 XML。", "the service did not answer with complete XML."
        ) from error
    refuse_exception(root, url)
    return root


def refuse_exception(root: Any, url: str) -> None:
    """ServiceError with the service's own words when an answer is an exception report."""
    if local(root) not in ("ExceptionReport", "ServiceExceptionReport"):
        return
    said = " ".join(" ".join(root.itertext()).split())[:300]
    raise ServiceError(
        url, f"服务拒绝了请求：{said}。", f"the service refused the request: {said}."
    )


def capabilities_of(path: Path, url: str) -> Capabilities:
    """Parse a capabilities document; ServiceError for other versions and other documents."""
    root = root_of(path, url)
    version = str(root.get("version", ""))
    if local(root) != "WFS_Capabilities" or version not in VERSIONS:
        raise ServiceError(
            url,
            f"不是 WFS 2.0.0 或 1.1.0 服务（{local(root)} {version}）。",
            f"not a WFS 2.0.0 or 1.1.0 ({local(root)} {version}).",
        )
    types = {kind.name: kind for kind in map(_type, _all(root, "FeatureType")) if kind is not None}
    if not types:
        raise ServiceError(url, "服务没有图层。", "the service has no feature types.")
    constraints = {str(c.get("name")): _first(c, "DefaultValue", "Value")
                   for c in _all(root, "Constraint")}  # fmt: skip
    count = constraints.get("CountDefault") or ""
    formats = [
        value
        for operation in _all(root, "Operation")
        if operation.get("name") == "GetFeature"
        for parameter in _all(operation, "Parameter")
        if parameter.get("name") == "outputFormat"
        for value in _texts(parameter, "Value")
    ]
    paging = (constraints.get("ImplementsResultPaging") or "").upper() == "TRUE"
    return Capabilities(
        version=version,
        types=types,
        paging=paging and version == "2.0.0",
        limit=int(count) if count.isdigit() and int(count) > 0 else None,
        formats=tuple(formats),
    )


def _type(element: Any) -> FeatureType | None:
    name = _first(element, "Name")
    crs = _first(element, "DefaultCRS", "DefaultSRS")
    if name is None or crs is None:
        return None
    named = next(c for c in element if local(c) == "Name")
    low, high = _first(element, "LowerCorner"), _first(element, "UpperCorner")
    bounds: Bounds | None = None
    if low is not None and high is not None:
        corners = [float(part) for part in (*low.split()[:2], *high.split()[:2])]
        bounds = (corners[0], corners[1], corners[2], corners[3])
    return FeatureType(
        name=name,
        namespace=named.nsmap.get(name.partition(":")[0]) if ":" in name else None,
        default_crs=crs,
        other_crs=tuple(_texts(element, "OtherCRS") + _texts(element, "OtherSRS")),
        formats=tuple(_texts(element, "Format")),
        bounds=bounds,
    )


def _all(root: Any, name: str) -> Iterator[Any]:
    return (element for element in root.iter() if local(element) == name)


def _texts(root: Any, name: str) -> list[str]:
    return [element.text.strip() for element in _all(root, name) if (element.text or "").strip()]


def _first(root: Any, *names: str) -> str | None:
    return next((text for name in names for text in _texts(root, name)), None)
