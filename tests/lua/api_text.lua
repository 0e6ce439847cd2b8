-- SPDX-License-Identifier: MIT
--
-- lfut.text: files as items that the workers read (API §6).
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"
local echo = support.echo

TestText = {}

local function file(text)
  local name = gate.filename()
  local f <close> = assert(io.open(name, "wb"))
  f:write(text)
  return name
end

-- The items of the source.
local function items(source)
  local exe <close> = support.Executor(2)
  local list = exe:map(echo, source):list()
  list.n = nil
  return list
end

-- They are the text, and each but the last ends at a delimiter.
local function check(text, options)
  local list = items(lfut.text(file(text), options))
  local delimiter = options and options.delimiter or "\n"
  lu.assertTrue(table.concat(list) == text)
  for i, s in ipairs(list) do
    lu.assertTrue(#s > 0)
    if i < #list then
      lu.assertEquals(s:sub(-#delimiter), delimiter)
    end
  end
  return list
end

function TestText.test_lines()
  support.relaxed()
  local lines = {}
  for i = 1, 1000 do
    lines[i] = "line " .. i
  end
  local text = table.concat(lines, "\n")
  for _, size in ipairs { 1, 7, 100, 4096, 1 << 20 } do
    check(text, { blocksize = size })
    check(text .. "\n", { blocksize = size })
  end
  lu.assertEquals(#check(text), 1)
  lu.assertEquals(#check(text .. "\n", { blocksize = 1 }), 1000)
end

function TestText.test_small_files()
  lu.assertEquals(items(lfut.text(file "")), {})
  lu.assertEquals(items(lfut.text(file "x")), { "x" })
  lu.assertEquals(items(lfut.text(file "\n")), { "\n" })
  lu.assertEquals(items(lfut.text(file("\n\n"), { blocksize = 1 })), { "\n", "\n" })
  lu.assertEquals(items(lfut.text(file("\n\n\n"), { blocksize = 2 })), { "\n\n", "\n" })
  lu.assertEquals(items(lfut.text({}, {})), {})
end

function TestText.test_long_lines()
  local long = ("x"):rep(100000)
  lu.assertEquals(#check(long .. "\n" .. long .. "\nshort\n" .. long, { blocksize = 1000 }), 3)
  check(long, { blocksize = 10 })
end

function TestText.test_other_delimiters()
  support.relaxed()
  local records = {}
  for i = 1, 300 do
    records[i] = "a--b-" .. i
  end
  local text = table.concat(records, "-->")
  for size = 1, 40 do
    check(text, { blocksize = size, delimiter = "-->" })
  end
  check(("a\r\nb\r\n"):rep(100), { blocksize = 5, delimiter = "\r\n" })
  check(("a\0b\0"):rep(100), { blocksize = 5, delimiter = "\0" })
  check(("x"):rep(500), { blocksize = 3, delimiter = "xx" })
  local far = ("y"):rep(20000)
  check((far .. "<end of the record>"):rep(10), { blocksize = 16384, delimiter = "<end of the record>" })
end

function TestText.test_several_files()
  local a, b, none = file "a\naa\n", file "b", file ""
  lu.assertEquals(items(lfut.text { a, none, b, a }), { "a\naa\n", "b", "a\naa\n" })
  local source = lfut.text { a, b }
  lu.assertEquals(items(source), items(source)) -- it can be read again
end

function TestText.test_files_that_cannot_be_read()
  local exe <close> = support.Executor(2)
  local seen = {}
  local a = file "a"
  for i, ok, what in exe:map(echo, lfut.text { a, "/no/such", "/", "/dev/null", a }, { protected = true }) do
    seen[i] = { ok, what }
  end
  lu.assertEquals(seen, {
    { true, "a" },
    { false, "cannot read '/no/such': No such file or directory" },
    { false, "cannot read '/': Is a directory" },
    { false, "cannot read '/dev/null': it is no plain file" },
    { true, "a" },
  })
end

function TestText.test_other_loops()
  local exe <close> = support.Executor(2)
  local name = file(("one two\n"):rep(1000))
  local function words(s)
    return select(2, s:gsub("%a+", ""))
  end
  local source = lfut.text(name, { blocksize = 500 })
  local function add(a, b) return a + b end
  lu.assertEquals(exe:reduce(words, source, add, 0), 2000)
  lu.assertTrue(exe:for_each(words, source) > 10)
  for _, s, i in exe:map(function(s, i) return s, i end, lfut.zip(source, lfut.range(3))) do
    lu.assertEquals(s:sub(-1), "\n")
    lu.assertTrue(i <= 3)
  end
  local pool <close> = lfut.ThreadPool(2)
  lu.assertTrue(pool:map(words, source).n > 10)
end

function TestText.test_wrong_use()
  support.fails("bad argument #1 to 'text' (path or list of paths expected, got nil)", function() lfut.text() end)
  support.fails("bad argument #1 to 'text' (path expected, got number)", function() lfut.text { 5 } end)
  support.fails("bad argument #1 to 'text' (bad path)", function() lfut.text "a\0b" end)
  support.fails("bad option 'blocksize' (must be an integer >= 1)", function() lfut.text("x", { blocksize = 0 }) end)
  support.fails("bad option 'delimiter' (it is empty)", function() lfut.text("x", { delimiter = "" }) end)
  support.fails("unknown option 'size' (options: blocksize, delimiter)", function() lfut.text("x", { size = 1 }) end)
end

local rc = support.run(TestText)
if rc ~= 0 then
  os.exit(rc)
end
