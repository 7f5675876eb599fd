"""Some records of a delimited text, in its own encoding, delimiter and line ends."""

from __future__ import annotations

import csv
from pathlib import Path

from etl.readers.table import TableSource
from etl.rejects.model import MARKS, Marks, RejectsError

_BOM = b"\xef\xbb\xbf"


def write_table(source: TableSource, target: Path, marks: Marks) -> None:
    """Write the marked rows with the header as delivered and the marks as last columns.

    Row numbers are those of the line where a record ends, as the reader counts them.
    """
    with source.path.open("rb") as stream:
        first = stream.readline()
    codec = "utf-8-sig" if first.startswith(_BOM) else source.encoding
    end = "\r\n" if first.endswith(b"\r\n") else "\n"
    left = set(marks)
    with (
        source.path.open(encoding=codec, newline="") as stream,
        target.open("w", encoding=codec, newline="") as sink,
    ):
        reader = csv.reader(stream, delimiter=source.delimiter)
        writer = csv.writer(sink, delimiter=source.delimiter, lineterminator=end)
        titles = next(reader)
        keep = [at for at, title in enumerate(titles) if title.strip() not in MARKS]
        writer.writerow([*(titles[at] for at in keep), *MARKS])
        for record in reader:
            mark = marks.get(reader.line_num)
            if mark is None:
                continue
            left.discard(mark.row)
            # a row with too few or too many values stays as it is: that is what is to be mended
            cells = [record[at] for at in keep if at < len(record)] + record[len(titles) :]
            blanks = [""] * (len(keep) - len(cells))
            writer.writerow([*cells, *blanks, *mark.cells])
    if left:
        raise RejectsError(
            f"{source.path.name}: 没有第 {min(left)} 行，文件已改过 (row {min(left)} is not there "
            f"any more: the file was changed)"
        )
