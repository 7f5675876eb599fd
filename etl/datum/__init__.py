"""Datum steps: how every coordinate reaches CGCS2000, or why it may not.

x = longitude or easting, y = latitude or northing everywhere (traditional GIS order).
"""

from etl.datum.coordsys import ACCEPTED, Coordsys, parse_coordsys
from etl.datum.errors import (
    DatumError,
    DatumRefused,
    PositionError,
    RegistryError,
    UnknownCoordsys,
)
from etl.datum.notation import Candidate, format_dms, format_readout, parse_position
from etl.datum.position import Position, easting_problem, locate
from etl.datum.registry import DatumChain, DatumRegistry
from etl.datum.similarity import Similarity, SimilarityFit, fit_similarity
from etl.datum.steps import DatumStep, step_json

__all__ = [
    "ACCEPTED",
    "Candidate",
    "Coordsys",
    "DatumChain",
    "DatumError",
    "DatumRefused",
    "DatumRegistry",
    "DatumStep",
    "Position",
    "PositionError",
    "RegistryError",
    "Similarity",
    "SimilarityFit",
    "UnknownCoordsys",
    "easting_problem",
    "fit_similarity",
    "format_dms",
    "format_readout",
    "locate",
    "parse_coordsys",
    "parse_position",
    "step_json",
]
