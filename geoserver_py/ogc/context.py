"""What a process needs of the running service, in a form that pygeoapi may copy."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from geoserver_py.problems import Problem
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
        """Run a coroutine on the service's loop from pygeoapi's worker thread.

        Raises Problem 503 after PROCESS_SECONDS; the work and its query end then.
        """
        running = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return running.result(PROCESS_SECONDS)
        except TimeoutError as slow:
            running.cancel()
            raise Problem(
                503,
                "busy",
                zh=f"处理超过 {PROCESS_SECONDS:g} 秒，已取消，请稍后重试。",
                en=f"(cancelled after {PROCESS_SECONDS:g} s; retry later)",
                headers={"Retry-After": "5"},
            ) from slow
