-- SPDX-License-Identifier: MIT
--
-- lfut.run: commands without a shell (API §6), in the script and in tasks.
local lu = require "luaunit"
local lfut = require "lfut"
local gate = require "gate"
local support = require "support"

TestRun = {}

-- The command's outcome, run in the script and in a task, which are the same.
local function run(command)
  local here = lfut.run(command)
  local exe <close> = support.Executor(1)
  lu.assertEquals(exe:submit(lfut.run, command):result(), here)
  return here
end

function TestRun.test_arguments_are_passed_as_they_are()
  local odd = "a b'c\"d\\e$HOME*;|&\n\255\1"
  lu.assertEquals(run { "printf", "%s|%s|%s", odd, "", 5 }, { code = 0, stdout = odd .. "||5", stderr = "" })
end

function TestRun.test_codes_and_signals()
  lu.assertEquals(run { "sh", "-c", "echo out; echo err >&2; exit 3" }, { code = 3, stdout = "out\n", stderr = "err\n" })
  lu.assertEquals(run { "sh", "-c", "kill -TERM $$" }, { signal = "SIGTERM", stdout = "", stderr = "" })
end

function TestRun.test_much_in_and_out()
  local text = ("0123456789abcdef"):rep(1 << 16)
  lu.assertTrue(run { "cat", stdin = text }.stdout == text)
  local both = lfut.run { "sh", "-c", "tee /dev/stderr", stdin = text }
  lu.assertTrue(both.stdout == text and both.stderr == text)
  lu.assertEquals(lfut.run { "true", stdin = text }.code, 0) -- who reads nothing
  lu.assertEquals(run { "cat" }.stdout, "") -- there is nothing to read
  lu.assertEquals(run { "cat", stdin = "" }.stdout, "")
end

function TestRun.test_where_output_goes()
  local name = gate.filename()
  lu.assertEquals(run { "echo", "x", stdout = name }, { code = 0, stderr = "" })
  local f <close> = assert(io.open(name))
  lu.assertEquals(f:read "a", "x\n")
  lu.assertEquals(run { "sh", "-c", "echo x; echo y >&2", stdout = "null", stderr = "null" }, { code = 0 })
end

function TestRun.test_inherited_output()
  local script = [[
    local lfut = require "lfut"
    io.write "before "
    lfut.run { "echo", "in between", stdout = "inherit" }
    print "after"
  ]]
  lu.assertEquals(support.program(script), "before in between\nafter\n")
end

function TestRun.test_folder_and_environment()
  lu.assertEquals(run { "pwd", cwd = "/usr" }.stdout, "/usr\n")
  local show = "echo $A,$HOME,${PATH:+path}"
  lu.assertEquals(run { "sh", "-c", show, env = { A = "1", HOME = false } }.stdout, "1,,path\n")
end

-- Texts that nothing but the command's environment keeps stay there until it
-- has begun, also beside variables that are taken out.
function TestRun.test_a_large_environment()
  local env, expected = {}, {}
  for i = 1, 200 do
    local name = ("LARGE_%03d"):format(i)
    env[name] = i % 2 == 0 and i .. ("x"):rep(500) or false
    if env[name] then
      expected[#expected + 1] = name .. "=" .. env[name]
    end
  end
  collectgarbage "generational"
  for _ = 1, 5 do
    local out = lfut.run({ "sh", "-c", "env | grep ^LARGE_ | sort", env = env }).stdout
    lu.assertTrue(out == table.concat(expected, "\n") .. "\n")
  end
  collectgarbage "incremental"
end

function TestRun.test_closed_descriptors()
  local script = "io.write(require 'lfut'.run{ 'cat', stdin = 'text' }.stdout)"
  local name = gate.filename()
  local f <close> = assert(io.open(name, "w"))
  f:write(script)
  f:close()
  local program = os.getenv "LFUT" or "./lfut"
  lu.assertEquals(lfut.run { "sh", "-c", ('"$0" "$1" <&- 2>&-'), program, name }.stdout, "text")
end

function TestRun.test_time_limits()
  local before = lfut.perf_counter()
  support.fails_as("TimeoutError", "command 'sleep' has not ended in time", lfut.run, { "sleep", "60", timeout = 0.05 })
  lu.assertTrue(lfut.perf_counter() - before < 30)
  local exe <close> = support.Executor(1)
  local e = exe:submit(lfut.run, { "sleep", "60", timeout = 0.05 }):exception()
  support.is_error(e, "TimeoutError")
  lu.assertEquals(run { "echo", "x", timeout = 60 }.stdout, "x\n")
end

function TestRun.test_one_that_does_not_want_to_end()
  local stubborn = { "sh", "-c", "trap '' TERM; exec tail -f /dev/null", timeout = 0.05 }
  support.fails_as("TimeoutError", "command 'sh' has not ended in time", lfut.run, stubborn)
end

function TestRun.test_missing_commands()
  support.fails("cannot run 'no_such_command': No such file or directory", function() lfut.run { "no_such_command" } end)
  support.fails("cannot run 'true' in '/no_such': No such file or directory",
    function() lfut.run { "true", cwd = "/no_such" } end)
  support.fails_like("cannot open '/no_such/file': ", "", function() lfut.run { "true", stdout = "/no_such/file" } end)
end

function TestRun.test_wrong_use()
  support.fails("bad argument #1 to 'run' (table expected, got string)", function() lfut.run "ls" end)
  support.fails("bad argument #1 to 'run' (name of a command expected)", function() lfut.run {} end)
  support.fails("bad argument #2 of the command (string expected, got table)", function() lfut.run { "echo", {} } end)
  support.fails("bad argument #2 of the command (it has a zero byte)", function() lfut.run { "echo", "a\0b" } end)
  support.fails_like("unknown option 'shell' (options: stdin", ")", function() lfut.run { "echo", shell = true } end)
  support.fails("bad option 'stdin' (string expected, got boolean)", function() lfut.run { "echo", stdin = true } end)
  support.fails("bad option 'env' ('A=B' is no name)", function() lfut.run { "echo", env = { ["A=B"] = "x" } } end)
  support.fails("bad option 'stdout' (string expected, got table)", function() lfut.run { "echo", stdout = {} } end)
end

function TestRun.test_many_at_a_time()
  local exe <close> = support.Executor(4)
  local function echo(i)
    return (require "lfut".run { "echo", i }.stdout:gsub("\n", ""))
  end
  local list = exe:map(echo, lfut.range(20)):list()
  for i = 1, 20 do
    lu.assertEquals(list[i], tostring(i))
  end
end

local rc = support.run(TestRun)
if rc ~= 0 then
  os.exit(rc)
end
