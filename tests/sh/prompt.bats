# SPDX-License-Identifier: MIT
# The prompt, from a pipe and on a terminal.

source "$srcdir/tests/helpers.sh"

# prompt LINE...: what lfut -i prints for these lines, without version and
# prompts, in $output; messages in $stderr.
prompt() {
  printf '_PROMPT, _PROMPT2 = "", ""\n' > lines
  printf '%s\n' "$@" >> lines
  run --separate-stderr lfut -i < lines
  [ "$status" = 0 ]
  output=${output#*> }
}

@test "expressions are printed" {
  prompt '1 + 1' '"a", nil, 2' 'x = 3' 'x' '=x' '' '-- comment' 'print(4)'
  [ "$output" = $'2\na\tnil\t2\n3\n3\n4' ]
}

@test "chunks may take several lines" {
  prompt 'for i = 1, 2 do' 'print(i)' 'end' 'f = function()' '  return 5' \
    'end' 'f()' 's = [[a' 'b]]' 's'
  [ "$output" = $'1\n2\n5\na\nb' ] || complain "$output"
}

@test "local variables stay, and that is told once" {
  prompt 'local a, b <const> = 1, 2' 'a + b' 'local function f()' 'return 5' 'end' 'f()' 'local c' 'c' \
    'local exe <close> = require "lfut".ThreadPoolExecutor(1)' 'exe:submit(math.max, 1, 2):result()' 'localx = 7' 'localx'
  [ "$output" = $'3\n5\nnil\n2\n7' ] || complain "$output"
  [ "$(grep -c 'here it is global' <<< "$stderr")" = 1 ]
  prompt 'local = 5' 'local a.b = 1' '1'
  contains "$stderr" 'stdin:1: '
  [ "$output" = 1 ]
}

@test "the first example of README.md works line by line" {
  mapfile -t lines < <(sed -n '/^```lua/,/^```/p' "$srcdir/README.md" | sed '1d; /^```/,$d')
  prompt "${lines[@]}"
  [ "$output" = $'70\n1\t10\n2\t20\n3\t30\n10000' ] || complain "$output"
}

@test "errors are told and the prompt goes on" {
  prompt 'error "bad"' 'x =' '' ')' 'error {}' '42'
  contains "$stderr" 'stdin:1: bad'
  contains "$stderr" 'stack traceback:'
  contains "$stderr" 'unexpected symbol'
  contains "$stderr" '(error object is a table value)'
  [[ $stderr != *lfut:* ]]
  [ "$output" = 42 ]
}

@test "a chunk that is cut off by the end of input is an error" {
  prompt 'for i = 1, 2 do'
  contains "$stderr" "'end' expected"
}

@test "a line may be long" {
  local long
  long=$(printf '%03000d' 7)
  prompt "x = '$long'" '#x'
  [ "$output" = 3000 ]
}

@test "prompts can be chosen" {
  run lfut -i <<< $'_PROMPT = setmetatable({}, { __tostring = function()
    return "ready$ " end })\n_PROMPT2 = "more$ "\nx = (\n1)'
  contains "$output" 'ready$ '
  contains "$output" 'more$ '
}

@test "print may be replaced, or fail" {
  prompt 'print = function(...) io.write("mine\n") end' '1'
  [ "$output" = mine ]
  prompt 'print = nil' '1'
  contains "$stderr" "error calling 'print'"
}

@test "the prompt tells the version, and follows -e and the script" {
  run lfut -e 'x = 1' -i <<< 'x + 1'
  contains "${lines[0]}" "Lua $LFUT_LUA_VERSION"
  contains "$output" 2
}

@test "the script's error keeps the prompt away" {
  run --separate-stderr lfut -e 'error "x"' -i <<< 'print(42)'
  [ "$status" = 1 ]
  [[ $output != *42* ]]
}

@test "os.exit leaves the prompt" {
  run lfut -i <<< $'os.exit(9)\nprint(1)'
  [ "$status" = 9 ]
}

# --- On a terminal ---

needs_editor() {
  ldd "$LFUT" | grep -qE 'readline|libedit' || skip 'no line editor is linked'
}

# Starts lfut on a terminal of its own: its screen is the file 'screen', keys go
# to descriptor 5.
start_terminal() {
  command -v script > /dev/null || skip 'script(1) is not there'
  mkfifo keys
  exec 5<> keys
  TERM=dumb script -qefc "'$LFUT' $1" screen < keys > /dev/null 2>&1 3>&- &
  pid=$!
}

# Waits until the text has appeared on the screen.
await() {
  timeout 60 sh -c 'until grep -qF -- "$1" screen; do :; done' sh "$1" ||
    complain "missing: $1" "on: $(cat screen)"
}

# Waits until an empty prompt stands at the end of the screen.
await_prompt() {
  timeout 60 sh -c 'until [ "$(tail -c 3 screen)" = "$1" ]; do :; done' \
    sh $'\n> ' || complain "no prompt on: $(cat screen)"
}

press() {
  printf "$1" >&5
}

@test "on a terminal: lfut without arguments prompts, Ctrl-D ends it" {
  start_terminal
  await '> '
  press 'print(40 + 2)\n'
  await 42
  press '\004'
  finish
  [ "$status" = 0 ]
}

@test "on a terminal: Ctrl-C abandons the line" {
  start_terminal
  await '> '
  press "x = 'first'\n"
  press 'print(x) x ='
  await 'print(x) x ='
  press '\003'
  await_prompt
  press "print(x, 'sec' .. 'ond')\n"
  await $'first\tsecond'
  press 'do\n'
  await '>> '
  press '\003'
  await_prompt
  press "print('th' .. 'ird')\n"
  await third
  press '\004'
  finish
  [ "$status" = 0 ]
}

@test "on a terminal: Ctrl-C interrupts a chunk" {
  needs_signals
  start_terminal
  await '> '
  press "print('go' .. 'ing') while true do end\n"
  await going
  press '\003'
  await 'interrupted!'
  await_prompt
  press "print('go' .. 'es on')\n"
  await 'goes on'
  press '\004'
  finish
  [ "$status" = 0 ]
}

@test "on a terminal: Tab completes globals and fields" {
  needs_editor
  start_terminal
  await '> '
  press 'long_name_of_mine = { field_of_it = { deep_inside = 77 } }\n'
  press 'long_na\t.fie\t.dee\t\n'
  await 77
  press "('x'):rep(3) s = 'abc'\n"
  press 's:upp\t()\n'
  await ABC
  press 'lfut = require "lfut" e = lfut.ThreadPoolEx\t(1)\n'
  press 'e:subm\t(math.max, 1, 76):resu\t()\n'
  await 76
  press '\004'
  finish
}

@test "on a terminal: the history is kept" {
  needs_editor
  start_terminal
  await '> '
  press "print('rem' .. 'embered')\n"
  await remembered
  press '\004'
  finish
  exec 5>&-
  rm keys screen
  start_terminal
  await '> '
  press '\020\n'
  await remembered
  press '\004'
  finish
}
