#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- The product of two matrices by BLAS, in blocks of rows: the matrices lie in
-- arrays that all workers share, and each task writes its own rows of the
-- product. Nothing is copied.
--
--   lfut native_matmul.lua [size]      (default 200)
local lfut = require "lfut"

local ok, blas = pcall(lfut.load, "blas", [[
  enum { CblasRowMajor = 101, CblasNoTrans = 111 };
  void cblas_dgemm(int layout, int transA, int transB, int m, int n, int k,
                   double alpha, const double *A, int lda, const double *B, int ldb,
                   double beta, double *C, int ldc);
]], { threads = "safe", args = { cblas_dgemm = "A:in[m*lda] B:in[k*ldb] C:inout[m*ldc]" } })
if not ok then
  print("skipped: " .. blas)
  return
end

local n = assert(math.tointeger(tonumber(arg[1] or 200)), "size must be an integer")
local rows_per_task = 16

-- Small whole numbers, so that every sum below is exact.
local function matrix(f)
  local a = lfut.Array("double", n * n)
  for i = 1, n do
    for j = 1, n do
      a[(i - 1) * n + j] = f(i, j)
    end
  end
  return a
end
local a = matrix(function(i, j) return (i + 2 * j) % 7 end)
local b = matrix(function(i, j) return (3 * i - j) % 5 end)
local c = lfut.Array("double", n * n)

-- chunks gives views: the same memory, some rows of it.
local calls = {}
local parts = c:chunks(rows_per_task * n)
for i, rows in ipairs(a:chunks(rows_per_task * n)) do
  calls[i] = { blas.CblasRowMajor, blas.CblasNoTrans, blas.CblasNoTrans, #rows // n, n, n,
    1.0, rows, n, b, n, 0.0, parts[i], n }
end

local exe <close> = lfut.ThreadPoolExecutor()
print(exe:starmap(blas.cblas_dgemm, calls):list().n .. " tasks")

-- A diagonal of the product, by plain Lua.
for i = 1, n do
  local sum, j = 0, n + 1 - i
  for k = 1, n do
    sum = sum + a[(i - 1) * n + k] * b[(k - 1) * n + j]
  end
  assert(c[(i - 1) * n + j] == sum, "BLAS and Lua differ")
end
print "BLAS and Lua agree"
