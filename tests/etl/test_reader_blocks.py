"""Text tables read by blocks give the same rows, numbers and faults as read record by record."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.readers import ReadError, ReadOptions, blocks, open_source

CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=["Cs"]),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12))
def test_blocks_agree_with_the_csv_module(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["a", "b", "c"])
        writer.writerows(records)
    wanted, lines = [], []
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream)
        next(reader)
        for row in reader:
            if any(row):
                wanted.append(tuple(row))
                lines.append(reader.line_num)
    batches = list(open_source(path, ReadOptions(batch_rows=5)).batches())
    read = [tuple(row.values()) for batch in batches for row in batch.attributes.to_pylist()]
    assert read == wanted  # records of blanks only are no records
    assert [n for batch in batches for n in batch.rows.tolist()] == lines


def test_a_break_inside_quotes_keeps_the_line_numbers_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_CHARACTERS", 30)
    path = tmp_path / "t.csv"
    path.write_text("id,x,y\n" + "a,116,24\n" * 10 + '"b\nb",116,24\n' + "c,116,24\n" * 2, "utf-8")
    batches = list(open_source(path, ReadOptions(x="x", y="y")).batches())
    numbers = [n for batch in batches for n in batch.rows.tolist()]
    assert numbers == [*range(2, 12), 13, 14, 15]


def test_a_wrong_encoding_is_told_also_where_it_shows_late(tmp_path: Path) -> None:
    """Only the first 4 MB are tried when a delivery states the encoding; the rest is read so."""
    path = tmp_path / "late.csv"
    early = "编号,名称\n" + "1,路灯\n" * 500_000
    path.write_bytes(early.encode("utf-8") + "2,井盖\n".encode("gb18030"))
    source = open_source(path, ReadOptions(encoding="UTF-8"))
    with pytest.raises(ReadError, match="编码不是所声明的 UTF-8"):
        list(source.batches())
