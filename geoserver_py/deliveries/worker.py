"""The process of an upload: `python -m geoserver_py.deliveries.worker TASK NUMBER`.

A file from outside is never opened in a web worker: a reader that crashes, hangs or eats memory
takes down this process alone. It leaves its parent before it does anything, so that a restart of
the service ends no load that is under way.
"""

from __future__ import annotations

import os
import sys

from geoserver_py.deliveries.limits import GDAL_ENVIRONMENT


def main(arguments: list[str]) -> int:
    """Run a task: `prepare` or `run` an upload in the background, or make a `form` of a run."""
    task, *rest = arguments
    if task in ("prepare", "run"):
        if os.fork():
            return 0
        os.setsid()
        from geoserver_py.deliveries import keeper

        return keeper.keep(int(rest[0]), lambda: _work(task, rest))
    return _work(task, rest)


def _work(task: str, rest: list[str]) -> int:
    os.environ.update(GDAL_ENVIRONMENT)  # GDAL reads it when it is first imported
    from geoserver_py.deliveries import work

    return work.run_task(task, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
