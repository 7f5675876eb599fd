"""The process of an upload: `python -m geoserver_py.deliveries.worker TASK NUMBER`.

A file from outside is never opened in a web worker: a reader that crashes, hangs or eats memory
takes down this process alone. It leaves its parent before it does anything, so that a restart of
the service ends no load that is under way.
"""

from __future__ import annotations

import os
import sys

from geoserver_py.deliveries.limits import allow_known_drivers

INSIDE = "inside"
"""The task that follows is done by this very process, which has left its parent before."""


def main(arguments: list[str]) -> int:
    """Run a task: `prepare` or `run` an upload in the background, or make a `form` of a run."""
    task, *rest = arguments
    if task == INSIDE:
        return _work(rest[0], rest[1:])
    if task in ("prepare", "run"):
        if os.fork():
            return 0
        os.setsid()
        from geoserver_py.deliveries import keeper

        return keeper.keep(int(rest[0]), lambda: _work(task, rest))
    return _work(task, rest)


def _work(task: str, rest: list[str]) -> int:
    module = "geoserver_py.deliveries.worker"
    allow_known_drivers((sys.executable, "-m", module, INSIDE, task, *rest))
    from geoserver_py.deliveries import work

    return work.run_task(task, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
