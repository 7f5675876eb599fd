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
from etl.datum.registry import DatumChain, DatumRegistry
from etl.datum.similarity import Similarity, SimilarityFit, fit_similarity
from etl.datum.steps import DatumStep, step_json

__all__ = [
    "ACCEPTED",
    "Coordsys",
    "DatumChain",
    "DatumError",
    "DatumRefused",
    "DatumRegistry",
    "DatumStep",
    "PositionError",
    "RegistryError",
    "Similarity",
    "SimilarityFit",
    "UnknownCoordsys",
    "fit_similarity",
    "parse_coordsys",
    "step_json",
]
