#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Keys from passwords (PBKDF2 with HMAC-SHA-256) by OpenSSL: slow on purpose,
-- so a list of them is for a parallel loop. Compared with the known answers of
-- RFC 7914.
local lfut = require "lfut"

local ok, crypto = pcall(lfut.load, "crypto", [[
  typedef struct evp_md_st EVP_MD;
  const EVP_MD *EVP_sha256(void);
  int PKCS5_PBKDF2_HMAC(const uint8_t *pass, int passlen, const uint8_t *salt, int saltlen,
                        int iter, const EVP_MD *digest, int keylen, uint8_t *out);
]], {
  threads = "safe",
  error = { PKCS5_PBKDF2_HMAC = "zero" },
  args = { PKCS5_PBKDF2_HMAC = "pass:in[passlen] salt:in[saltlen] out:out[keylen]" },
})
if not ok then
  print("skipped: " .. crypto)
  return
end

local known = {
  { "passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc" },
  { "Password", "NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56" },
  { "password", "salt", 4096, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a" },
}

-- A pointer that the library has given is a handle: it is good in this process,
-- hence in its threads, but not in worker processes.
local sha256 = crypto.EVP_sha256()

-- One call per password. Each key has an array of its own; workers write there.
local calls, keys = {}, {}
for i, k in ipairs(known) do
  local password, salt, rounds = table.unpack(k)
  keys[i] = lfut.Array("uint8", 32)
  calls[i] = { password, #password, salt, #salt, rounds, sha256, #keys[i], keys[i] }
end

local exe <close> = lfut.ThreadPoolExecutor()
for i in exe:starmap(crypto.PKCS5_PBKDF2_HMAC, calls) do
  local hex = keys[i]:tostring():gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  print(known[i][1], hex:sub(1, 16) .. "...", hex == known[i][4] and "as known" or "WRONG")
end
