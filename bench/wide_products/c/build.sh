#!/usr/bin/env bash
# Builds two modules for each way to write a product, one of the programs beside it and one of shapes.c: needs clang-22
# and lld-22.
#
#   build.sh wasm [FOLDER]     FOLDER/{NAME,NAME-shapes}.wasm, by default those that are committed
#   build.sh native FOLDER     FOLDER/{NAME,NAME-shapes}.so, for this processor
#
# -O1 where a factor is cut by hand: at -O2 clang 22 itself recognises rows, cross and digits, and on wasm32 makes a call
# of __multi3 of them. Older ones and other compilers leave them as they are written.
set -euo pipefail
cd "$(dirname "$0")"
programs=(bigint.c curve25519.c fixed.c hash.c)
common=(-std=c17 -Wall -Wextra -Werror -Wno-unused-function)

wasm() {
  local flags=("${common[@]}" --target=wasm32 -ffreestanding -nostdlib -fno-builtin
    -Wl,--no-entry -Wl,-z,stack-size=16384 -Wl,--strip-debug)
  mkdir -p "$1"
  clang-22 "${flags[@]}" -O2 -DWIDE_INT128 -o "$1/int128.wasm" "${programs[@]}" multi3.c
  clang-22 "${flags[@]}" -O2 -DWIDE_INT128 -o "$1/int128-shapes.wasm" shapes.c multi3.c
  for idiom in rows carries cross middle digits; do
    clang-22 "${flags[@]}" -O1 "-DWIDE_${idiom^^}" -o "$1/$idiom.wasm" "${programs[@]}"
    clang-22 "${flags[@]}" -O1 "-DWIDE_${idiom^^}" -o "$1/$idiom-shapes.wasm" shapes.c
  done
}

native() {
  mkdir -p "$1"
  for idiom in int128 rows carries cross middle digits; do
    local flags=("${common[@]}" -O3 -march=native -fPIC -shared "-DWIDE_${idiom^^}")
    clang-22 "${flags[@]}" -o "$1/$idiom.so" "${programs[@]}"
    clang-22 "${flags[@]}" -o "$1/$idiom-shapes.so" shapes.c
  done
}

case "${1:-}" in
  wasm) wasm "${2:-../wasm}" ;;
  native) native "${2:?which folder?}" ;;
  *) sed -n '2,6s/^# \?//p' "$0" && exit 1 ;;
esac
