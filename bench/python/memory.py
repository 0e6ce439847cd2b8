# SPDX-License-Identifier: MIT
"""The memory of processes in bytes."""
import gc
import re


def _sum(pid, *fields):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        text = file.read()
    return 1024 * sum(
        int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1])
        for field in fields
    )


def own():
    """What this process has in memory, after a full collection."""
    gc.collect()
    return _sum("self", "Rss")


def private(pid):
    """What the process pid shares with no other."""
    return _sum(pid, "Private_Clean", "Private_Dirty")
