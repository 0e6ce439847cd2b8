# SPDX-License-Identifier: MIT
# Bars: on terminals, among the output of others, and in files.

source "$srcdir/tests/helpers.sh"

setup() {
  in_empty_directory
  unset NO_COLOR
  export TERM=xterm LFUT_CONSTRUCTOR='lfut.ThreadPoolExecutor(2)'
  # hold() waits until somebody has opened the gate, once.
  cat > begin.lua << 'END'
lfut = require "lfut"
exe = load("return " .. os.getenv "LFUT_CONSTRUCTOR")()
function hold()
  local gate <close> = assert(io.open("gate", "r"))
  gate:read("a")
end
END
  mkfifo gate
}

# The kinds of executors, by what makes one.
kinds=(
  'lfut.ThreadPoolExecutor(2)'
  'lfut.ProcessPoolExecutor(2)'
  'lfut.ProcessPoolExecutor { max_workers = 2, start_method = "spawn" }'
  'lfut.InlineExecutor()'
)

needs_terminals() {
  command -v python3 > /dev/null || skip 'there is no python3'
}

# on_terminal WIDTH [--at TEXT KEYS]... SCRIPT: what is to be seen in the end is
# in $output.
on_terminal() {
  needs_terminals
  local script=${*: -1}
  cat begin.lua - <<< "$script" > script.lua
  run timeout -k 5 30 python3 "$srcdir/tests/sh/terminal.py" "${@:1:$#-1}" "$LFUT" script.lua
}

open_gate='!echo > gate'

@test "a bar is drawn, and its last line stays" {
  on_terminal 80 --at ' 0/3' "$open_gate" --at ' 1/3' "$open_gate" --at ' 2/3' "$open_gate" \
    'exe:for_each(hold, lfut.range(3), { progress = "squares", chunksize = 1, buffersize = 1 })'
  [ "$status" = 0 ] || complain "$output"
  [[ $output =~ ^'squares: 100% ['#+'] 3/3 '[0-9.]+/s\ [0-9]+:[0-9][0-9]$ ]] || complain "$output"
  contains "$(cat raw)" ' 33% '
  contains "$(cat raw)" ' left'
}

@test "its label is the name, unless it has one, or none" {
  on_terminal 80 'exe:options { name = "name" }:for_each(print, {}, { progress = "label" })
    exe:options { name = "name" }:for_each(print, {}, { progress = true })
    exe:for_each(print, {}, { progress = true })'
  [ "$status" = 0 ]
  [[ ${lines[0]} == 'label: 100% ['* ]] || complain "$output"
  [[ ${lines[1]} == 'name: 100% ['* ]]
  [[ ${lines[2]} == '100% ['* ]]
  [ ${#lines[@]} = 3 ]
}

@test "it fits into each width" {
  for width in 2 5 8 13 20 33 40 60 79 120 250; do
    on_terminal $width --at $'\033[K' "$open_gate" \
      'exe:for_each(hold, { 1 }, { progress = "a label of some length" })'
    [ "$status" = 0 ] || complain "$output"
    [ ${#lines[@]} -le 1 ] || complain "$width:" "$output"
    [ ${#output} -lt "$width" ]
    [ "$width" -lt 5 ] || contains "$output" '100%'
  done
}

@test "on a terminal of one column there is nothing" {
  on_terminal 1 --at $'\033[K' "$open_gate" 'exe:for_each(hold, { 1 }, { progress = "label" })'
  [ "$status" = 0 ]
  [ "$output" = '' ] || complain "$output"
}

@test "NO_COLOR is respected" {
  on_terminal 80 'exe:for_each(print, {}, { progress = true })'
  contains "$(cat raw)" $'\033[32m'
  export NO_COLOR=1
  on_terminal 80 'exe:for_each(print, {}, { progress = true })'
  [[ $(cat raw) != *$'\033['[0-9]* ]] || complain "$(cat -v raw)"
}

@test "a label is only text" {
  on_terminal 80 'exe:for_each(print, {}, { progress = "a\27[2J\nb" })'
  [[ $output == 'a?[2J?b: 100%'* ]] || complain "$output"
}

# Each line of the workers and of the script is whole, and the bar is the last.
@test "nobody's output tears it" {
  local i expected=()
  for i in {1..30}; do
    expected+=("worker $i" "error $i" "loop $i" "written $i" "told $i")
  done
  for LFUT_CONSTRUCTOR in "${kinds[@]}"; do
    on_terminal 80 --at ' 1/30' "$open_gate" '
      local function work(i)
        if i == 2 then hold() end
        print("worker " .. i)
        io.stderr:write("error " .. i .. "\n") -- in one piece
        return i
      end
      for i in exe:map(work, lfut.range(30), { progress = true, buffersize = 4, chunksize = 1 }) do
        print("loop " .. i)
        io.write("written ", i, "\n")
        io.stderr:write("told " .. i .. "\n")
      end
      exe:shutdown()'
    [ "$status" = 0 ] || complain "$output"
    [[ ${lines[-1]} == '100% ['*' 30/30 '* ]] || complain "$output"
    [ "$(printf '%s\n' "${lines[@]::150}" | sort)" = \
      "$(printf '%s\n' "${expected[@]}" | sort)" ] ||
      complain "$LFUT_CONSTRUCTOR" "$output"
  done
}

@test "a line that is begun is not torn, either" {
  on_terminal 40 --at ' 0/2' "$open_gate" --at a1 "$open_gate" '
    for i in exe:map(hold, { 1, 2 }, { progress = true, chunksize = 1, buffersize = 1 }) do
      io.write("a", i)
      io.stdout:flush()
      lfut.Event():wait(0.3) -- the bar would be drawn meanwhile
      print("b")
    end'
  [ "$status" = 0 ]
  [ "${lines[0]}" = a1b ] || complain "$output"
  [ "${lines[1]}" = a2b ]
  [[ ${lines[2]} == '100% '* ]]
}

@test "commands find the line empty, and have it to themselves" {
  on_terminal 40 --at ' 0/1' "$open_gate" --at 'one' "$open_gate" '
    for i in exe:map(hold, { 1 }, { progress = true }) do
      os.execute "printf one; cat gate > /dev/null; echo two"
    end'
  [ "$status" = 0 ]
  [ "${lines[0]}" = onetwo ] || complain "$output"
  [[ ${lines[1]} == '100% '* ]]
}

@test "Ctrl-C in the middle" {
  needs_signals
  on_terminal 80 --at ' 0/1' $'\003' 'exe:for_each(hold, { 1 }, { progress = true })'
  [ "$status" = 130 ] || complain "$output"
  [[ ${lines[0]} == '0% ['* ]] || complain "$output"
  [ "${lines[1]}" = 'lfut: interrupted!' ]
  on_terminal 80 --at ' 0/1' $'\003' 'for _ in exe:map(hold, { 1 }, { progress = true }) do end'
  [[ ${lines[0]} == '0% ['* ]] || complain "$output"
  [ "${lines[1]}" = 'lfut: interrupted!' ]
}

@test "a second Ctrl-C leaves a fresh line, too" {
  needs_signals
  on_terminal 80 --at ' 0/1' $'\003' --at 'once' $'\003' \
    'local it = exe:map(hold, { 1 }, { progress = true })
     pcall(it) io.write("once\n") while true do end'
  [ "$status" = 130 ] || complain "$output"
  [ "${lines[0]}" = once ] || complain "$output"
}

@test "errors leave a fresh line" {
  on_terminal 80 --at ' 0/1' "$open_gate" \
    'exe:for_each(function() hold() error("boom", 0) end, { 1 }, { progress = true })'
  [ "$status" = 1 ]
  [[ ${lines[0]} == *'% '* ]] || complain "$output"
  [ "${lines[1]}" = 'lfut: boom' ] || complain "$output"
  on_terminal 80 --at ' 0/2' "$open_gate" 'for _ in exe:map(hold, { 1, 2 }, { progress = true, chunksize = 1 }) do
     error("boom", 0) end'
  [[ ${lines[0]} == '50% '* ]] || complain "$output"
  [ "${lines[1]}" = 'lfut: boom' ]
  on_terminal 80 --at ' 0/2' "$open_gate" 'local it = exe:map(hold, { 1, 2 }, { progress = true, chunksize = 1 })
     it() error("boom", 0)'
  [ "${lines[0]}" = 'lfut: boom' ] || [ "${lines[1]}" = 'lfut: boom' ] || complain "$output"
}

@test "a break leaves how far it came" {
  on_terminal 80 'for i in exe:map(math.abs, { 1, 2, 3, 4 }, { progress = true }) do if i == 2 then break end end
    print "after"
    local fs = { exe:submit(math.abs, 1), exe:submit(math.abs, 2) }
    for f in lfut.as_completed(fs, { progress = "futures" }) do break end
    print "after"'
  [[ ${lines[0]} == '50% ['*' 2/4 '* ]] || complain "$output"
  [ "${lines[1]}" = after ]
  [[ ${lines[2]} == 'futures: 50% ['*' 1/2 '* ]]
  [ "${lines[3]}" = after ]
}

@test "as_completed, and a loop of unknown length" {
  on_terminal 80 'local fs = { exe:submit(math.abs, 1), exe:submit(math.abs, 2) }
    for f in lfut.as_completed(fs, { progress = true }) do end
    local n = 0
    local function source() n = n + 1 return n <= 5 and n or nil end
    for _ in exe:map(math.abs, source, { progress = true }) do end'
  [[ ${lines[0]} == '100% ['*' 2/2 '* ]] || complain "$output"
  [[ ${lines[1]} == '100% ['*' 5/5 '* ]]
}

@test "one bar at a time: others are quiet" {
  on_terminal 80 'for i in exe:map(math.abs, lfut.range(3), { progress = "outer" }) do
      exe:for_each(math.abs, lfut.range(9), { progress = "inner" })
    end
    exe:for_each(math.abs, lfut.range(9), { progress = "later" })'
  [ ${#lines[@]} = 2 ] || complain "$output"
  [[ ${lines[0]} == 'outer: 100% '* ]]
  [[ ${lines[1]} == 'later: 100% '* ]]
}

@test "a task may draw one, in any worker" {
  for LFUT_CONSTRUCTOR in "${kinds[@]}"; do
    on_terminal 80 --at ' 0/1' "$open_gate" '
      exe:submit(function()
        local inner <close> = lfut.ThreadPoolExecutor(1)
        inner:for_each(hold, { 1 }, { progress = "inner" })
      end):result()
      print "end"
      exe:shutdown()'
    [ "$status" = 0 ] || complain "$LFUT_CONSTRUCTOR" "$output"
    [[ ${lines[0]} == 'inner: 100% ['*' 1/1 '* ]] || complain "$LFUT_CONSTRUCTOR" "$output"
    [ "${lines[1]}" = end ]
  done
}

@test "who is killed draws no more" {
  LFUT_CONSTRUCTOR='lfut.ProcessPoolExecutor(1)'
  on_terminal 80 --at ' 0/2' '!kill -9 $(cat pid)' '
    local f = exe:submit(function()
      local file <close> = io.open("pid", "w")
      file:write(lfut.getpid(), "\n")
      file:close()
      local inner <close> = lfut.ThreadPoolExecutor(1)
      inner:for_each(hold, lfut.range(2), { progress = "inner", chunksize = 1 })
    end)
    print(f:exception().kind)
    exe:for_each(math.abs, { 1, 2 }, { progress = "later" })'
  [ "$status" = 0 ] || complain "$output"
  [ "${lines[0]}" = WorkerLost ] || complain "$output"
  [[ ${lines[1]} == 'later: 100% '* ]]
}

# in_file SCRIPT: the same in a file; its lines.
in_file() {
  cat begin.lua - <<< "$1" > script.lua
  status=0
  output=$(lfut script.lua 2> err) || status=$?
  mapfile -t lines < err
}

@test "in a file there are lines" {
  in_file 'exe:for_each(math.abs, lfut.range(100), { progress = "squares" }) print "end"'
  [ "$status" = 0 ]
  [ "$output" = end ]
  [ ${#lines[@]} = 1 ] || complain "$(cat err)"
  [[ ${lines[0]} =~ ^squares:\ 100%\ 100/100\ [0-9]+/s\ 0:0[0-9]$ ]] || complain "$(cat err)"
}

@test "in a file there is one now and then" {
  in_file 'exe:for_each(function()
    repeat
      local file <close> = io.open("err")
    until file:read("a"):find("\n")
  end, { 1 }, { progress = true })'
  [ "$status" = 0 ]
  [ ${#lines[@]} = 2 ] || complain "$(cat err)"
  [ "${lines[0]}" = '0% 0/1' ]
  [[ ${lines[1]} == '100% 1/1 '* ]]
}

@test "a terminal that cannot erase gets lines" {
  export TERM=dumb
  on_terminal 80 'exe:for_each(print, {}, { progress = true })'
  [ "$(cat raw)" = $'100% 0/0 0:00\r' ] || complain "$(cat -v raw)"
}

@test "output that goes elsewhere is as it was" {
  needs_terminals
  cat begin.lua - > script.lua << 'END'
for i in exe:map(print, lfut.range(3), { progress = true, chunksize = 1 }) do
  print("loop", i)
end
END
  run timeout 60 python3 "$srcdir/tests/sh/terminal.py" 80 sh -c '"$LFUT" script.lua > out'
  [ "$status" = 0 ]
  [ "$(sort out)" = $'1\n2\n3\nloop\t1\nloop\t2\nloop\t3' ] || complain "$(cat -v out)"
  [ ${#lines[@]} = 1 ]
}

@test "without standard error, or with one that takes nothing, the program goes on" {
  cat begin.lua - > script.lua << 'END'
local file <close> = io.open("other", "w")
for _ in exe:map(math.abs, lfut.range(3), { progress = true }) do
end
for _ in lfut.as_completed({ exe:submit(math.abs, 1) }, { progress = true }) do
end
print "end"
END
  output=$(lfut script.lua 2>&-)
  [ "$output" = end ]
  [ ! -s other ] || complain "$(cat other)"
  output=$(lfut script.lua 2> /dev/full)
  [ "$output" = end ]
  mkfifo pipe
  true < pipe &
  output=$(lfut script.lua 2> pipe)
  [ "$output" = end ]
}

@test "the stock interpreter draws, too" {
  needs_terminals
  needs_stock_lua
  cat begin.lua - > script.lua << 'END'
for i in exe:map(print, lfut.range(3), { progress = true }) do
  print("loop", i)
end
exe:shutdown()
END
  run timeout 60 python3 "$srcdir/tests/sh/terminal.py" 80 "$LFUT_LUA" script.lua
  [ "$status" = 0 ] || complain "$output"
  [ ${#lines[@]} = 7 ]
  [[ ${lines[-1]} == '100% ['* ]] || complain "$output"
}
