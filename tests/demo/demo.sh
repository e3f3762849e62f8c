#!/usr/bin/env bash
# The main job of progress-tracker on real images: thumbnails of 200 JPEG and PNG files, three of
# them broken. The tool is killed with SIGKILL half-way and started again with the same line; then
# what it promises about that is checked and shown.
#
#   tests/demo/demo.sh [BUILD_DIRECTORY]     default: build/ beside tests/
#
# Everything it makes is below one new directory under TMPDIR, which is kept. Exits non-zero if
# anything is not as promised. Needs ImageMagick and sqlite3.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tool=${1:-$here/../../build}/src/cli/progress-tracker

splits=(train valid test)
declare -A good_in=([train]=138 [valid]=40 [test]=19)
broken=(train/empty.jpg train/text.png valid/cut.png)
good=197
total=$((good + ${#broken[@]}))
half=$((good / 2))

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'demo: NOT AS PROMISED: %s\n' "$*" >&2
  exit 1
}
expect() { # WHAT EXPECTED SEEN
  [ "$2" = "$3" ] || fail "$1: expected $2, saw $3"
  printf 'ok  %s: %s\n' "$1" "$3"
}

# ImageMagick's own program. `convert` comes last, since other programs have that name too.
find_imagemagick() {
  local name found
  for name in magick convert-im7.q16 convert-im6.q16 /usr/bin/convert convert; do
    found=$(command -v "$name") || continue
    if [[ $("$found" -version 2>/dev/null) == 'Version: ImageMagick'* ]]; then
      printf '%s\n' "$found"
      return
    fi
  done
  fail "ImageMagick is not installed (Debian's package imagemagick)"
}

query() { sqlite3 -readonly "$database" "$1"; }

# One of the job's counts, as `status --json` has it; nothing while there is no job yet.
count_of() {
  "$tool" status thumbnails --db "$database" --json 2>/dev/null |
    sed -n 's/^{[^{]*"'"$1"'":\([0-9]*\).*/\1/p' || true
}

# The processes that work on the demo's photos.
# shellcheck disable=SC2062  # a pattern of files, and no pattern to look for
workers() { grep -lzF --file=- /proc/[0-9]*/cmdline 2>/dev/null <<<"$photos/" || true; }

[ -x "$tool" ] || fail "$tool: not built"
imagemagick=$(find_imagemagick)
command -v sqlite3 >/dev/null || fail "sqlite3 is not installed"

home=$(mktemp -d "${TMPDIR:-/tmp}/progress-tracker-demo-XXXXXX")
database=$home/progress.db
photos=$home/photos
thumbnails=$home/thumbnails
printf 'Everything is in %s\n' "$home"

tool_process=
end_tool() { [ -z "$tool_process" ] || kill -KILL "$tool_process" 2>/dev/null || true; }
trap end_tool EXIT

say "Making $total images in ${splits[*]}, ${#broken[@]} of them broken"
mkdir -p "$thumbnails"
seed=0
for split in "${splits[@]}"; do
  # One call for all of a split: each image a plasma of its own, every fourth one a PNG.
  mkdir -p "$photos/$split"
  words=()
  for ((i = 0; i < good_in[$split]; i++)); do
    extension=jpg
    ((i % 4)) || extension=png
    file=$photos/$split/$split-$(printf '%03d' "$i").$extension
    words+=('(' -seed $((++seed)) -size 96x72 plasma:fractal -scale '512x384!')
    words+=(+write "$file" +delete ')')
  done
  "$imagemagick" "${words[@]}" xc: null:
done
: >"$photos/${broken[0]}"
printf 'this is a text, not a picture\n' >"$photos/${broken[1]}"
head -c 2000 "$photos/valid/valid-000.png" >"$photos/${broken[2]}"
expect 'files made' "$total" "$(find "$photos" -type f | wc -l)"
expect 'of them different' "$total" \
  "$(find "$photos" -type f -exec sha256sum {} + | cut -d' ' -f1 | sort -u | wc -l)"

# The line that is run twice. The blur makes an image take long enough for a half-way to exist.
export MAGICK_THREAD_LIMIT=1
run=("$tool" run --job thumbnails --images "$photos" --db "$database" -j 4 --
  "$imagemagick" '{}' -blur 0x2 -resize 160x120 "$thumbnails/{/.}.jpg")
say 'Running'
printf '%q ' "${run[@]}"
printf '\n'

"${run[@]}" 2>"$home/first-run.log" &
tool_process=$!
until completed=$(count_of completed) && [ "${completed:-0}" -ge "$half" ]; do
  kill -0 "$tool_process" 2>/dev/null ||
    fail "the first run ended before it was half-way: $(cat "$home/first-run.log")"
  sleep 0.1
done
say "Killing it with SIGKILL after $completed images"
kill -KILL "$tool_process"
{ wait "$tool_process" || status=$?; } 2>/dev/null
tool_process=
expect 'exit status of the first run' 137 "$status"

for ((tries = 0; tries < 500; tries++)); do
  left=$(workers)
  [ -z "$left" ] && break
  sleep 0.01
done
expect 'its commands still running' none "${left:-none}"

query "SELECT path FROM images WHERE status = 'completed' ORDER BY id" >"$home/done-at-kill"
query "SELECT path FROM images WHERE status = 'processing' ORDER BY id" >"$home/in-work-at-kill"
done_at_kill=$(wc -l <"$home/done-at-kill")
in_work_at_kill=$(wc -l <"$home/in-work-at-kill")
printf '%s completed, %s in work, of %s\n' "$done_at_kill" "$in_work_at_kill" "$total"
[ "$done_at_kill" -lt "$good" ] || fail 'nothing was left to do after the kill'
[ "$in_work_at_kill" -gt 0 ] || fail 'no image was in work at the kill'

say 'Running the same line again'
status=0
"${run[@]}" || status=$?
expect 'exit status, since images are in error' 1 "$status"

say 'What became of the images'
expect 'images recorded' "$total" "$(query 'SELECT count(*) FROM images')"
expect 'good ones completed, each counted once' "$good" \
  "$(query "SELECT count(DISTINCT path) FROM images WHERE status = 'completed'")"
expect 'completed, by the counts' "$good" "$(query 'SELECT sum(completed) FROM progress')"
expect 'completed, by status --json' "$good" "$(count_of completed)"
expect 'thumbnails that are images' "$good" \
  "$("$imagemagick" "$thumbnails"/*.jpg -format '%w %h\n' -write info: null: 2>/dev/null |
    grep -c '^160 120$')"
query 'SELECT path FROM images WHERE attempts = 2 ORDER BY id' >"$home/attempted-twice"
cmp -s "$home/in-work-at-kill" "$home/attempted-twice" ||
  fail 'not exactly the images in work at the kill were started again'
expect 'started again, exactly those in work at the kill' "$in_work_at_kill" \
  "$(wc -l <"$home/attempted-twice")"
expect 'most attempts of any image' 2 "$(query 'SELECT max(attempts) FROM images')"
expect 'commands still running' none "$(workers | grep . || echo none)"

say 'The broken ones'
expect 'images in error' "$(printf '%s\n' "${broken[@]}" | sort | xargs)" \
  "$(query "SELECT path FROM images WHERE status = 'error'" | sed "s|^$photos/||" | sort | xargs)"
expect 'of them without an error text' 0 \
  "$(query "SELECT count(*) FROM images WHERE status = 'error' AND length(error_message) < 20")"
query "SELECT path || char(10) || '    ' || error_message FROM images WHERE status = 'error'"

say 'progress-tracker status thumbnails'
"$tool" status thumbnails --db "$database"

say 'progress-tracker errors thumbnails'
"$tool" errors thumbnails --db "$database"

say "progress-tracker report thumbnails -o $home/report.html"
"$tool" report thumbnails --db "$database" -o "$home/report.html"
expect 'a page about it' '<!DOCTYPE html>' "$(head -n 1 "$home/report.html")"

say "As promised. Everything is still in $home"
