# SPDX-License-Identifier: MIT
"""Bytes of a queued task with two small arguments, its future included."""
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import memory


def task(a, b):
    return a + b


n = int(sys.argv[1])
with ThreadPoolExecutor(1) as exe:
    exe.submit(task, 1, 0.5).result()
    gate = threading.Event()
    exe.submit(gate.wait)
    futures = [None] * n
    before = memory.own()
    for i in range(n):
        futures[i] = exe.submit(task, i, 0.5)
    after = memory.own()
    gate.set()
    assert futures[-1].result() == n - 0.5
print((after - before) / n)
