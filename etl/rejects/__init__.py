"""Rejected rows in the bureau's own format, columns and coordinates, to correct and send back."""

from etl.rejects.model import MARKS, Mark, RejectsError, marks_of_runs
from etl.rejects.package import Package, write_rejects, zip_folder

__all__ = ["MARKS", "Mark", "Package", "RejectsError", "marks_of_runs", "write_rejects",
           "zip_folder"]  # fmt: skip
