# SPDX-License-Identifier: MIT
"""Bytes of an idle worker thread that has run a task. It shares its
interpreter with all others, which a worker of lfut does not."""
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import memory


def warm(exe, workers):
    # All meet at the barrier, so each is another worker.
    barrier = threading.Barrier(workers)
    futures = [exe.submit(barrier.wait) for _ in range(workers)]
    assert len({f.result() for f in futures}) == workers


n = int(sys.argv[1])
with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(n) as exe:
    warm(first, 1)
    before = memory.own()
    warm(exe, n)
    time.sleep(0.1)
    print((memory.own() - before) / n)
