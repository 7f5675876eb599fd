"""The process of a job: `python -m geoserver_py.jobs.worker NUMBER`.

It leaves its parent before it does anything, so that no restart of the service ends a job, and
works at low priority: who waits for an answer on the map comes first.
"""

from __future__ import annotations

import os
import sys


def main(arguments: list[str]) -> int:
    """Do one job in the background."""
    if os.fork():
        return 0
    os.setsid()
    from geoserver_py.jobs import work

    return work.run_job(int(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
