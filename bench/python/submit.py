# SPDX-License-Identifier: MIT
"""tasks/s: N submits to a warm pool, then all results."""
import concurrent.futures
import multiprocessing
import sys
from time import perf_counter


def task(x):
    return x


def run(exe, n):
    futures = [exe.submit(task, i) for i in range(n)]
    assert sum(f.result() for f in futures) == n * (n - 1) // 2


n = int(sys.argv[1])
Executor = getattr(concurrent.futures, sys.argv[2])
multiprocessing.set_start_method("fork")
with Executor(2) as exe:
    run(exe, n // 10)
    start = perf_counter()
    run(exe, n)
    print(n / (perf_counter() - start))
