# SPDX-License-Identifier: MIT
"""tasks/s: N submits to Dask's cluster of this machine, then all results."""
import sys
from time import perf_counter

from distributed import Client, LocalCluster


def task(x):
    return x


def run(client, n):
    futures = [client.submit(task, i, pure=False) for i in range(n)]
    assert sum(client.gather(futures)) == n * (n - 1) // 2


if __name__ == "__main__":
    n = int(sys.argv[1])
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        run(client, n // 10)
        start = perf_counter()
        run(client, n)
        print(n / (perf_counter() - start))
