# SPDX-License-Identifier: MIT
# The programs in scripts/examples do what they say. Those with a pool of
# threads do the same with processes: each test is run for every kind of pool.

source "$srcdir/tests/helpers.sh"

pools='threads fork spawn'
processes='fork spawn'

# Calls of ThreadPoolExecutor as calls of ProcessPoolExecutor.
to_fork='s/lfut\.ThreadPoolExecutor/lfut.ProcessPoolExecutor/'
# Calls of that with a start method: f{...}, f(), f(5).
to_spawn='s/\(ProcessPoolExecutor\){/\1{ start_method = "spawn", /
  s/\(ProcessPoolExecutor\)(\([0-9]*\))/\1{ start_method = "spawn", max_workers = tonumber("\2") }/'

# program NAME: prints the path of the example, made to use a $pool of that
# kind. Lines keep their numbers.
program() {
  local source=$srcdir/scripts/examples/$1.lua
  mkdir -p "$pool"
  case $pool in
    threads) cp "$source" "$pool" ;;
    fork) sed "$to_fork" "$source" > "$pool/$1.lua" ;;
    spawn) sed "$to_fork; $to_spawn" "$source" > "$pool/$1.lua" ;;
  esac
  echo "$PWD/$pool/$1.lua"
}

# example NAME ARG...: runs it; its output is in $output, messages in $stderr.
example() {
  local name=$1
  shift
  echo "$name with ${pool:=threads}" # shown if the test fails
  run --separate-stderr lfut "$(program "$name")" "$@"
}

# prints LINE...: the example has succeeded, with these lines.
prints() {
  [ "$status" = 0 ] || complain "status $status" "$output" "$stderr"
  local want
  printf -v want '%s\n' "$@"
  [ "$output" = "${want%$'\n'}" ] || complain "$output" "not:" "$want"
}

@test "every example is tested here" {
  for file in "$srcdir"/scripts/examples/*.lua; do
    name=$(basename "$file" .lua)
    grep -qE "^ +example $name( |\$)" "$BATS_TEST_FILENAME" || complain "$name"
  done
}

@test "sleep: a pool waits for several tasks at once" {
  for pool in $pools; do
    example sleep 0.01
    [ "$status" = 0 ] || complain "$stderr"
    [ "${#lines[@]}" = 3 ]
    [[ ${lines[0]} =~ ^'one after the other:'\ +[0-9.]+' units'$ ]]
    [[ ${lines[1]} =~ ^[0-9]+' workers:'\ +[0-9.]+' units'$ ]]
    [ "${lines[2]}" = 'sum of the results: 55' ]
  done
}

@test "letters: three workers, three tasks" {
  for pool in $pools; do
    example letters
    [ "$status" = 0 ] || complain "$stderr"
    [ "$(cut -f 1 <<< "$output")" = $'A\nB\nC' ] || complain "$output"
    [ "$(grep -c $'\tletters_[123]$' <<< "$output")" = 3 ] || complain "$output"
  done
}

@test "named: arguments by name" {
  for pool in $pools; do
    example named
    prints 'Hello, Ada!' $'1\tHello, Grace.' $'2\tGood evening, Alan.' \
      $'3\tHello, Edsger?'
  done
}

@test "two_args: submit, zip, starmap" {
  for pool in $pools; do
    example two_args
    prints $'submit\t42' $'zip\t1\t10\t10' $'zip\t2\t20\t40' $'zip\t3\t30\t90' \
      $'starmap\t1\t20' $'starmap\t2\t72'
  done
}

@test "futures: results in the order of the list" {
  for pool in $pools; do
    example futures
    prints 'submitted 10' $'1\t1' $'2\t4' $'3\t9' $'4\t16' $'5\t25' $'6\t36' \
      $'7\t49' $'8\t64' $'9\t81' $'10\t100' 'Future(finished: number)'
  done
}

@test "completed: every future once, the error at its result" {
  for pool in $pools; do
    example completed 0.01
    [ "$status" = 0 ] || complain "$stderr"
    [ "${#lines[@]}" = 3 ] || complain "$output"
    contains "$output" $'1\t1.0'
    contains "$output" $'4\t0.25'
    [[ $output =~ $'2\tfailed: '[^$'\n']*'completed.lua:15: no 2, please' ]] ||
      complain "$output"
  done
}

@test "map: the order of the items, or of completion" {
  local in_order=$'1\tslept 5\n2\tslept 4\n3\tslept 3\n4\tslept 2\n5\tslept 1'
  for pool in $pools; do
    example map 0.01
    [ "$status" = 0 ] || complain "$stderr"
    [[ $output == $'in order\n'"$in_order"$'\nas they are done\n'* ]] ||
      complain "$output"
    [ "$(tail -n 5 <<< "$output" | sort)" = "$in_order" ] || complain "$output"
  done
}

@test "race: the first one that has it, whatever the other would take" {
  for pool in $pools; do
    example race
    prints '1000000000101 = 3 * 333333333367' '999985999949 = 999983 * 1000003'
    example race 2 91 97 1000000
    prints '2 = 1 * 2' '91 = 7 * 13' '97 = 1 * 97' '1000000 = 2 * 500000'
    example race 1
    [ "$status" = 1 ]
  done
}

@test "scope: a part that is missing stops the others" {
  for pool in $pools; do
    example scope
    prints $'made:\ta table, a lamp' $'not made:\tthere is no desk' $'made:\ta bed'
    example scope none
    prints $'made:\ta table, a lamp' $'made:\ta chair, a desk, a shelf' $'made:\ta bed'
    example scope bed
    prints $'made:\ta table, a lamp' $'made:\ta chair, a desk, a shelf' \
      $'not made:\tthere is no bed'
  done
}

@test "progress: lines for loops, and what a task has told last" {
  for pool in $pools; do
    example progress 500
    [ "$status" = 0 ] || complain "$stderr"
    prints 'by a loop: 143' 'by a task: 143, 100% done, at 500'
    [[ $stderr == 'steps: 100% 500/500 '*$'\n''tasks: 100% 10/10 '* ]] || complain "$stderr"
  done
}

@test "loops: map and reduce agree with the plain loop" {
  want=$(awk 'BEGIN { for (i = 1; i <= 5000; i++) s += i * i % 7; print s }')
  for pool in $pools; do
    example loops 5000
    [ "$status" = 0 ] || complain "$stderr"
    [ "$(head -n 3 <<< "$output")" = \
      $'for\t'"$want"$'\nmap\t'"$want"$'\nreduce\t'"$want" ] ||
      complain "$output"
    for i in 1000 2000 3000 4000 5000; do
      contains "$output" $'multiple of 1000\t'"$i"
    done
    [ "${lines[-1]}" = $'for_each\t5' ]
  done
}

@test "primes: known counts, at the edges of the blocks, too" {
  for pool in $pools; do
    for known in 0:0 1:0 2:1 3:2 10:4 100:25 1000:168 100000:9592 \
      100003:9593 1000000:78498; do
      example primes "${known%:*}"
      prints "${known#*:}"
    done
  done
}

@test "montecarlo: the seed decides, not the number of workers" {
  example montecarlo 7 20
  [[ $output =~ ^[0-9]+' of 200000 darts hit, pi is about '3\.1[0-9]+$ ]] ||
    complain "$output" "$stderr"
  local want=$output
  for pool in $pools; do
    for workers in 1 2 4; do
      LFUT_WORKERS=$workers example montecarlo 7 20
      prints "$want"
    done
  done
  example montecarlo 8 20
  [ "$output" != "$want" ]
}

@test "nqueens: known counts, with one worker and tasks at every depth" {
  for pool in $pools; do
    for known in 1:1 2:0 3:0 4:2 5:10 6:4 7:40 8:92; do
      example nqueens "${known%:*}"
      prints "${known%:*}"$'\t'"${known#*:}"
    done
    for depth in 0 1 6 9; do
      LFUT_WORKERS=1 example nqueens 6 $depth
      prints $'6\t4'
    done
  done
}

@test "mandelbrot: an image of the right size, to a file and to a pipe" {
  # Inside the set (-0.25, 0) black, the corner white or nearly so.
  pixel() {
    od -An -tu1 -j $((13 + $2 * 40 + $1)) -N 1 image.pgm | tr -d ' '
  }
  for pool in $pools; do
    example mandelbrot 40 image.pgm
    [ "$status" = 0 ] || complain "$stderr"
    [ "$(head -n 3 image.pgm)" = $'P5\n40 40\n255' ]
    [ "$(wc -c < image.pgm)" = $((13 + 40 * 40)) ]
    lfut -w 3 "$(program mandelbrot)" 40 > piped.pgm
    cmp image.pgm piped.pgm
    [ "$(pixel 28 20)" = 0 ]
    [ "$(pixel 0 0)" -gt 250 ]
  done
}

@test "checksums: CRC-32, in the order given" {
  printf 123456789 > check # whose sum is in every description of CRC-32
  : > empty
  head -c 200000 /dev/zero > "$(printf 'zeros \n')"
  for pool in $pools; do
    for workers in 1 4; do
      LFUT_WORKERS=$workers example checksums check empty zeros* check
      prints 'cbf43926         9 check' '00000000         0 empty' \
        "$(printf '%08x %9d %s' $((0x$(zeros_crc))) 200000 zeros*)" \
        'cbf43926         9 check'
    done
  done
}

# gzip writes the CRC-32 behind what it has packed, lowest byte first.
zeros_crc() {
  gzip -c < "$(echo zeros*)" | tail -c 8 | head -c 4 | od -An -tx1 |
    awk '{ print $4 $3 $2 $1 }'
}

@test "checksums: what cannot be read has its message, the others their line" {
  printf 123456789 > check
  mkdir directory
  for pool in $pools; do
    example checksums absent check directory
    [ "$status" = 1 ]
    [ "$output" = 'cbf43926         9 check' ]
    contains "$stderr" 'checksums: absent: No such file or directory'
    contains "$stderr" 'checksums: directory: Is a directory'
  done
}

# A small tree with names that need care, and a file that nobody can read.
make_tree() {
  mkdir -p "tree/a b/c" tree/-n
  printf 'The quick brown fox.\nthe lazy dog; THE end\n' > "tree/a b/one"
  printf 'fox fox_fox 3fox\0fox\xff' > "tree/a b/c/"$'new\nline'
  printf 'quoted' > "tree/it's \$HOME"
  printf 'no newline at the end' > tree/-n/-print
  : > tree/empty
  ln -s one "tree/a b/link"
  ln -s /nowhere tree/broken
}

# The same in other tools.
count_words() {
  find "$@" -type f -print0 | xargs -0 cat | tr -cs A-Za-z '\n' |
    tr A-Z a-z | sed '/^$/d' | sort | uniq -c | sort -k1,1nr -k2 |
    awk -v files="$(find "$@" -type f -printf x | wc -c)" '
      NR <= 10 { printf "%9d %s\n", $1, $2 }
      { total += $1 }
      END {
        printf "%d words, %d different, in %d files (0 unreadable)\n",
          total, NR, files
      }'
}

@test "wordcount: what other tools count, in a pool and in a plain loop" {
  export LC_ALL=C
  make_tree
  # Between two files a word may not go on.
  for file in tree/-n/-print "tree/it's \$HOME"; do
    echo >> "$file"
  done
  want=$(count_words tree)
  example wordcount --serial tree
  prints "$want"
  for pool in $pools; do
    for workers in 1 4; do
      LFUT_WORKERS=$workers example wordcount tree
      prints "$want"
    done
  done
}

@test "wordcount: directories with odd names, several, or none" {
  make_tree
  cd tree
  example wordcount -n "a b"
  [ "$status" = 0 ] || complain "$stderr"
  [ "${lines[-1]}" = '19 words, 10 different, in 3 files (0 unreadable)' ] ||
    complain "$output"
  example wordcount absent
  [ "$output" = '0 words, 0 different, in 0 files (0 unreadable)' ]
  contains "$stderr" absent
  example wordcount
  [ "$status" = 1 ]
  contains "$stderr" usage
}

@test "wordcount: an unreadable file is counted as such" {
  [ "$(id -u)" != 0 ] || skip 'nothing is unreadable to root'
  make_tree
  chmod 0 "tree/a b/one"
  for pool in $pools; do
    example wordcount tree
    [ "$status" = 0 ] || complain "$stderr"
    contains "${lines[-1]}" 'in 4 files (1 unreadable)'
  done
}

# sums FORMAT [mean]: sums up "key number" lines, as access_log writes them;
# the greatest five.
sums() {
  awk -v format="$1" -v mean="$2" '
    { sum[$1] += $2; count[$1]++ }
    END {
      for (key in sum)
        printf format, mean ? sum[key] / count[key] : sum[key], key
    }' | sort -k1,1nr -k2,2 | head -n 5
}

# What access_log prints, by other tools.
log_report() {
  cat "$@" | awk '$11 !~ /^[0-9]+\.[0-9]+$/ { bad++ }
    END { printf "%d lines, %d of them are something else\n", NR, bad }'
  grep -hE ' [0-9]+\.[0-9]{3}$' "$@" > good
  awk '{ print $9, 1 }' good | sums '%10d  %s\n'
  echo 'the slowest pages, in ms'
  awk '{ sub(/\?.*/, "", $7); print $7, 1000 * $11 }' good | sums '%10.1f  %s\n' mean
  echo 'sent most, in bytes'
  awk '{ print $1, $10 }' good | sums '%10d  %s\n'
}

@test "access_log: what other tools count, in a pool and in a plain loop" {
  export LC_ALL=C
  lfut "$srcdir/scripts/examples/access_log.lua" --make 13000 > log # two pieces
  lfut "$srcdir/scripts/examples/access_log.lua" --make 50 > small
  printf 'a line of something else\n\n' >> small
  sed -n '$p' log | tr -d '\n' >> small # a last line without an end
  want=$(log_report log small)
  [ "$(head -n 1 <<< "$want")" = '13053 lines, 2 of them are something else' ]
  example access_log --serial log small
  prints "$want"
  for pool in $pools; do
    for workers in 1 4; do
      LFUT_WORKERS=$workers example access_log log small
      prints "$want"
    done
  done
}

@test "access_log: a file that is not there, or none" {
  for pool in $pools; do
    example access_log absent
    [ "$status" = 1 ]
    contains "$stderr" "cannot read 'absent': No such file or directory"
  done
  example access_log
  [ "$status" = 1 ]
  contains "$stderr" usage
}

@test "parallel: the output of each command whole, in the order of the files" {
  printf 'not sorted' > 'a b'
  seq 20000 > "it's"
  : > -n
  for pool in $pools; do
    example parallel sha256sum -- 'a b' "it's" ./-n "it's"
    prints "$(sha256sum 'a b' "it's" ./-n "it's")"
    [ "$stderr" = '' ]
    example parallel -j 3 gzip -kf -- 'a b' "it's"
    prints ''
    for file in 'a b' "it's"; do
      gunzip -c "$file.gz" | cmp - "$file"
    done
  done
}

@test "parallel: those that fail are told, the others go on" {
  cat > work.sh << 'END'
case $1 in
  bad) echo "half of it"; echo "no good" >&2; exit 3 ;;
  lost) kill -TERM $$ ;;
  late) exec tail -f /dev/null ;;
  *) echo "$1 is done" ;;
esac
END
  for pool in $pools; do
    example parallel -j 2 sh work.sh -- one bad lost two
    [ "$status" = 1 ]
    [ "$output" = $'one is done\nhalf of it\ntwo is done' ] || complain "$output"
    [ "$stderr" = $'no good\nparallel: sh bad: exit status 3\nparallel: sh lost: ended by SIGTERM' ] ||
      complain "$stderr"
    example parallel -t 0.1 sh work.sh -- late
    [ "$status:$output" = 1: ]
    contains "$stderr" 'parallel: sh late: TimeoutError:'
    example parallel no-such-command -- one
    [ "$status:$output" = 1: ]
    contains "$stderr" "no-such-command one: "
    contains "$stderr" "cannot run 'no-such-command': No such file or directory"
  done
}

# "first" and "second" end only if they run at the same time; "number" prints how
# many run, itself included.
@test "parallel: as many commands at a time as are allowed" {
  mkfifo meeting
  mkdir running
  cat > work.sh << 'END'
case $1 in
  first) echo "has met" > meeting ;;
  second) cat meeting ;;
  *) : > running/$1; ls running | wc -l; rm running/$1 ;;
esac
END
  for pool in $pools; do
    example parallel -j 2 sh work.sh -- first second
    prints 'has met'
    example parallel -j 1 sh work.sh -- 1 2 3 4 5 6
    prints 1 1 1 1 1 1
    example parallel -j 2 sh work.sh -- 1 2 3 4 5 6 7 8 9
    [ "$status:${#lines[@]}" = 0:9 ] || complain "$output" "$stderr"
    [ "$(sort -n <<< "$output" | tail -n 1)" -le 2 ] || complain "$output"
  done
}

@test "parallel: usage" {
  for words in '' 'true' '-j' '-j x true -- a' '-- a'; do
    example parallel $words
    [ "$status" = 1 ]
    contains "$stderr" usage
  done
}

# The same, slowly.
histogram() {
  awk -v n="$1" 'BEGIN {
    for (i = 1; i <= n; i++) {
      steps = 0
      for (x = i; x != 1; steps++)
        x = x % 2 ? 3 * x + 1 : x / 2
      hits[int(steps / 50)]++
      if (steps > most) {
        most = steps
        longest = i
      }
    }
    for (i = 0; i <= int(most / 50); i++)
      print i * 50, "...", i * 50 + 49, hits[i] + 0
    print longest, "takes longest:", most, "steps"
  }'
}

@test "array: a histogram that all workers write to" {
  want=$(histogram 25000)
  for pool in $pools; do
    example array 25000
    [ "$status" = 0 ] || complain "$stderr"
    [ "$(tr -d '*' <<< "$output" | tr -s ' ' | sed 's/^ //; s/ $//')" = "$want" ] ||
      complain "$output" "not:" "$want"
  done
}

# image KIND WIDTH HEIGHT: some pixels, none like another.
image() {
  printf '%s\n%d %d\n255\n' "$1" "$2" "$3"
  head -c $(($2 * $3 * (${1#P} == 6 ? 3 : 1))) <(seq 100000 | gzip -1 | tail -c +1000)
}

# What blur makes of an image, slowly: each mean of all that is in its window.
slow_blur() {
  cat > slow.lua << 'END'
local file <close> = io.open(arg[1], "rb")
local kind, width, height = file:read("l", "n", "n", "n")
file:read(1)
local channels, radius = kind == "P5" and 1 or 3, math.tointeger(arg[2])
local pixels = { file:read("a"):byte(1, -1) }
local function means(line)
  local result = {}
  for i = 1, #line do
    local first, last, sum = math.max(1, i - radius), math.min(#line, i + radius), 0
    for k = first, last do
      sum = sum + line[k]
    end
    result[i] = sum // (last - first + 1)
  end
  return result
end
local function along(first, step, n)
  local line = {}
  for i = 1, n do
    line[i] = pixels[first + (i - 1) * step]
  end
  for i, mean in ipairs(means(line)) do
    pixels[first + (i - 1) * step] = mean
  end
end
local stride = width * channels
for y = 0, height - 1 do
  for c = 1, channels do
    along(y * stride + c, channels, width)
  end
end
for x = 1, stride do
  along(x, stride, height)
end
io.write(kind, "\n", width, " ", height, "\n255\n")
for _, pixel in ipairs(pixels) do
  io.write(string.char(pixel))
end
END
  lfut slow.lua "$@"
}

@test "blur: means of squares, in grey and in colour" {
  image P5 19 37 > grey
  image P6 11 20 > colour
  image P5 1 1 > dot
  for file in grey colour dot; do
    for radius in 0 2 100; do
      slow_blur $file $radius > want
      for pool in $pools; do
        for workers in 1 3; do
          LFUT_WORKERS=$workers example blur $file soft $radius
          [ "$status" = 0 ] || complain "$stderr"
          cmp soft want || complain "$file, radius $radius, $pool"
        done
      done
    done
  done
}

@test "blur: what is no image, or too short" {
  echo hello > text
  image P5 30 30 | head -c 500 > short
  example blur text soft
  [ "$status" = 1 ]
  contains "$stderr" 'P5 or P6 with 8 bits is expected'
  example blur short soft
  [ "$status" = 1 ]
  contains "$stderr" 'the image is too short'
  [ ! -e soft ]
}

# The other letters would be tried for some million years.
@test "search: the first find stops the others" {
  for pool in $pools; do
    for workers in 2 30; do
      LFUT_WORKERS=$workers example search baaaaaaaaaaaaaaaaaaaaaac
      [ "$status" = 0 ] || complain "$stderr"
      [ "${lines[1]}" = 'it is baaaaaaaaaaaaaaaaaaaaaac' ] || complain "$output"
    done
  done
}

@test "search: known hashes, and one that no word has" {
  for pool in $pools; do
    example search af63dc4c8601ec8c 1 # in the tables of FNV
    prints 'it is a'
    example search dcb27518fed9d577 3 # "foo"
    prints 'it is foo'
    example search dcb27518fed9d578 3
    [ "$status:$output" = '1:there is none' ] || complain "$output"
  done
  example search word that
  [ "$status" = 1 ]
  contains "$stderr" 'hexadecimal'
}

@test "threads: two, started and joined by hand" {
  example threads
  prints $'false\tfalse' $'false\tfalse' $'square\t100' $'cube\t1000'
}

@test "process: two, started and joined by hand" {
  example process 0.02
  [ "$status" = 0 ] || complain "$stderr"
  [ "${#lines[@]}" = 6 ] || complain "$output"
  [ "$(head -n 4 <<< "$output" | sort)" = \
    $'a is awake\na sleeps\nb is awake\nb sleeps' ] || complain "$output"
  [[ ${lines[4]} =~ ^'finished in '[0-9.]+' units'$ ]] || complain "$output"
  [ "${lines[5]}" = 'exit codes 0 and 0' ]
}

@test "processes: ten, joined in their order" {
  example processes 0.01
  want=()
  for n in 1 2 3 4 5 6 7 8 9 10; do
    want+=("$n"$'\t'"Process-$n"$'\t'"$((n % 3))")
  done
  prints "${want[@]}"
}

@test "pool: apply, map, starmap, imap, a callback" {
  for start in fork spawn; do
    mkdir -p "$start"
    sed "s/lfut\.Pool(4)/lfut.Pool{ processes = 4, start_method = \"$start\" }/" \
      "$srcdir/scripts/examples/pool.lua" > "$start/pool.lua"
    run --separate-stderr lfut "$start/pool.lua"
    prints $'apply\t400' $'map\t1 4 9 16 25' $'starmap\t2 12 30' $'imap\t1\t1' \
      $'imap\t2\t4' $'imap\t3\t9' $'callback\t42' $'get\t42' \
      $'error\tcannot do 3'
  done
  example pool
  [ "$status" = 0 ] || complain "$stderr"
}

@test "thread_pool: two maps at once" {
  example thread_pool
  prints 'a bb ccc' '25 primes below 100' $'true\ttrue' \
    'ThreadPool(processes=2, closed)'
}

@test "queue: every item once, through threads and processes" {
  for kind in '' --processes; do
    example queue $kind 6
    prints $'1\t1' $'2\t1 2' $'3\t1 3' $'4\t1 2 4' $'5\t1 5' $'6\t1 2 3 6'
    example queue $kind 0
    prints ''
    example queue $kind 200
    [ "$status" = 0 ] || complain "$stderr"
    [ "${#lines[@]}" = 200 ] || complain "$output"
    [ "${lines[-1]}" = $'200\t1 2 4 5 8 10 20 25 40 50 100 200' ] ||
      complain "$output"
  done
}

@test "rate_limit: all requests, not faster than they may be" {
  want=()
  for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    want+=("answer to request $n")
  done
  for pool in $pools; do
    example rate_limit 0.01
    prints "${want[@]}" '12 requests took 8 units or more: true'
  done
}

@test "counter: no count is lost, but in a local variable" {
  for pool in $pools; do
    example counter 1001
    prints $'variable\t0' $'add\t1001' $'lock\t1001' $'even, odd\t500\t501'
  done
}

@test "barrier: several threads or processes compute what one does" {
  example barrier 1 200
  [ "$status" = 0 ] || complain "$stderr"
  [ "${lines[0]}" = $'1\t100.0' ]
  [ "${lines[-2]}" = $'101\t0.0' ]
  [ "${lines[-1]}" = $'as with one thread\ttrue' ]
  local want=("${lines[@]}")
  for kind in '' --processes; do
    for parties in 2 3 5; do
      example barrier $kind $parties 200
      prints "${want[@]}"
    done
    example barrier $kind 3 0
    contains "$output" $'11\t0.0'
    example barrier $kind 3 1
    contains "$output" $'as with one thread\ttrue'
  done
}

@test "pids: workers are other processes, at most three" {
  for pool in $processes; do
    example pids
    [ "$status" = 0 ] || complain "$stderr"
    [ "${#lines[@]}" = 6 ] || complain "$output"
    [[ ${lines[0]} =~ ^'script: process '([0-9]+)$ ]] || complain "$output"
    local script=${BASH_REMATCH[1]}
    for n in 1 2 3 4 5; do
      [[ ${lines[n]} =~ ^"task $n: process "([0-9]+)$ ]] || complain "$output"
      [ "${BASH_REMATCH[1]}" != "$script" ] || complain "$output"
    done
    [ "$(sed 1d <<< "$output" | cut -d ' ' -f 4 | sort -u | wc -l)" -le 3 ] ||
      complain "$output"
  done
}

@test "powers: two arguments, in processes" {
  for pool in $processes; do
    example powers
    prints '2 ^ 64 ends in 551616' '2 ^ 100 ends in 205376' \
      '3 ^ 200 ends in 044001' '7 ^ 300 ends in 180001' '13 ^ 400 ends in 376001'
  done
}

@test "preloaded: a large table, and one too small to be left out" {
  for pool in $processes; do
    example preloaded
    prints $'999996\t2 * 2 * 3 * 167 * 499' $'999997\t757 * 1321' \
      $'999998\t2 * 31 * 127 * 127' $'999999\t3 * 3 * 3 * 7 * 11 * 13 * 37' \
      $'1000000\t2 * 2 * 2 * 2 * 2 * 2 * 5 * 5 * 5 * 5 * 5 * 5'
    example preloaded 100
    prints $'96\t2 * 2 * 2 * 2 * 2 * 3' $'97\t97' $'98\t2 * 7 * 7' \
      $'99\t3 * 3 * 11' $'100\t2 * 2 * 5 * 5'
  done
}

@test "crash: one task is lost, the others are not" {
  for pool in $processes; do
    example crash
    [ "$status" = 0 ] || complain "$stderr"
    [ "${#lines[@]}" = 6 ] || complain "$output"
    [[ ${lines[2]} =~ ^$'3\tlost: SIGKILL in function <'.*'crash.lua:8>'$ ]] ||
      complain "$output"
    [ "$(sed 3d <<< "$output")" = $'1\t1\n2\t4\n4\t16\n5\t25\n6\t36' ] ||
      complain "$output"
  done
}

# An example that uses a library has succeeded, or has said that there is none.
has_library() {
  [[ $output != 'skipped: '*"cannot load '"* ]] || skip "${output#skipped: }"
}

@test "native_libm: the gamma function of C" {
  for pool in $pools; do
    example native_libm
    prints 'gamma(5) = 24' 'gamma(10) = 362880' 'gamma(15) = 87178291200' \
      'gamma(20) = 121645100408832016' 'tgamma and Lua agree'
  done
}

@test "native_gzip: gunzip gives the file back, also an empty one" {
  seq 200000 > large
  : > empty
  printf 'short' > short
  for pool in $pools; do
    for file in large empty short; do
      example native_gzip $file
      has_library
      size=$(wc -c < $file)
      prints "$size bytes in $((size / 262144 + 1)) members: $(wc -c < $file.gz)"
      gunzip -c $file.gz | cmp - $file
    done
    [ "$(wc -c < large.gz)" -lt "$(wc -c < large)" ]
    LFUT_WORKERS=1 example native_gzip large other.gz
    cmp large.gz other.gz
  done
}

@test "native_gzip: without a file" {
  example native_gzip
  has_library
  [ "$status" = 1 ]
  contains "$stderr" usage
}

@test "native_pbkdf2: the keys that are known" {
  example native_pbkdf2 # a handle is good in threads only
  has_library
  prints $'passwd\t55ac046e56e3089f...\tas known' \
    $'Password\t4ddcd8f60b98be21...\tas known' \
    $'password\tc5e478d59288c841...\tas known'
}

@test "native_matmul: blocks of rows, the last one smaller" {
  for pool in $pools; do
    for size in 1 16 17 100; do
      example native_matmul $size
      has_library
      prints "$(((size + 15) / 16)) tasks" 'BLAS and Lua agree'
    done
  done
}

@test "native_spectra: two peaks each" {
  example native_spectra # as above
  has_library
  want=()
  for s in 1 2 3 4 5 6 7 8; do
    want+=("$s"$'\t'"1.0 at $s, 0.5 at $((10 * s))")
  done
  prints "${want[@]}"
}

@test "native_sqlite: each worker with a database of its own" {
  for pool in $pools; do
    example native_sqlite
    has_library
    prints $'1\t1000\t1000000\tabout 1000' $'2\t100\t40000\tabout 200' \
      $'3\t11\t1000000\tabout 1000'
  done
}

# --- With libraries for Lua ---

@test "what needs a library says that it is not there" {
  export LUA_PATH=none LUA_CPATH=none
  for library in json_csv:cjson lpeg_calc:lpeg crawl:socket.http cluster_crawl:socket.http; do
    run --separate-stderr lfut "$srcdir/scripts/examples/${library%:*}.lua"
    prints "skipped: cannot load '${library#*:}'"
  done
}

@test "json_csv: nested columns, what is missing, and what is no record" {
  cat > people.json << 'END'
{ "name": "Ada", "born": { "year": 1815, "day": 10.5 }, "tags": ["x", "y"] }
{ "name": "Grace \"Amazing\" Hopper, Rear Admiral", "born": { "year": 1906 } }
{ "name": null, "born": 3, "tags": true }

{ "name":
[7]
7
END
  for pool in $pools; do
    example json_csv people.json name born.year born.day tags
    has_library
    [ "$status" = 1 ]
    [ "$output" = 'name,born.year,born.day,tags
Ada,1815,10.5,"[""x"",""y""]"
"Grace ""Amazing"" Hopper, Rear Admiral",1906,,
,,,true
,,,' ] || complain "$output"
    contains "$stderr" 'json_csv: record 4: '
    contains "$stderr" 'json_csv: record 6: no record'
  done
}

@test "json_csv: several pieces, in their order" {
  seq 1500 | awk -v padding="$(printf '%2000s' '')" \
    '{ printf "{\"id\":%d,\"padding\":\"%s\",\"of\":{\"text\":\"number %d\"}}\n", $1, padding, $1 }' > large
  { echo of.text,id; seq 1500 | awk '{ print "number " $1 "," $1 }'; } > want
  printf '{' >> large
  for pool in $pools; do
    for workers in 1 4; do
      LFUT_WORKERS=$workers example json_csv large of.text id
      has_library
      [ "$status" = 1 ]
      diff want - <<< "$output"
      contains "$stderr" 'json_csv: record 1501: '
    done
  done
}

@test "lpeg_calc: values, and where a mistake is" {
  cat > lines << 'END'
1 + 2 * 3
2 ^ 3 ^ 2
-2 ^ 2
(1 + 2) * 3 / 4 - 1
 1.5 - -2
1 +
 7 7

((1)
2 ^ -1
END
  for pool in $pools; do
    example lpeg_calc lines
    has_library
    prints '1 + 2 * 3 = 7' '2 ^ 3 ^ 2 = 512' '-2 ^ 2 = -4' '(1 + 2) * 3 / 4 - 1 = 1.25' \
      ' 1.5 - -2 = 3.5' '1 + = wrong at column 4' ' 7 7 = wrong at column 4' \
      ' = wrong at column 1' '((1) = wrong at column 5' '2 ^ -1 = 0.5'
  done
  seq 2000 > lines
  example lpeg_calc lines
  prints "$(seq 2000 | awk '{ print $1 " = " $1 }')"
}

# serve: Python's http.server for the files here, as $pid, on a $port of its own. Of
# its pages, /hang never answers, and /endless goes on for ever, byte by byte.
serve() {
  command -v python3 > /dev/null || skip 'there is no python3'
  cat > serve.py << 'END'
import http.server, threading

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/hang":
            threading.Event().wait()
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"x")
        else:
            super().do_GET()

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100

server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
  mkfifo port.fifo
  python3 serve.py > port.fifo 2> /dev/null 3>&- &
  pid=$!
  disown # its end is no news
  read -r port < port.fifo
}

make_site() {
  mkdir sub
  echo '<title>Start</title> <a href="one.html">1</a> <a href="/sub/two.html#part">2</a>
    <a href="http://elsewhere.invalid/">e</a> <a href=gone.html>' > index.html
  echo '<HTML><TITLE> One </TITLE><A HREF="index.html">' > one.html
  echo "<title>Two</title><a href='../one.html'><a href='three.html'>" > sub/two.html
  echo 'without a title' > sub/three.html
}

@test "crawl: each page of a site once" {
  make_site
  serve
  local site=http://127.0.0.1:$port
  local size
  for pool in $processes; do
    example crawl -t 60 $site/
    has_library
    [ "$status" = 0 ] || complain "$stderr"
    size=$(wc -c < index.html)
    [ "$(sed '/gone/d' <<< "$output")" = "$site/	200	$size bytes	Start
$site/index.html	200	$size bytes	Start
$site/one.html	200	$(wc -c < one.html) bytes	One
$site/sub/three.html	200	$(wc -c < sub/three.html) bytes	
$site/sub/two.html	200	$(wc -c < sub/two.html) bytes	Two" ] || complain "$output"
    contains "$output" "$site/gone.html	404	"
    example crawl -n 1 $site/one.html
    prints "$site/one.html	200	$(wc -c < one.html) bytes	One"
    example crawl http://127.0.0.1:1/
    [ "$status" = 1 ]
    [ "$output" = 'http://127.0.0.1:1/	failed: connection refused' ] || complain "$output"
  done
}

@test "crawl: a page that does not end in time fails, the others do not" {
  make_site
  serve
  local site=http://127.0.0.1:$port
  for pool in $processes; do
    example crawl -t 0.1 $site/hang $site/endless
    has_library
    [ "$status" = 1 ]
    [ "$output" = "$site/endless	failed: TaskTimeout: visit has taken longer than 0.1 s
$site/hang	failed: TaskTimeout: visit has taken longer than 0.1 s" ] || complain "$output"
    example crawl -t 60 -s 0.1 $site/hang
    [ "$status:$output" = "1:$site/hang	failed: timeout" ] || complain "$output"
  done
  pool=fork
  example crawl -t 4 $site/hang $site/one.html $site/sub/two.html
  [ "$status" = 1 ]
  contains "$output" "$site/hang	failed: TaskTimeout: visit has taken longer than 4.0 s"
  contains "$output" "$site/sub/three.html	200	"
  [ "$(grep -c 'failed: ' <<< "$output"):${#lines[@]}" = 1:6 ] || complain "$output"
}

@test "crawl: usage" {
  example crawl
  has_library
  [ "$status" = 1 ]
  contains "$stderr" usage
  example crawl here
  [ "$status" = 1 ]
  contains "$stderr" 'not the URL of a page: here'
}

@test "sleepers: many tasks wait at the same time" {
  example sleepers 2000 0.1
  prints '2000 tasks have slept for 0.1 s each'
}

needs_sockets() {
  lfut -e 'require "socket"' 2> missing || skip 'there is no LuaSocket'
}

@test "port_scan: which ports answer" {
  needs_sockets
  lfut -e 'local s = require "socket".bind("127.0.0.1", 0)
    print((select(2, s:getsockname()))); io.stdout:flush()
    require "lfut".sleep(1e6)' > port &
  local server=$!
  until [ -s port ]; do :; done
  local port
  read -r port < port
  example port_scan "$port" "$port"
  kill $server
  prints "port $port is open" '1 of 1 ports are open'
  example port_scan "$port" x
  [ "$status" = 1 ]
}

@test "http_pages: pages, some at a time" {
  needs_sockets
  command -v python3 > /dev/null || skip 'there is no python3'
  mkdir pages
  for i in {1..500}; do echo "$i" > pages/$i; done
  python3 -u -m http.server 0 --bind 127.0.0.1 --directory pages \
    > port 2> log &
  local server=$!
  until grep -q port port; do :; done
  local port
  port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' port)
  seq -f "http://127.0.0.1:$port/%.0f" 500 > urls
  echo "http://127.0.0.1:$port/none" >> urls
  example http_pages 4 < urls
  kill $server
  prints "http://127.0.0.1:$port/none: 404" "500 of 501 pages, $(cat pages/* | wc -c) bytes"
  example http_pages 2 http://127.0.0.1:1/
  prints 'http://127.0.0.1:1/: connection refused' '0 of 1 pages, 0 bytes'
}

@test "echo_server: with many clients, alone and together" {
  needs_sockets
  example echo_server both 50 20
  prints '50 clients have had 1000 answers'
  [[ $stderr =~ ^[0-9]+' a second'$ ]]
  lfut "$srcdir/scripts/examples/echo_server.lua" serve 0 > port &
  local server=$!
  until [ -s port ]; do :; done
  example echo_server load "$(grep -o '[0-9]*$' port)" 10 5
  kill $server
  prints '10 clients have had 50 answers'
}

@test "pipeline: words are counted on their way" {
  printf 'one two\n\n three  four five \n' > text
  example pipeline text text
  prints '10 words in 6 lines'
  example pipeline /none
  [ "$status" = 1 ]
}

@test "commands: what they write comes in order" {
  printf 'echo %d; sleep 0\n' {1..20} > list
  example commands 5 < list
  prints {1..20}
  printf 'echo a\nexit 3\nkill $$\n' > list
  example commands < list
  [ "$status" = 1 ]
  [ "$output" = a ]
  contains "$stderr" 'exit 3: status 3'
  contains "$stderr" 'kill $$: SIGTERM'
  contains "$stderr" '2 of 3 commands have failed'
}

@test "loop: in the loops of other libraries" {
  for library in luv cqueues; do
    lfut -e "require '$library'" 2> missing || continue
    example loop $library
    prints "$library: the sum of the squares is 385"
  done
  example loop none
  [ "$status" = 1 ]
}

# The examples in the manual: each block of Lua is a script whose output is what
# follows its "-->". One that does not require the module has the two lines in
# front that the manual says, here on its first line. "sleeps" behind the name
# of the language: the order of the output is as sure as sleeping is, so any
# will do.
blocks() {
  awk '
    /^```lua/ { name = sprintf("block%03d%s", ++n, $2); inside = 1; next }
    /^```/ { inside = 0 }
    inside { print > name }
  ' "$1"
}

run_block() {
  local prelude=''
  grep -q 'require "lfut"' "$1" || prelude='local lfut = require "lfut"
    local exe <close> = lfut.ThreadPoolExecutor(4) '
  printf '%s' "${prelude//$'\n'/ }" | cat - "$1" > script.lua
  lfut script.lua
}

# Words apart by one space; the output may stand behind an empty line.
plain() {
  tr -s '\t ' ' ' | sed 's/^ //; s/ $//' | case $1 in
    *sleeps) tr ' ' '\n' | sort ;;
    *) cat ;;
  esac
}

check_manual() {
  blocks "$srcdir/$1"
  for block in block*; do
    want=$(sed -n 's/.*-->//p' "$block" | plain "$block")
    run --separate-stderr run_block "$block"
    [ "$status" = 0 ] || complain "$1: $stderr" "$(cat "$block")"
    [ "$(plain "$block" <<< "$output")" = "$want" ] ||
      complain "$1:" "$(cat "$block")" "prints:" "$output"
  done
}

@test "the examples in the README" {
  needs_cluster
  check_manual README.md
}

@test "the examples in the API reference" {
  needs_cluster
  check_manual docs/api.md
}

@test "the examples in the guide" {
  needs_signals
  check_manual docs/guide.md
}

@test "the examples of what travels" {
  check_manual docs/transfer.md
}

@test "the examples for those who know Python" {
  check_manual docs/python.md
}

@test "the examples of what to choose" {
  check_manual docs/choosing.md
}

@test "the examples of native tasks" {
  [ "${LFUT_SANITIZER:-no}" != address ] || skip "a sanitizer's malloc is not free's"
  check_manual docs/native.md
}

# Those with a cluster make one of their own.
needs_cluster() {
  command -v redis-server > /dev/null || skip 'there is no redis-server'
  [[ $(lfut cluster 2>&1) != *'without hiredis'* ]] || skip 'built without hiredis'
  unset LFUT_CLUSTER
}

@test "cluster_pi: the seed decides, not the number of workers" {
  needs_cluster
  example montecarlo 7 20
  local want=$output
  for workers in 1 2 4; do
    LFUT_WORKERS=$workers example cluster_pi 20 7
    prints "$want"
    [ "$stderr" = "$(hostname): 20 batches" ] || complain "$stderr"
  done
  example cluster_pi 20 8
  [ "$status" = 0 ]
  [ "$output" != "$want" ]
  example cluster_pi none
  [ "$status" = 1 ]
}

@test "cluster_wordcount: what other tools count, in several pieces" {
  needs_cluster
  export LC_ALL=C
  printf 'The quick brown fox.\nthe lazy dog; THE end\n' > one
  seq 200000 | sed 's/[05]$/ five and ten/; s/7/ seven/g' > 'two two'
  : > -none
  [ "$(wc -c < 'two two')" -gt 1048576 ]
  want=$(cat one 'two two' | tr -cs A-Za-z '\n' | tr A-Z a-z | sort | uniq -c |
    sort -k1,1nr -k2 | awk '
      NR <= 10 { printf "%9d %s\n", $1, $2 }
      { total += $1 }
      END { printf "%d words, %d different\n", total, NR }')
  for workers in 1 4; do
    LFUT_WORKERS=$workers example cluster_wordcount one 'two two' -none
    prints "$want"
  done
  example cluster_wordcount "$PWD/one" absent
  [ "$status:$output" = 1: ]
  contains "$stderr" "cannot read '$PWD/absent': No such file or directory"
  example cluster_wordcount
  [ "$status" = 1 ]
  contains "$stderr" usage
}

@test "cluster_crawl: each page once, those that are near first" {
  needs_cluster
  make_site
  serve
  local site=http://127.0.0.1:$port size
  size=$(wc -c < index.html)
  example cluster_crawl -t 60 $site/
  has_library
  [ "$status" = 0 ] || complain "$stderr"
  [ "$(sed 's/\(gone.html	404\).*/\1/' <<< "$output")" = "$site/	200	$size bytes	Start
$site/one.html	200	$(wc -c < one.html) bytes	One
$site/sub/two.html	200	$(wc -c < sub/two.html) bytes	Two
$site/gone.html	404
$site/index.html	200	$size bytes	Start
$site/sub/three.html	200	$(wc -c < sub/three.html) bytes	" ] || complain "$output"
  example cluster_crawl -n 1 $site/one.html
  prints "$site/one.html	200	$(wc -c < one.html) bytes	One"
  example cluster_crawl http://127.0.0.1:1/
  [ "$status:$output" = '1:http://127.0.0.1:1/	failed: connection refused' ] ||
    complain "$output"
  example cluster_crawl -t 0.1 $site/hang $site/endless
  [ "$status" = 1 ]
  [ "$output" = "$site/hang	failed: TaskTimeout: visit has taken longer than 0.1 s
$site/endless	failed: TaskTimeout: visit has taken longer than 0.1 s" ] || complain "$output"
  example cluster_crawl
  [ "$status" = 1 ]
  contains "$stderr" usage
}

@test "the examples of clusters" {
  needs_cluster
  check_manual docs/cluster.md
}
