#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Queries of a SQLite database. What the library hands out stays with who has
-- it: each worker opens the file for itself, in its initializer, and the tasks
-- are Lua functions that call the library there.
local lfut = require "lfut"

local ok, sqlite = pcall(lfut.load, "sqlite3", [[
  typedef struct sqlite3 sqlite3;
  typedef struct sqlite3_stmt sqlite3_stmt;
  #define SQLITE_ROW 100
  int sqlite3_open(const char *file, sqlite3 **db);
  int sqlite3_close(sqlite3 *db);
  int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                   void *data, char **message);
  int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int n, sqlite3_stmt **stmt, const char **tail);
  int sqlite3_bind_int64(sqlite3_stmt *stmt, int i, int64_t value);
  int sqlite3_step(sqlite3_stmt *stmt);
  int64_t sqlite3_column_int64(sqlite3_stmt *stmt, int i);
  const char *sqlite3_column_text(sqlite3_stmt *stmt, int i);
  int sqlite3_finalize(sqlite3_stmt *stmt);
]], { threads = "safe", error = {
  sqlite3_open = "nonzero", sqlite3_exec = "nonzero", sqlite3_prepare_v2 = "nonzero", sqlite3_bind_int64 = "nonzero",
} })
if not ok then
  print("skipped: " .. sqlite)
  return
end

-- C gives a result by storing a pointer where another points to: that is what
-- lfut.Out is for.
local function open(file)
  local out = lfut.Out()
  sqlite.sqlite3_open(file, out)
  return out:get()
end

-- Numbers from 'first' to 'last': how many are there, and the greatest square.
local function query(first, last)
  local out = lfut.Out()
  sqlite.sqlite3_prepare_v2(db, "select count(*), max(n * n), 'about ' || max(n) from numbers " ..
    "where n between ? and ?", -1, out, nil)
  local stmt = out:get()
  sqlite.sqlite3_bind_int64(stmt, 1, first)
  sqlite.sqlite3_bind_int64(stmt, 2, last)
  assert(sqlite.sqlite3_step(stmt) == sqlite.SQLITE_ROW)
  local count, square = sqlite.sqlite3_column_int64(stmt, 0), sqlite.sqlite3_column_int64(stmt, 1)
  local text = sqlite.sqlite3_column_text(stmt, 2)
  sqlite.sqlite3_finalize(stmt)
  return count, square, text
end

local file = os.tmpname()
local mine = open(file)
sqlite.sqlite3_exec(mine, [[
  create table numbers as
    with recursive count(n) as (select 1 union all select n + 1 from count limit 1000)
    select n from count]], nil, nil, nil)
sqlite.sqlite3_close(mine)

local exe = lfut.ThreadPoolExecutor{
  max_workers = 3,
  initializer = function(file) db = open(file) end, -- a global of the worker
  initargs = { file },
}
for i, count, square, text in exe:starmap(query, { { 1, 1000 }, { 101, 200 }, { 990, 1100 } }) do
  print(i, count, square, text)
end

-- What each worker has opened, it closes.
for _, closed in ipairs(exe:broadcast(function() return sqlite.sqlite3_close(db) end)) do
  closed:result()
end
exe:shutdown()
os.remove(file)
