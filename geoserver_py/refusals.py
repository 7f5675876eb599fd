"""Every error by which a room says, in one sentence for a person, that work cannot be done."""

from __future__ import annotations

from etl.datum.errors import DatumError
from etl.delivery import DeliveryError
from etl.ledger import DeliveryBusy
from gazetteer.production.cycle import CycleError
from gazetteer.production.package import PackageError
from geoserver_py.errors import WorkFailed
from layers.definition import DefinitionError
from layers.keys import KeyNameTaken
from layers.migrate import MigrationRefused
from layers.revision import NotAppliedError
from layers.schema import SchemaError
from layers.write import WriteError

REFUSALS = (
    WorkFailed,
    DefinitionError,
    MigrationRefused,
    SchemaError,
    NotAppliedError,
    WriteError,
    KeyNameTaken,
    DatumError,
    DeliveryError,
    DeliveryBusy,
    CycleError,
    PackageError,
)
"""Printed as one line, exit code 1; anything else is a defect of ours and keeps its traceback."""
