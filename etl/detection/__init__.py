"""What coordinates truly are: datum, grid, columns, notation, unit, row by row.

features of the numbers -> forms (how they could be read) -> evidence in metres against
references -> ranking -> verdict. Pure functions, deterministic, no I/O.
"""

from etl.detection.features import Numbers, plane_axes, read_numbers
from etl.detection.judge import detect
from etl.detection.model import (
    KIND_TITLES,
    Agreement,
    Detection,
    Finding,
    Hypothesis,
    Kind,
    Outlier,
    RowGroup,
)
from etl.detection.references import References

__all__ = [
    "KIND_TITLES",
    "Agreement",
    "Detection",
    "Finding",
    "Hypothesis",
    "Kind",
    "Numbers",
    "Outlier",
    "References",
    "RowGroup",
    "detect",
    "plane_axes",
    "read_numbers",
]
