# SPDX-License-Identifier: MIT
"""tasks/s: N jobs for two workers of RQ, on a server of their own, until all have
results."""
import subprocess
import sys
import tempfile
from time import perf_counter, sleep

from redis import ConnectionError, Redis
from rq import Queue


def start(folder):
    path = folder + "/socket"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", path, "--save", ""],
        cwd=folder, stdout=subprocess.DEVNULL)
    connection = Redis(unix_socket_path=path)
    for _ in range(200):
        try:
            connection.ping()
            break
        except ConnectionError:
            sleep(0.02)
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--url", "unix://" + path],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    return connection, server, workers


def run(queue, n):
    jobs = [queue.enqueue("math.sqrt", i * i) for i in range(n)]
    results = []
    for job in jobs:
        while job.get_status(refresh=True) != "finished":
            assert job.get_status(refresh=False) != "failed"
            sleep(0.001)
        results.append(job.return_value())
    assert sum(results) == n * (n - 1) // 2


if __name__ == "__main__":
    n = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        connection, server, workers = start(folder)
        try:
            queue = Queue(connection=connection)
            run(queue, n // 10)
            begun = perf_counter()
            run(queue, n)
            print(n / (perf_counter() - begun))
        finally:
            for process in workers + [server]:
                process.terminate()
            for process in workers + [server]:
                process.wait()
