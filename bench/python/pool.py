# SPDX-License-Identifier: MIT
"""Seconds of a pool of two workers: made, one task run, shut down."""
import concurrent.futures
import multiprocessing
import sys
from time import perf_counter


def task(x):
    return x


def run(n):
    for i in range(n):
        with Executor(2) as exe:
            assert exe.submit(task, i).result() == i


n = int(sys.argv[1])
Executor = getattr(concurrent.futures, sys.argv[2])
multiprocessing.set_start_method("fork")
run(n // 10)
start = perf_counter()
run(n)
print((perf_counter() - start) / n)
