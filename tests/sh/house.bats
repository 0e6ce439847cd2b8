# SPDX-License-Identifier: MIT
# The rules of the house (docs/internals.md), as far as grep can see them.

source "$srcdir/tests/helpers.sh"

# The layers: a file includes and calls what is in its own folder, and in the
# folders before it; of the runtime's, the bindings may use all.
layers=(runtime/{base,os,trace,shm,sync,cdecl,task,native,pool,process,cluster}
  bindings/{engine,core,pack,run,sync,native,worker,pool,process,cluster,program})

setup() {
  cd "$srcdir" || return
  shopt -s nullglob
  built=${LFUT_BUILDDIR:-.}
  sources=({runtime,bindings}/*/*.[ch] plugins/*.[ch] tests/c/*.[ch] \
    tests/c/*/*.[ch] tests/plugins/*.[ch])
}

# includes: "file header", of ours.
includes() {
  grep -HoE '^ *# *include "(runtime|bindings)/[^"]*"' {runtime,bindings}/*/*.[ch] |
    sed -E 's/:.*"(.*)"/ \1/'
}

# objects: of our sources, as the build has made them for the program.
objects() {
  local file name
  for file in {runtime,bindings}/*/*.c; do
    name=${file##*/} name=${name%.c}
    set -- "$built/${file%/*}"/{.libs/*_la-,lfut-*}"$name".o
    echo "$1" "$file"
  done
}

# symbols: "file letter name", of our objects; asked for once.
symbols() {
  local known=$BATS_FILE_TMPDIR/symbols
  [ -e "$known" ] || awk '
    NR == FNR { file[$1] = $2; next }
    { object = $1; sub(/:[^:]*$/, "", object); print file[object], $(NF - 1), $NF }
  ' <(objects) <(nm -A $(objects | cut -d ' ' -f 1)) > "$known"
  cat "$known"
}

# calls: "file other name": the one refers to the name, the other defines it.
calls() {
  symbols | awk '
    $2 ~ /[TDBRVC]/ { defined[$3] = $1 }
    $2 ~ /[UwW]/ { used[$1 " " $3] }
    END {
      for (use in used) {
        split(use, part, " ")
        if (part[2] in defined && defined[part[2]] != part[1])
          print part[1], defined[part[2]], part[2]
      }
    }'
}

# against_layers: of lines "file other ...", those that go against the layers.
against_layers() {
  awk -v layers="${layers[*]}" '
    BEGIN {
      count = split(layers, order, " ")
      for (i = 1; i <= count; i++)
        rank[order[i]] = i
    }
    function folder(path) {
      sub("/[^/]*$", "", path)
      return path
    }
    !(folder($1) in rank) { print $1 ": in no layer" }
    rank[folder($2)] > rank[folder($1)]'
}

@test "the runtime knows neither Lua nor the bindings" {
  run grep -nE '# *include.*(lua|lauxlib|lualib|bindings)' runtime/*/*.[ch]
  [ "$output" = '' ]
}

@test "only the bindings know Lua" {
  run grep -lE '# *include *[<"](lua|lauxlib|lualib)' "${sources[@]}"
  for file in $output; do
    [[ $file == bindings/* ]] || complain "includes Lua: $file"
  done
}

@test "files include what is in their layer and the layers before it" {
  run against_layers < <(includes)
  [ "$output" = '' ] || complain "$output"
}

@test "files call what is in their layer and the layers before it" {
  [ "$(objects | cut -d ' ' -f 1 | xargs ls | wc -l)" -gt 100 ]
  run against_layers < <(calls)
  [ "$output" = '' ] || complain "$output"
}

@test "no files of the runtime call each other in a circle" {
  run tsort < <(calls | grep '^runtime' | cut -d ' ' -f 1,2)
  [ "$status" = 0 ] || complain "$output"
}

# What a file defines, and is not its own, is in its header (bytecode_54.c's is
# bytecode.h) or in its folder's internal.h, which others do not include (but for
# back ends, which are a part of the pool that they are for).
@test "a file declares what it defines in a header of its own" {
  run awk '
    NR == FNR { declared[$1 " " $2]; next }
    {
      header = folder = $1
      sub(/(_[0-9][0-9])?\.c$/, ".h", header)
      sub("[^/]*$", "", folder)
    }
    !((header " " $3) in declared) && !((folder "internal.h " $3) in declared) {
      print $3 ": not in " header
    }' <(grep -oHE '\blf[A-Za-z0-9_]*' {runtime,bindings}/*/*.h | tr ':' ' ') \
    <(symbols | grep ' [TDBRC] lf')
  [ "$output" = '' ] || complain "$output"
}

@test "a folder's internal.h is its own" {
  local file header
  while read -r file header; do
    [[ $header != */internal.h || ${file%/*} = "${header%/*}" ||
      $file:$header = runtime/@(process|cluster)/*:runtime/pool/internal.h ]] ||
      complain "$file includes $header"
  done < <(includes)
}

# --- docs/internals.md, and a page for each folder ---

pages=(docs/internals.md docs/internals/*.md)

# page FOLDER: what tells of it.
page() {
  echo "docs/internals/${1/\//-}.md"
}

# files FOLDER: the names of its sources, without endings.
files() {
  ls "$1"/*.[ch] | sed 's:.*/::; s/\.[ch]$//' | sort -u
}

# described PAGE: the names in the first column of its table of files.
described() {
  sed -n '/^| file |/,/^$/ s/^| \(`[^|]*`\) |.*/\1/p' "$1" | grep -o '`[a-z_0-9]*`' |
    tr -d '`' | sort -u
}

@test "each folder has its page, which the map leads to, with its files" {
  local folder file
  for folder in "${layers[@]}"; do
    file=$(page "$folder")
    grep -qF "(${file#docs/})" docs/internals.md || complain "not in the map: $file"
    run diff <(files "$folder") <(described "$file")
    [ "$output" = '' ] || complain "$file: $output"
  done
  [ "$(ls docs/internals/*.md | wc -l)" = ${#layers[@]} ]
}

# named: "page name", of sources by their ending, or by the folder they are in.
named() {
  grep -HoE '[a-zA-Z_/0-9.-]*[a-zA-Z_0-9]\.(c|h|lua|pml|bats|md)\b|\b(runtime|bindings)/[a-z_/]*' \
    "${pages[@]}" | tr ':' ' '
}

@test "the pages name files that are there" {
  local file name own
  while read -r file name; do
    own=${file#docs/internals/} own=${own%.md} own=${own/-//}
    [ -e "$name" ] || [ -e "$own/$name" ] || [ -e "${file%/*}/$name" ] ||
      complain "no such file: $name: $file"
  done < <(named)
}

# identifiers FILE...: those with a prefix of ours.
identifiers() {
  grep -ohE '\b(lfb?|LFB?)_[A-Za-z0-9_]*[A-Za-z0-9]\b' "$@" | sort -u
}

@test "the pages name what the sources have" {
  run comm -23 <(identifiers "${pages[@]}") \
    <(identifiers {runtime,bindings}/*/*.[ch])
  [ "$output" = '' ] || complain "no such name: $output"
}

# A walk's lines: a file, and what happens there.
@test "a walk names functions where they are" {
  local file path name
  while read -r file path name; do
    grep -qw "$name" "$path" || complain "not in $path: $name: $file"
  done < <(grep -HoE '^    (runtime|bindings)/[a-z_/0-9]*\.[ch] +[a-z_0-9]+' "${pages[@]}" |
    sed 's/: */ /')
}

# anchors FILE: what its headings are called in links.
anchors() {
  grep '^#' "$1" | sed 's/^#* //; s/[^A-Za-z0-9 _-]//g; s/ /-/g' | tr A-Z a-z
}

# links: "file target anchor", of all documents.
links() {
  grep -oE '\]\([^)]*\)' {,docs/,docs/internals/,bench/,tests/}*.md |
    grep -v '](http' | sed -E 's/:\]\(([^#]*)#?(.*)\)$/ \1 \2/; s/  / . /'
}

@test "links in documents lead to something" {
  local file target anchor
  while read -r file target anchor; do
    [ "$target" = . ] && target=$file || target=$(dirname "$file")/$target
    [ -e "$target" ] || complain "no such file: $target: $file"
    [ "$anchor" = '' ] || anchors "$target" | grep -qxF "$anchor" ||
      complain "no such heading: $target#$anchor: $file"
  done < <(links)
}

@test "every file says its licence" {
  run grep -L SPDX-License-Identifier "${sources[@]}" scripts/*.lua \
    tests/*.sh tests/lua/*.lua tests/sh/*.bats bootstrap
  [ "$output" = '' ] || complain "no licence: $output"
}

@test "no function is longer than 70 lines" {
  run awk '
    FNR == 1 { inside = 0 }
    !inside && /^[^ \t}#\/*]/ { head = FNR }
    !inside && /\) \{$/ { inside = 1; start = head }
    inside && /^}/ {
      inside = 0
      if (FNR - start + 1 > 70)
        printf "%s:%d: %d lines\n", FILENAME, start, FNR - start + 1
    }' "${sources[@]}"
  [ "$output" = '' ] || complain "$output"
}

# Else the locks have no common order, and two forks may wait for each other.
@test "who cares for forks does so by base/atfork.h" {
  run grep -l 'pthread_atfork(' {runtime,bindings}/*/*.c
  [ "$output" = runtime/base/atfork.c ] || complain "$output"
}

# Tests meet at gates. They may let something sleep for ever (1e6) or for no
# time (0), or have sleeping itself as their subject.
@test "no test waits by sleeping" {
  run grep -nE 'sleep[ (,]+[0-9.]' tests/c/*/*.c tests/lua/*.lua \
    tests/sh/*.bats tests/*.sh
  allowed='sleep[ (,]+(0|1e6)[^0-9.]|^tests/lua/helpers.lua|: *example sleep'
  run grep -vE "$allowed" <<< "$output"
  [ "$output" = '' ] || complain "$output"
}
