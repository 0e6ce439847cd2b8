// SPDX-License-Identifier: MIT
// sleepers.js N [SECONDS]: as bench/lfut/sleepers.lua, by promises.
const n = Number(process.argv[2]), seconds = Number(process.argv[3] || 1);

async function sleep() {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

async function main() {
  const start = process.hrtime.bigint();
  const tasks = [];
  for (let i = 0; i < n; i++) tasks.push(sleep());
  for (const task of tasks) await task;
  console.log(Number(process.hrtime.bigint() - start) / 1e9);
}

main();
