"""The process manager: runs at once, and lets problems through as they are."""

from __future__ import annotations

import uuid
from typing import Any

from pygeoapi.process.manager.base import BaseManager
from pygeoapi.util import JobStatus


class DirectManager(BaseManager):  # type: ignore[misc]  # pygeoapi is untyped
    """Synchronous execution. pygeoapi's own manager hides why a process refused."""

    def get_jobs(
        self, status: Any = None, limit: int | None = None, offset: int | None = None
    ) -> dict[str, Any]:
        """No jobs: nothing outlives its request."""
        return {"jobs": [], "numberMatched": 0}

    def execute_process(
        self,
        process_id: str,
        data_dict: dict[str, Any],
        execution_mode: Any = None,
        requested_outputs: Any = None,
        subscriber: Any = None,
        requested_response: Any = None,
    ) -> tuple[str, str, Any, JobStatus, dict[str, str]]:
        """Run the process in this thread; a Problem it raises reaches the client unchanged."""
        mime_type, outputs = self.get_processor(process_id).execute(data_dict, requested_outputs)
        headers = {} if execution_mode is None else {"Preference-Applied": "wait"}
        return str(uuid.uuid4()), mime_type, outputs, JobStatus.successful, headers
