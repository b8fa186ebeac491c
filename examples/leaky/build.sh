#!/usr/bin/env bash
# Builds leaky.wasm, which is committed: needs clang-22 and lld-22.
set -euo pipefail
cd "$(dirname "$0")"
clang-22 --target=wasm32 -O2 -Wall -Wextra -Werror -ffreestanding -nostdlib -fno-builtin \
  -Wl,--no-entry -Wl,-z,stack-size=16384 -Wl,--initial-memory=131072 -Wl,--export-memory -Wl,--strip-debug \
  -o leaky.wasm leaky.c
ls -l leaky.wasm | awk '{print $5 " bytes"}'
