# SPDX-License-Identifier: MIT
"""B/s of 1 MiB strings or floats/s of lists of 10^5 to a worker, one after the
other, the length back; the same one each time."""
import concurrent.futures
import multiprocessing
import sys
from time import perf_counter

PAYLOADS = {
    # A string of Lua is bytes; pickle is also faster with them than with str.
    "string": lambda: b"x" * (1 << 20),
    "floats": lambda: [i + 0.5 for i in range(100000)],
}


def run(exe, payload, n):
    for _ in range(n):
        assert exe.submit(len, payload).result() == len(payload)


n = int(sys.argv[1])
Executor = getattr(concurrent.futures, sys.argv[2])
payload = PAYLOADS[sys.argv[3]]()
multiprocessing.set_start_method("fork")
with Executor(2) as exe:
    run(exe, payload, n // 10)
    start = perf_counter()
    run(exe, payload, n)
    print(n * len(payload) / (perf_counter() - start))
