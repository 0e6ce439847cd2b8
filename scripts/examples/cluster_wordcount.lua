#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Counts the words of files that all hosts of a cluster see by the same names (over
-- NFS, say), and prints the ten most frequent. A word is a run of ASCII letters,
-- in any case.
--
--   lfut cluster_wordcount.lua FILE...
--   LFUT_CLUSTER=redis://:PASSWORD@HOST lfut cluster_wordcount.lua /data/*.txt
--
-- Only names and positions travel to the workers, which read the files a megabyte
-- at a time; what comes back are counts. So a large file is read by several hosts.
-- Without LFUT_CLUSTER, the cluster is this machine alone, for as long as the
-- script runs.
local lfut = require "lfut"

if #arg == 0 then
  io.stderr:write("usage: cluster_wordcount.lua FILE...\n")
  os.exit(1)
end

-- Members have working directories of their own, so names have to be whole.
local function whole_names(names)
  local pwd = assert(io.popen "pwd")
  local here = pwd:read("l")
  pwd:close()
  local list = {}
  for i, name in ipairs(names) do
    list[i] = name:find("^/") and name or here .. "/" .. name
  end
  return list
end

-- In a worker: the words of a piece of a file.
local function count(text)
  local words = {}
  for match in text:gmatch("[A-Za-z]+") do
    local word = match:lower()
    words[word] = (words[word] or 0) + 1
  end
  return words
end

-- Adds the counts b to a: in the workers, and at last here.
local function merge(a, b)
  for word, n in pairs(b) do
    a[word] = (a[word] or 0) + n
  end
  return a
end

local exe <close> = lfut.ClusterExecutor()
local ok, words = pcall(exe.reduce, exe, count, lfut.text(whole_names(arg)), merge, {})
if not ok then
  io.stderr:write("cluster_wordcount: ", tostring(words), "\n")
  os.exit(1)
end

local list, total = {}, 0
for word, n in pairs(words) do
  list[#list + 1] = word
  total = total + n
end
table.sort(list, function(a, b)
  return words[a] > words[b] or words[a] == words[b] and a < b
end)
for i = 1, math.min(10, #list) do
  print(("%9d %s"):format(words[list[i]], list[i]))
end
print(("%d words, %d different"):format(total, #list))
