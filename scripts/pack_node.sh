#!/usr/bin/env bash
# Packs the npm package rotor-wasm: scripts/pack_node.sh BUILD OUT. BUILD is a build folder with the addon (-DROTOR_NODE=ON),
# OUT the folder that the tarball is written to. With KIMCHI_WASM set, code of o1js's prover for any x86-64-v3 comes with it, so
# that it runs where there is no compiler; ROTOR_PACK_COMPILER=1 packs the compiler, too (some 50 MB).
set -euo pipefail
build=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
source=$(cd "$(dirname "$0")/../packages/node" && pwd)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
for item in package.json README.md index.cjs index.mjs index.d.ts index.d.mts register.cjs lib bin; do
  [ -e "$source/$item" ] && cp -r "$source/$item" "$stage/"
done
cp "$source/../../LICENSE" "$stage/"
mkdir "$stage/prebuilt"
strip --strip-unneeded -o "$stage/prebuilt/rotor.node" "$build/packages/node/prebuilt/rotor.node"
if [ -n "${ROTOR_PACK_COMPILER:-}" ]; then
  strip --strip-unneeded -o "$stage/prebuilt/librotor-compiler.so" "$build/tools/rotor/librotor-compiler.so"
fi
if [ -n "${KIMCHI_WASM:-}" ]; then
  hash=$(sha256sum "$KIMCHI_WASM" | cut -d' ' -f1)
  "$build/tools/rotor/rotor" compile "$KIMCHI_WASM" -o "$stage/prebuilt/$hash.rotor" --mode aot --cpu x86-64-v3
fi
cd "$stage"
npm pack --silent --pack-destination "$out"
