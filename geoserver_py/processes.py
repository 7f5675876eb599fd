"""`python -m geoserver_py.processes demo|prepare|serve`: what `make demo` runs, one process each.

The command line imports every room (1 s and 100 MB); these start with what they need alone.
"""

from __future__ import annotations

import sys

from geoserver_py.cli.output import say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings


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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
