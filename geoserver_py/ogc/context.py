"""What a process needs of the running service, in a form that pygeoapi may copy."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from geoserver_py.services import Services
from layers.access import Principal

T = TypeVar("T")

PROCESS_SECONDS = 30.0
"""Longest time a synchronous process may take before the client is told to come back."""


@dataclass(frozen=True)
class ProcessContext:
    """Services, the caller's principal, and the loop that runs the service's coroutines."""

    services: Services
    principal: Principal
    loop: asyncio.AbstractEventLoop

    def __deepcopy__(self, memo: dict[int, Any]) -> ProcessContext:
        """Itself: pygeoapi deep-copies its configuration, pools and loops cannot be."""
        return self

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the service's loop from pygeoapi's worker thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PROCESS_SECONDS)
