"""The one query compiler: what to read from a layer, as one statement with bound values.

`FeatureQuery` says what is wanted; `compile_page`, `compile_count` and `compile_predicate` turn it
into SQL for Features, HTML, CSV, tiles and processes alike.
"""

from layers.query.density import Density, load_densities
from layers.query.model import FeatureQuery, Interval, QueryError, Statement
from layers.query.page import PAGE_COLUMNS, compile_count, compile_page, planned_once, scan_of
from layers.query.predicate import Predicate, compile_predicate
from layers.query.rows import compile_rows
from layers.query.values import parse_field_value, parse_interval

__all__ = [
    "PAGE_COLUMNS",
    "Density",
    "FeatureQuery",
    "Interval",
    "Predicate",
    "QueryError",
    "Statement",
    "compile_count",
    "compile_page",
    "compile_predicate",
    "compile_rows",
    "load_densities",
    "parse_field_value",
    "parse_interval",
    "planned_once",
    "scan_of",
]
