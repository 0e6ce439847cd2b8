// SPDX-License-Identifier: MIT
// mandelbrot.js N WORKERS: as bench/lfut/mandelbrot.lua, in worker threads, each
// of which takes the next row.
const { Worker, isMainThread, parentPort } = require("worker_threads");
const LIMIT = 200;

function row(y, size) {
  const ci = (2 * y) / size - 1;
  let inside = 0;
  for (let x = 1; x <= size; x++) {
    const cr = (3 * x) / size - 2;
    let zr = 0, zi = 0, n = 0;
    while (n < LIMIT && zr * zr + zi * zi <= 4) {
      const r = zr * zr - zi * zi + cr;
      zi = 2 * zr * zi + ci;
      zr = r;
      n++;
    }
    if (n === LIMIT) inside++;
  }
  return inside;
}

// A message is an image: its size, and in shared memory the row that is next,
// and the rows.
function work() {
  parentPort.on("message", ({ size, shared }) => {
    const next = new Int32Array(shared);
    for (let y; (y = Atomics.add(next, 0, 1)) <= size; ) next[y] = row(y, size);
    parentPort.postMessage("done");
  });
}

async function run(workers, size) {
  const shared = new SharedArrayBuffer(4 * (size + 1));
  const rows = new Int32Array(shared);
  rows[0] = 1;
  await Promise.all(workers.map((w) => new Promise((resolve) => {
    w.once("message", resolve);
    w.postMessage({ size, shared });
  })));
  return rows;
}

async function main() {
  const size = Number(process.argv[2]), count = Number(process.argv[3]);
  const workers = [];
  for (let i = 0; i < count; i++) workers.push(new Worker(__filename));
  await run(workers, Math.floor(size / 4));
  const start = process.hrtime.bigint();
  const rows = await run(workers, size);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const middle = Math.floor(size / 2);
  if (rows[middle] !== row(middle, size)) throw new Error("wrong rows");
  console.log(seconds);
  process.exit(0);
}

if (isMainThread) main();
else work();
