#!/usr/bin/env bash
# All tests: scripts/test.sh [dev|asan|tsan …], all three without an argument. At the end stands how long each part took,
# in minutes and seconds (`dev build 18:30`), then what failed or was skipped. The last line is
# `N passed, N failed, N skipped`, over all of them. Exit 0 only if none failed; with CI=true a skip that
# scripts/allowed_skips.txt does not name is a failure too.
#
# Reads   ROTOR_SPEC_SUITE  the WebAssembly spec suite, laid out as docs/building.md says
#         ROTOR_WASI_SUITE  the tests of WASI preview 1, as docs/building.md says
#         ROTOR_C_API_SUITE a checkout of WebAssembly/wasm-c-api, whose examples are run
#         ROTOR_TRACES      traces of the real prover; default examples/kimchi/traces
#         ROTOR_JOBS        parallel jobs, default one a core; and what scripts/setup.sh reads
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh
rotor_setup

find_spec_suite() {
  local place
  for place in "${ROTOR_SPEC_SUITE:-}" ../shared/spec-suite "$ROTOR_CACHE/spec-suite"; do
    if [ -n "$place" ] && [ -d "$place/spec/core" ]; then
      (cd "$place" && pwd)
      return
    fi
  done
  rotor_warn "no spec suite (ROTOR_SPEC_SUITE; docs/building.md says how to get it): its tests are skipped"
}
find_wasi_suite() {
  local place archive=../shared/wasi-suite/preview1.tar.xz
  if [ -z "${ROTOR_WASI_SUITE:-}" ] && [ -f "$archive" ] && ! [ -d "$ROTOR_CACHE/wasi-suite" ]; then
    # Whole or not at all, whoever else does the same.
    place=$(mktemp -d "$ROTOR_CACHE/wasi-suite.XXXXXX")
    tar -xf "$archive" -C "$place" && mv -T "$place" "$ROTOR_CACHE/wasi-suite" 2>/dev/null || rm -rf "$place"
  fi
  for place in "${ROTOR_WASI_SUITE:-}" "$ROTOR_CACHE/wasi-suite"; do
    if [ -n "$place" ] && [ -d "$place" ]; then
      (cd "$place" && pwd)
      return
    fi
  done
  rotor_warn "no WASI suite (ROTOR_WASI_SUITE; docs/building.md says how to get it): its tests are skipped"
}
find_c_api_suite() {
  local place
  for place in "${ROTOR_C_API_SUITE:-}" "$ROTOR_CACHE/wasm-c-api"; do
    if [ -n "$place" ] && [ -d "$place/example" ]; then
      (cd "$place" && pwd)
      return
    fi
  done
  rotor_warn "no examples of the C API (ROTOR_C_API_SUITE; docs/building.md says how to get them): they are skipped"
}
ROTOR_C_API_SUITE=$(find_c_api_suite)
ROTOR_SPEC_SUITE=$(find_spec_suite)
ROTOR_WASI_SUITE=$(find_wasi_suite)
: "${ROTOR_TRACES:=$PWD/examples/kimchi/traces}"
export ROTOR_SPEC_SUITE ROTOR_WASI_SUITE ROTOR_C_API_SUITE ROTOR_TRACES

jobs=${ROTOR_JOBS:-$(nproc)}
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-3G}
presets=("$@")
[ $# -gt 0 ] || presets=(dev asan tsan)

# ThreadSanitizer of g++ 12 can't place its shadow under the address randomisation of newer kernels.
runner() {
  if [ "$1" = tsan ] && [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ] &&
    setarch "$(uname -m)" -R true 2>/dev/null; then
    shift
    setarch "$(uname -m)" -R "$@"
  else
    shift
    "$@"
  fi
}

# took PART: notes the time since the part before it ended, or since the script began.
times=()
part_began=0
took() {
  local seconds=$((SECONDS - part_began))
  times+=("$(printf '%s %d:%02d' "$1" $((seconds / 60)) $((seconds % 60)))")
  part_began=$SECONDS
}

# Configures and builds. Returns non-zero if that failed.
build() {
  local log="$ROTOR_CACHE/configure-$1.log"
  local node=()
  # The addon is Node's to load, which has no sanitizer.
  [ "$1" = dev ] && [ -n "$NODE_API_HEADER" ] && node=(-DROTOR_NODE=ON -DROTOR_NODE_HEADERS="$(dirname "$NODE_API_HEADER")")
  cmake --preset "$1" -DROTOR_SPEC_SUITE="$ROTOR_SPEC_SUITE" -DROTOR_WASI_SUITE="$ROTOR_WASI_SUITE" "${node[@]}" >"$log" 2>&1 || { cat "$log"; return 1; }
  cmake --build --preset "$1" --parallel "$jobs" -- --quiet
}

took setup
results=()
failed=0
for preset in "${presets[@]}"; do
  result="$PWD/build/$preset/results.xml"
  results+=("$preset=$result")
  rm -f "$result"
  printf '== %s: build\n' "$preset"
  built=true
  build "$preset" || built=false
  took "$preset build"
  if ! $built; then
    failed=1
    continue
  fi
  printf '== %s: test\n' "$preset"
  runner "$preset" ctest --preset "$preset" --parallel "$jobs" --output-junit "$result" || failed=1
  took "$preset test"
done
printf '%s\n' "${times[@]}"
python3 scripts/test_summary.py --allowed scripts/allowed_skips.txt "${results[@]}" || failed=1
exit $failed
