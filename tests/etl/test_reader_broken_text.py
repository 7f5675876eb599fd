"""Attribute tables cut in the middle of a Chinese character: repaired where certain, reported."""

from __future__ import annotations

from pathlib import Path

import geopandas
import pyogrio
import pytest
import shapely

from etl.readers import open_source

POINTS = shapely.points([[116.1176, 24.2886], [115.3165, 23.8], [116.69, 24.35]])


def shapefile(folder: Path, encoding: str, names: list[str], cell: bytes = b"") -> Path:
    """A Shapefile whose field names are the first ten bytes of `names`, as ESRI tools cut them."""
    marker = "M" * 30
    columns = {f"FIELD{i}": [marker if i == 0 else "甲", "乙", "丙"] for i in range(len(names))}
    path = folder / "截断.shp"
    frame = geopandas.GeoDataFrame(columns, geometry=POINTS, crs=4490)
    pyogrio.write_dataframe(frame, path, encoding=encoding)
    path.with_suffix(".cpg").unlink()
    dbf = path.with_suffix(".dbf")
    data = bytearray(dbf.read_bytes())
    for i, name in enumerate(names):
        data[32 + 32 * i : 43 + 32 * i] = name.encode(encoding)[:10].ljust(11, b"\0")
    if cell:
        width = data[48]
        at = data.index(marker.encode())
        data[at : at + width] = cell[:width].ljust(width)
    dbf.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize(
    ("encoding", "names", "expected"),
    [
        ("UTF-8", ["管线点号码", "权属"], ["管线点", "权属"]),
        ("UTF-8", ["管线点号码", "管线点高程"], ["管线点", "管线_2"]),
        ("GB18030", ["A权属单位名称", "权属"], ["A权属单位", "权属"]),
        ("GB18030", ["A权属单位名称", "A权属单位编号"], ["A权属单位", "A权属单_2"]),
        ("GB18030", ["权属单位名称", "权属"], ["权属单位名", "权属"]),
    ],
)
def test_field_names_cut_inside_a_character(tmp_path, encoding, names, expected):
    path = shapefile(tmp_path, encoding, names)
    source = open_source(path)
    assert [field.name for field in source.layer.fields] == expected
    assert source.info.encoding_detected == encoding
    (batch,) = source.batches()
    assert batch.attributes.column_names == expected
    assert batch.attributes.to_pylist()[1] == {expected[0]: "乙", expected[1]: "乙"}
    whole_name = expected == ["权属单位名", "权属"]
    assert any("cut inside" in n for n in source.info.notes) != whole_name
    assert any("repeated" in n for n in source.info.notes) == expected[1].endswith("_2")
    assert source.layer.declared_crs == "EPSG:4490"


@pytest.mark.parametrize("encoding", ["UTF-8", "GB18030"])
def test_values_cut_inside_a_character(tmp_path, encoding):
    text = "x" + "大埔县" * 100
    path = shapefile(tmp_path, encoding, ["名称"], text.encode(encoding))
    source = open_source(path)
    (batch,) = source.batches()
    first, *others = batch.attributes.column("名称").to_pylist()
    assert text.startswith(first)
    assert len(first) >= 25
    assert others == ["乙", "丙"]
    if encoding == "UTF-8":
        assert any("1 名称" in note for note in source.info.notes)


def test_the_delivered_file_is_left_as_it_was(tmp_path):
    path = shapefile(tmp_path, "UTF-8", ["管线点号码"])
    before = {part.name: part.read_bytes() for part in tmp_path.iterdir()}
    source = open_source(path)
    list(source.batches())
    folder = source.folder  # type: ignore[attr-defined]
    assert {part.name: part.read_bytes() for part in tmp_path.iterdir()} == before
    del source
    assert not folder.exists()
