"""What a client reads of a job: OGC API Processes Part 1, statusInfo (18-062r2, table 15)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from geoserver_py.jobs.store import Job
from geoserver_py.links import link

PROCESS = "geocode-batch"
_REL = "http://www.opengis.net/def/rel/ogc/1.0"
_EXCEPTION = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
EXCEPTIONS = {
    "no-such-job": f"{_EXCEPTION}/no-such-job",
    "result-not-ready": f"{_EXCEPTION}/result-not-ready",
}
"""Types of problems that the standard names (requirements 37 and 45)."""
_MESSAGES = {
    "accepted": "已接受，等待处理 accepted, waits for its turn",
    "running": "处理中 running",
    "successful": "完成 done",
    "dismissed": "已取消 dismissed",
}


def status_info(job: Job, root: str) -> dict[str, Any]:
    """The statusInfo of a job; ``progress`` in percent, ``rows`` as far as they are counted."""
    own = f"{root}/jobs/{job.id}"
    links = [link(own, "self", "application/json")]
    if job.state == "successful":
        links.append(link(f"{own}/results", f"{_REL}/results", "application/json"))
        links.append(link(f"{own}/results/table", "enclosure", job.media_type, "结果表 The table"))
    body: dict[str, Any] = {
        "jobID": str(job.id),
        "type": "process",
        "processID": job.process,
        "status": job.state,
        "message": job.message or _MESSAGES.get(job.state, job.state),
        "progress": _progress(job),
        "rows": {"done": job.rows_done, "total": job.rows_total},
        "created": _time(job.created_at),
        "updated": _time(job.updated_at),
        "links": links,
    }
    if job.started_at is not None:
        body["started"] = _time(job.started_at)
    if job.finished_at is not None:
        body["finished"] = _time(job.finished_at)
    return body


def _progress(job: Job) -> int:
    if job.state == "successful":
        return 100
    return 0 if not job.rows_total else min(99, 100 * job.rows_done // job.rows_total)


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
