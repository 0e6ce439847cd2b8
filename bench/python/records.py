# SPDX-License-Identifier: MIT
"""records/s: a list of 10^5 small records to a worker and back."""
import concurrent.futures
import multiprocessing
import sys
from time import perf_counter

RECORDS = 100000


def same(records):
    return records


def run(exe, records, n):
    for _ in range(n):
        back = exe.submit(same, records).result()
        assert len(back) == RECORDS and back[-1]["id"] == RECORDS


n = int(sys.argv[1])
Executor = getattr(concurrent.futures, sys.argv[2])
records = [{"id": i, "name": f"name {i}", "value": i + 0.5} for i in range(1, RECORDS + 1)]
multiprocessing.set_start_method("fork")
with Executor(2) as exe:
    run(exe, records, 1)
    start = perf_counter()
    run(exe, records, n)
    print(n * RECORDS / (perf_counter() - start))
