"""Who watches the process of an upload: it ends with all it started, and the upload says why.

The task bounds itself by an alarm that the kernel answers (`limit_time`), so a reader that hangs in
C code is ended as well; this process sees how it ended and notes it. Nothing here imports GDAL.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable

import psycopg

from etl.abandoned import close_abandoned
from geoserver_py.deliveries import store
from geoserver_py.settings import load_settings


def limit_time(seconds: int) -> None:
    """End this process after so many seconds from now, whatever it is at; 0: no more."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.alarm(seconds)


def keep(upload: int, work: Callable[[], int]) -> int:
    """Do `work` in a session of its own; its exit code, 1 where it was ended.

    Whatever it started is killed with it. An upload left under way becomes `failed`.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        return work()
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    ended_by = os.WTERMSIG(status)
    sys.stderr.write(f"upload {upload}: ended by signal {ended_by}\n")
    with psycopg.connect(load_settings().dsn(), autocommit=True) as connection:
        if store.hold(connection, upload):  # the server has seen that the process is gone
            _note_end(connection, upload, ended_by)
    return 1


def _note_end(connection: psycopg.Connection, upload: int, ended_by: int) -> None:
    close_abandoned(connection)
    seen = store.read(connection, upload)
    if seen is None or seen.state not in (*store.UNDER_WAY, "broken"):
        return
    if ended_by == signal.SIGALRM:
        sentence = (
            "处理超过时限，已停止，未写完的图层没有改变；可重新开始，或拆小后再交 "
            "(it ran out of its time and was stopped; no layer was left half written; "
            "start it again, or deliver less at a time)"
        )
    else:
        sentence = (
            f"处理进程中断（信号 {ended_by}，可能内存不足），未写完的图层没有改变；可重新开始，"
            "或请地理信息中心查看 (its process was ended, perhaps for lack of memory; no layer was "
            "left half written; start it again, or ask the centre)"
        )
    store.note(connection, upload, "failed", message=sentence)
