"""The one error that means: the work failed, and this sentence says why and what to do."""

from __future__ import annotations


class WorkFailed(Exception):  # noqa: N818 - it names an outcome, as the CLI prints it
    """Work that could not be done; `str()` is one sentence for the person who asked for it.

    The command line prints that sentence and leaves with exit code 1; no traceback.
    """
