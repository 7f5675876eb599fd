"""Formats without a reader: refused with what to export instead, by the menu of their program."""

from __future__ import annotations

import re
from pathlib import Path

from etl.readers.model import ReadError

_CAD = (
    "DWG 是私有格式，请在 CASS/AutoCAD 中用 文件 → 另存为 → AutoCAD 2007 DXF (*.dxf)。",
    "DWG has no open reader; in CASS or AutoCAD use File → Save As → AutoCAD 2007 DXF (*.dxf).",
)
_MAPGIS = (
    "MapGIS 文件（点 .wt、线 .wl、区 .wp）不能直接读，请在 MapGIS 6.7 中用 图形处理 → 文件转换 → "
    "输出 → 输出SHAPE文件，连同 .shp .shx .dbf .prj 一起交付。",
    "MapGIS files cannot be read; in MapGIS 6.7 use 图形处理 → 文件转换 → 输出 → 输出SHAPE文件 "
    "(export Shapefile) and deliver all its parts.",
)
_MAPGIS_K9 = (
    "MapGIS 地理数据库不能直接读，请在 MapGIS 中右键图层 → 导出 → 其他数据，选 "
    "Shapefile 或 GeoPackage。",
    "MapGIS databases cannot be read; right-click the layer → 导出 (Export), to Shapefile or "
    "GeoPackage.",
)
_VCT = (
    "VCT（国土空间数据交换格式）不能直接读，请在数据库质检或建库软件中用 数据转换 → VCT 转 "
    "FileGDB（或 Shapefile）交付。",
    "VCT exchange files cannot be read; convert them in the cadastral software (数据转换 → VCT 转 "
    "FileGDB) and deliver the FileGDB or Shapefile.",
)
_SUPERMAP = (
    "SuperMap 数据源（UDB/UDBX）不能直接读，请在 iDesktop 中用 开始 → 数据导出，"
    "数据集导出为 GeoPackage、Shapefile 或 GeoJSON。",
    "SuperMap datasources (UDB, UDBX) cannot be read; in iDesktop use 开始 → 数据导出 (Start → "
    "Data Export), to GeoPackage, Shapefile or GeoJSON.",
)
_PROJECT = (
    "这是工程文件，只含样式和路径，没有数据；请在 ArcMap/ArcGIS Pro 中右键图层 → 数据 → 导出数据，"
    "交付 FileGDB 或 Shapefile。",
    "a project file holds styles and paths, no data; right-click the layer → Data → Export and "
    "deliver the FileGDB or Shapefile.",
)
_ARCHIVE = (
    "压缩包只收 .zip，请重新压缩为 zip（资源管理器：发送到 → 压缩(zipped)文件夹）。",
    "only .zip archives are read; pack it again as zip (Explorer: Send to → Compressed (zipped) "
    "folder).",
)
_RASTER = (
    "这是影像或栅格，不是矢量数据。",
    "this is imagery or a raster, not vector data.",
)
_DOCUMENT = (
    "文档不能作为数据读取，请交付其中表格的 Excel（另存为 .xlsx）或 CSV。",
    "a document cannot be read as data; deliver its tables as Excel (.xlsx) or CSV.",
)

_BY_SUFFIX: dict[str, tuple[str, str]] = {
    ".dwg": _CAD,
    ".dwt": _CAD,
    ".wt": _MAPGIS,
    ".wl": _MAPGIS,
    ".wp": _MAPGIS,
    ".mpj": _MAPGIS,
    ".hdf": _MAPGIS_K9,
    ".mapx": _MAPGIS_K9,
    ".vct": _VCT,
    ".udb": _SUPERMAP,
    ".udd": _SUPERMAP,
    ".udbx": _SUPERMAP,
    ".smwu": _SUPERMAP,
    ".mxd": _PROJECT,
    ".aprx": _PROJECT,
    ".lyr": _PROJECT,
    ".lyrx": _PROJECT,
    ".qgz": _PROJECT,
    ".qgs": _PROJECT,
    ".rar": _ARCHIVE,
    ".7z": _ARCHIVE,
    ".tif": _RASTER,
    ".tiff": _RASTER,
    ".img": _RASTER,
    ".jpg": _RASTER,
    ".png": _RASTER,
    ".pdf": _DOCUMENT,
    ".doc": _DOCUMENT,
    ".docx": _DOCUMENT,
    ".wps": _DOCUMENT,
}

SUFFIXES = frozenset(_BY_SUFFIX)

_OTHER_TABLES = (
    "无缝图层和视图只写着别的 TAB 文件的路径，没有数据；请在 MapInfo 中另存副本（文件 → "
    "另存副本为），交付各个普通表。",
    "a seamless table or a view only names other tables; save a copy of each table "
    "(File → Save Copy As) and deliver those.",
)
_NAMES_TABLES = re.compile(rb"isseamless|create\s+view|open\s+table", re.IGNORECASE)


def refuse(path: Path) -> None:
    """ReadError that names the export for a format of `SUFFIXES`; nothing for any other file.

    An AutoCAD drawing is known by its first bytes too (`AC1015` ...), whatever its name says.
    """
    named = _BY_SUFFIX.get(path.suffix.lower())
    if named is None and path.is_file():
        with path.open("rb") as stream:
            head = stream.read(6)
        if head[:4] == b"AC10" and head[4:].isdigit():
            named = _CAD
    if named is None and _names_other_tables(path):
        named = _OTHER_TABLES
    if named is not None:
        raise ReadError(path, *named)


def _names_other_tables(path: Path) -> bool:
    """Whether a MapInfo table, or one of a folder, has GDAL open tables by a path of its own."""
    tables = path.iterdir() if path.is_dir() else (path,)
    return any(
        table.suffix.lower() == ".tab"
        and table.is_file()
        and _NAMES_TABLES.search(table.read_bytes()) is not None
        for table in tables
    )
