# SPDX-License-Identifier: MIT
"""Bytes that an idle forked worker has for itself after one trivial task."""
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import memory


def task(x):
    return x


n = int(sys.argv[1])
multiprocessing.set_start_method("fork")
with ProcessPoolExecutor(n) as exe:
    # Enough for each of them to run one.
    assert sum(exe.map(task, range(100 * n))) == 50 * n * (100 * n - 1)
    time.sleep(0.1)
    workers = multiprocessing.active_children()
    assert len(workers) == n
    print(sum(memory.private(worker.pid) for worker in workers) / n)
