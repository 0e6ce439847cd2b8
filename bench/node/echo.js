// SPDX-License-Identifier: MIT
// echo.js CONNECTIONS ROUNDS: as bench/lfut/echo.lua.
const net = require("net");
const connections = Number(process.argv[2]), rounds = Number(process.argv[3]);
const text = Buffer.alloc(64, "x");

const server = net.createServer((s) => {
  s.setNoDelay(true);
  let got = 0;
  s.on("data", (data) => {
    got += data.length;
    for (; got >= 64; got -= 64) s.write(text);
  });
  s.on("end", () => s.end());
});

function ask(port) {
  return new Promise((resolve) => {
    let left = rounds, got = 0;
    const s = net.connect(port, "127.0.0.1", () => s.write(text));
    s.setNoDelay(true);
    s.on("data", (data) => {
      got += data.length;
      if (got < 64) return;
      got -= 64;
      if (--left > 0) s.write(text);
      else s.end(resolve);
    });
  });
}

server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, async () => {
  const start = process.hrtime.bigint();
  const all = [];
  for (let i = 0; i < connections; i++) all.push(ask(server.address().port));
  await Promise.all(all);
  console.log((connections * rounds) / (Number(process.hrtime.bigint() - start) / 1e9));
  process.exit(0);
});
