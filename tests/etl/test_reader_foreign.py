"""Files that have GDAL read other files are refused: virtual tables, seamless MapInfo tables."""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from etl.readers import ReadError, open_source


def stored(path: Path, *statements: str) -> Path:
    """A SQLite file whose schema holds statements that this process could not run itself."""
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE plain (id INTEGER)")
        made.execute("INSERT INTO plain VALUES (1)")
        made.execute("PRAGMA writable_schema = 1")
        for number, text in enumerate(statements):
            made.execute(
                "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql)"
                " VALUES ('table', ?, ?, 0, ?)",
                [f"t{number}", f"t{number}", text],
            )
        made.commit()
    return path


@pytest.mark.parametrize(
    "text",
    [
        "CREATE VIRTUAL TABLE t0 USING VirtualText('{}', 'UTF-8', 1, COMMA)",
        "CREATE VIRTUAL TABLE t0 USING VirtualOGR('{}')",
        "CREATE /* quietly */ VIRTUAL TABLE t0 USING VirtualOGR('{}')",
    ],
)
@pytest.mark.parametrize("name", ["a.sqlite", "a.gpkg", "a.shp", "a.json"])
def test_a_virtual_table_reads_no_other_file(tmp_path: Path, text: str, name: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n秘密,2\n", "utf-8")
    path = stored(tmp_path / name, text.format(secret))
    with pytest.raises(ReadError) as refused:
        open_source(path)
    assert "虚拟表" in refused.value.zh


def test_a_schema_damaged_beyond_utf_8_is_a_reason(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.gpkg", "CREATE TABLE t0 (x) oddly")
    path.write_bytes(path.read_bytes().replace(b"oddly", b"odd\xf3y"))
    with pytest.raises(ReadError) as refused:
        open_source(path)
    assert "损坏" in refused.value.zh


def test_a_packed_database_and_a_name_inside_an_archive_are_refused(tmp_path: Path) -> None:
    plain = stored(tmp_path / "a.sqlite")
    assert open_source(plain).info.layers
    packed = tmp_path / "a.osm.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    named = plain.rename(tmp_path / "a.zip!b.sqlite")
    for path in (packed, named):
        with pytest.raises(ReadError):
            open_source(path).info  # noqa: B018 - a property that reads


@pytest.mark.parametrize(("driver", "options"), [("GPKG", {}), ("SQLite", {"SPATIALITE": "YES"})])
def test_spatial_indexes_are_no_foreign_tables(
    tmp_path: Path, driver: str, options: dict[str, str]
) -> None:
    path = tmp_path / f"good.{driver.lower()}"
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(shapely.points([[116.0, 24.0]])),
        field_data=[np.array([1])],
        fields=["a"],
        geometry_type="Point",
        crs="EPSG:4490",
        driver=driver,
        dataset_options=options,
    )
    assert open_source(path).layer.feature_count == 1


@pytest.mark.parametrize("name", ["seamless.tab", "seamless.TAB", "folder"])
def test_a_seamless_table_reads_no_other_table(tmp_path: Path, name: str) -> None:
    def written(path: Path, field: str, value: str, shape: object) -> None:
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(np.array([shape])),
            field_data=[np.array([value], dtype=object)],
            fields=[field],
            geometry_type="Polygon",
            crs="EPSG:4326",
            driver="MapInfo File",
        )

    for folder in ("theirs", "mine"):
        (tmp_path / folder).mkdir()
    written(tmp_path / "theirs" / "secret.tab", "nm", "秘密", shapely.box(115, 23, 116, 24))
    index = tmp_path / "mine" / "seamless.tab"
    written(index, "Table", "../theirs/secret.tab", shapely.box(115, 23, 117, 25))
    assert open_source(index).layer.feature_count == 1  # a table of paths is a table
    text = index.read_text("latin-1").rstrip()
    index.write_text(f'{text}\nbegin_metadata\n"\\IsSeamless" = "TRUE"\nend_metadata\n', "latin-1")
    opened = index.parent if name == "folder" else index.rename(index.with_name(name))
    with pytest.raises(ReadError) as refused:
        open_source(opened)
    assert "无缝" in refused.value.zh
