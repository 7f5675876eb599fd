"""KML and KMZ through GDAL. KML cannot state a datum: in China it is as often GCJ-02 as WGS 84."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from etl.readers.model import Batch, LayerInfo, ReadOptions, Source, SourceInfo
from etl.readers.ogr import open_ogr

_NOTE = (
    "KML 不能写坐标系（国内软件多为 GCJ-02），须在交付文件写明 coordsys"
    " KML states no datum (Chinese programs often write GCJ-02): state coordsys in the delivery"
)


@dataclass(frozen=True)
class Undeclared:
    """A source whose format fixes a CRS that writers do not keep to: nothing is declared."""

    source: Source
    note: str

    @cached_property
    def info(self) -> SourceInfo:
        """The info without any declared CRS."""
        info = self.source.info
        layers = tuple(replace(layer, declared_crs=None) for layer in info.layers)
        return replace(info, layers=layers, notes=(*info.notes, self.note))

    @cached_property
    def layer(self) -> LayerInfo:
        """The chosen layer without a declared CRS."""
        return replace(self.source.layer, declared_crs=None)

    def batches(self) -> Iterator[Batch]:
        """The batches unchanged."""
        return self.source.batches()


def open_kml(path: Path, options: ReadOptions) -> Undeclared:
    """Open a .kml or .kmz; folders are layers. ReadError when GDAL cannot read it."""
    return Undeclared(open_ogr(path, options), _NOTE)
