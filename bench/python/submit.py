# SPDX-License-Identifier: MIT
"""tasks/s: N submits to a warm thread pool, then all results."""
import sys
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter


def task(x):
    return x


def run(exe, n):
    futures = [exe.submit(task, i) for i in range(n)]
    assert sum(f.result() for f in futures) == n * (n - 1) // 2


n = int(sys.argv[1])
with ThreadPoolExecutor(2) as exe:
    run(exe, n // 10)
    start = perf_counter()
    run(exe, n)
    print(n / (perf_counter() - start))
