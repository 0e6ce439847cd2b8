# SPDX-License-Identifier: MIT
"""items/s: N integers through a queue, to a thread or a forked process."""
import multiprocessing
import queue
import sys
import threading
from time import perf_counter

fork = multiprocessing.get_context("fork")
KINDS = {
    "Queue": (threading.Thread, threading.Event, lambda: queue.Queue(1000)),
    "mp.Queue": (fork.Process, fork.Event, lambda: fork.Queue(1000)),
    "mp.SimpleQueue": (fork.Process, fork.Event, fork.SimpleQueue),
}


def consume(ready, q, n):
    ready.set()
    for i in range(n):
        assert q.get() == i


def run(kind, n):
    worker, event, new = KINDS[kind]
    ready, q = event(), new()
    consumer = worker(target=consume, args=(ready, q, n))
    consumer.start()
    ready.wait()
    start = perf_counter()
    for i in range(n):
        q.put(i)
    consumer.join()
    return perf_counter() - start


def main():
    n, kind = int(sys.argv[1]), sys.argv[2]
    run(kind, n // 10)
    print(n / run(kind, n))


if __name__ == "__main__":
    main()
