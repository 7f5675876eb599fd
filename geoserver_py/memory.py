"""What this process does with memory that it frees."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_KEPT = 8 << 20
"""Bytes: several answers of a thousand polygons (0.4 MB, five copies on the way out)."""
_MAPPED = 4 << 20


def keep_freed_memory() -> bool:
    """Let glibc reuse freed blocks of up to 4 MiB; return False where the C library is another.

    By default it gives every large block back and faults its pages in again for the next answer:
    a tenth of this process's CPU time for a thousand features. mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_THRESHOLD, _MAPPED), (_M_TRIM_THRESHOLD, _KEPT), (_M_TOP_PAD, 1 << 20))
    return all(mallopt(name, value) == 1 for name, value in settings)
