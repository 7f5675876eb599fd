"""`python -m geoserver_py.processes demo|prepare|serve`: what `make demo` runs, one process each.

The command line imports every room (1 s and 100 MB); these start with what they need alone.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from geoserver_py.cli.output import say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings

_PLACE = {
    errno.ENOSPC: "make room on that disk and start again",
    errno.EDQUOT: "your quota on that disk is used up: make room and start again",
    errno.EROFS: "put the clone on a disk that can be written to",
    errno.EACCES: "start as the user whom the clone belongs to, or make a clone of your own",
    errno.EPERM: "start as the user whom the clone belongs to, or make a clone of your own",
}


def main(arguments: list[str]) -> int:
    """Run one process; return its exit code, as the command line does."""
    try:
        match arguments:
            case ["demo", *options] if set(options) <= {"--end-with-make"}:
                from geoserver_py import supervisor

                if options:
                    supervisor.end_with_parent()
                supervisor.run(load_settings(), supervisor.own_commands(), say)
            case ["prepare"]:
                from geoserver_py.demo_steps import prepare_all

                prepare_all(load_settings(), say)
            case ["serve"]:
                from geoserver_py.server import serve

                serve(load_settings())
            case _:
                sys.stderr.write(f"{__doc__}\n")
                return 2
    except WorkFailed as failure:
        sys.stderr.write(f"geoserver-py: {failure}\n")
        return 1
    except OSError as problem:
        if problem.errno not in _PLACE:
            raise
        where = problem.filename or Path(".data").absolute()
        sys.stderr.write(
            f"geoserver-py: cannot write {where}: {problem.strerror}: {_PLACE[problem.errno]}\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
