# SPDX-License-Identifier: MIT
"""Seconds of one submit and its result, nothing else under way."""
import concurrent.futures
import multiprocessing
import sys
from time import perf_counter


def task(x):
    return x


def run(exe, n):
    for i in range(n):
        assert exe.submit(task, i).result() == i


n = int(sys.argv[1])
Executor = getattr(concurrent.futures, sys.argv[2])
multiprocessing.set_start_method("fork")
with Executor(2) as exe:
    # Both workers at least once: they start only while none is idle.
    list(exe.map(task, range(100)))
    run(exe, n // 10)
    start = perf_counter()
    run(exe, n)
    print((perf_counter() - start) / n)
