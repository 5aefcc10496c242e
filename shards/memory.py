"""How a process that works on clips treats its memory."""

from __future__ import annotations

import ctypes


def keep_freed_buffers() -> None:
    """Let this process keep freed clip buffers for the next clip.

    By default glibc gives every clip-sized buffer back to the system, and faulting its pages in again costs more than
    the arithmetic on them. Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        trim_threshold, mmap_threshold, limit = -1, -3, 256 * 2**20
        mallopt(trim_threshold, limit)
        mallopt(mmap_threshold, limit)
