# SPDX-License-Identifier: MIT
# The picture of the benchmark's results. What is measured is no test.

source "$srcdir/tests/helpers.sh"

setup() {
  in_empty_directory
  cat > results.csv << 'END'
figure,unit,size,lfut,peer,peer_value,ratio,min,max,at_least,at_most,met,bound
submit,tasks/s,100,1200,python threads,100,12,11.5,12.4,10,,true,
submit,tasks/s,100,1200,luv new_work,2400,0.5,0.4,0.6,2,,false,
start-up,s,300,0.005,lua -e '',0.004,1.25,1.2,1.3,,1.5,true,
"odd, ""one""",s,5,0.001,slow <&> peer,1.5,1500,,,,,,
memory,B,1,255,,,,,,,400,true,
string,B/s,1,5,C memcpy,5,1,1,1,0.35,,true,true
missing,B/s,1,5,not there,,,,,,,,
END
}

needs_gnuplot() {
  command -v gnuplot > /dev/null || skip 'there is no gnuplot'
}

# draw ARG...: a picture of results.csv.
draw() {
  run --separate-stderr timeout -k 5 60 "$srcdir/bench/run" --draw results.csv "$@"
}

# texts FILE: what is written in a picture, a line each.
texts() {
  grep -o '<text>.*</text>' "$1" | sed 's/<[^>]*>//g'
}

# bars FILE COLOR: "from to" of the bars of that color, as they come.
bars() {
  grep -F "<polygon fill = '$2'" "$1" | sed "s/.*points = '//" |
    awk -F '[, ]' '{ print $1, $3 }'
}

@test "a picture has a bar for each comparison, with its name and number" {
  needs_gnuplot
  draw --svg picture.svg --caption $'one "day"\nand \\ another'
  [ "$status:$output" = '0:drawn: picture.svg' ] || complain "$output" "$stderr"
  [ "$stderr" = '' ] || complain "$stderr"
  [ "$(texts picture.svg | grep -e ' vs ')" = "submit vs python threads
submit vs luv new_work
start-up vs lua -e ''
odd, 'one' vs slow &lt;&amp;> peer" ] || complain "$(texts picture.svg)"
  # The third is a cost with a limit: a quarter more than the peer's.
  [ "$(texts picture.svg | tail -n 4)" = $'12 ×\n0.5 ×\n0.8 ×\n1500 ×' ] ||
    complain "$(texts picture.svg)"
  for line in 'lfut beside what one would use instead' 'one "day"' 'and \ another'; do
    texts picture.svg | sed 's/&quot;/"/g' | grep -qxF "$line" ||
      complain "$line" "$(texts picture.svg)"
  done
}

@test "bars begin at 1, and end to the right of it where lfut is better" {
  needs_gnuplot
  draw --svg picture.svg
  bars picture.svg 'rgb( 74, 144, 196)' > better
  bars picture.svg 'rgb(217, 137,  61)' > worse
  cat better worse >&2
  # 12 times, 1500 times
  awk '{ from[NR] = int($1); to[NR] = int($2) }
    END { exit !(NR == 2 && from[1] == from[2] && from[1] < to[1] && to[1] < to[2]) }' better
  # a half, four fifths
  awk -v one="$(awk '{ print int($1); exit }' better)" '{ from[NR] = $1; to[NR] = int($2) }
    END { exit !(NR == 2 && to[1] == one && to[2] == one && from[1] < from[2] && from[2] < one) }' worse
}

@test "some figures of a file" {
  needs_gnuplot
  draw --svg picture.svg start-up submit
  [ "$status" = 0 ]
  [ "$(texts picture.svg | grep -c ' vs ')" = 3 ] || complain "$(texts picture.svg)"
  draw memory
  [ "$status:$output" = '1:there is nothing to draw: no picture' ] || complain "$output"
  [ ! -e bench-results.svg ]
}

@test "what keeps a picture from being made is said" {
  GNUPLOT=no-such-program draw --svg picture.svg
  [ "$status:$output" = '1:gnuplot is missing: no picture' ] || complain "$output"
  [ ! -e picture.svg ]
  rm results.csv
  draw
  [ "$status" = 2 ]
  contains "$stderr" 'cannot read results.csv'
  needs_gnuplot
  setup
  draw --svg none/picture.svg
  [ "$status" = 1 ]
  [ "$output" = 'none/picture.svg: No such file or directory: no picture' ] ||
    complain "$output"
}

@test "figures of LuaJIT are measured where there is an lfut for it" {
  command -v lua5.4 > /dev/null || skip 'there is no lua5.4 to compare with'
  # That for another Lua is none.
  run env CC=no-such-compiler GNUPLOT=no-such-program LFUT_LUAJIT="$LFUT" \
    timeout -k 5 100 "$srcdir/bench/run" --quick luajit-submit
  [ "$status" = 0 ] || complain "$output"
  contains "$output" "lfut for LuaJIT ('$LFUT') is missing"
  grep -q '^luajit-submit,tasks/s,10000,,"lfut, Lua 5.4",,,' bench-results.csv ||
    complain "$(cat bench-results.csv)"
}

@test "programs of figures that are for any Lua" {
  # What each of them has measured.
  for program in 'submit.lua 100' 'map.lua 100' 'mandelbrot.lua 8'; do
    set -- $program
    run timeout -k 5 60 "$LFUT" "$srcdir/bench/lfut/$1" "$2" ThreadPoolExecutor 2
    [[ $status = 0 && $output =~ ^[0-9.e+-]+$ ]] || complain "$1" "$output"
  done
  command -v node > /dev/null || skip 'there is no node'
  run timeout -k 5 60 node "$srcdir/bench/node/mandelbrot.js" 8 2
  [[ $status = 0 && $output =~ ^[0-9.e+-]+$ ]] || complain "$output"
}

@test "a run draws what it has measured, with date and machine" {
  command -v lua5.4 > /dev/null || skip 'there is no lua5.4 to compare with'
  local run=(timeout -k 5 100 "$srcdir/bench/run" --quick fib)
  run env CC=no-such-compiler GNUPLOT=no-such-program "${run[@]}"
  [ "$status" = 0 ] || complain "$output"
  contains "$output" 'gnuplot is missing: no picture'
  needs_gnuplot
  run env CC=no-such-compiler "${run[@]}"
  [ "$status" = 0 ] || complain "$output"
  contains "$output" 'drawn: bench-results.svg'
  texts bench-results.svg > words
  grep -qx 'fib vs lua calls' words || complain "$(cat words)"
  grep -qE "^[0-9]{4}-[0-9]{2}-[0-9]{2}: [0-9]+ processors, .*$(uname -m)\$" words || complain "$(cat words)"
  grep -qE '^Lua 5\.4\.[0-9]+.*; medians of 1 run, small sizes$' words || complain "$(cat words)"
}
