# SPDX-License-Identifier: MIT
"""additions/s: two forked processes add to one Value at once, with its lock."""
import multiprocessing
import sys
from time import perf_counter


def add(barrier, v, n):
    barrier.wait()
    for _ in range(n):
        with v.get_lock():
            v.value += 1
    barrier.wait()


def main():
    n = int(sys.argv[1])
    context = multiprocessing.get_context("fork")
    v, barrier = context.Value("q", 0), context.Barrier(3)
    workers = [context.Process(target=add, args=(barrier, v, n // 2))
               for _ in range(2)]
    for worker in workers:
        worker.start()
    barrier.wait()
    start = perf_counter()
    barrier.wait()
    seconds = perf_counter() - start
    for worker in workers:
        worker.join()
    assert v.value == n // 2 * 2
    print(n / seconds)


if __name__ == "__main__":
    main()
