# SPDX-License-Identifier: MIT
"""items/s: multiprocessing.Pool.map over a list, forked workers, default
chunks, a warm pool."""
import multiprocessing
import sys
from time import perf_counter


def square(x):
    return x * x


def main():
    n = int(sys.argv[1])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(square, list(range(n)))
        items = list(range(n))
        start = perf_counter()
        result = pool.map(square, items)
        seconds = perf_counter() - start
    assert len(result) == n and result[-1] == (n - 1) ** 2
    print(n / seconds)


if __name__ == "__main__":
    main()
