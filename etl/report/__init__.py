"""Reports of runs: data, JSON and HTML, Chinese first."""

from etl.report.html import render_html
from etl.report.model import FileReport, LoadReport, RowReport, Status, Tally

__all__ = ["FileReport", "LoadReport", "RowReport", "Status", "Tally", "render_html"]
