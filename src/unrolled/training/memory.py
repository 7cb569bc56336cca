"""A worker's memory: what glibc keeps of it, what it gives back, and how much it ever was."""

from __future__ import annotations

import ctypes
import resource
import sys

# For glibc, read once, when a process starts, and unknown elsewhere: what is freed stays in the one heap, up
# to 32 GiB. XLA allocates what a step needs anew at every step; given back and mapped again, its pages would
# have to be emptied and touched for the first time each time, and two threads that do so wait for each other
# in the kernel. Huge pages on top of that cost more than they bring: single steps wait until one is found.
KEPT_MEMORY = (
    "glibc.malloc.mmap_threshold=34359738368",
    "glibc.malloc.trim_threshold=34359738368",
    "glibc.malloc.arena_max=1",
)


def give_back_freed_memory() -> None:
    """Returns to the system what is free in the heap, where the C library can (glibc); else does nothing.

    Worth it once, after compiling: what that leaves behind lies in pieces too small for a training step.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def peak_memory_bytes() -> int:
    """The most memory this process has held in RAM since it started."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kilobytes, macOS bytes.
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
