#!/usr/bin/env bash
# The main job, from a fresh Debian 12 on (root or sudo): installs what is missing, builds `release`, runs o1js's prover
# and its leak, and prints a table. Under 15 minutes on 2 cores. scripts/demo.py says what is run.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh
rotor_setup

printf '== build (release)\n'
log="$ROTOR_CACHE/configure-release.log"
cmake --preset release >"$log" 2>&1 || { cat "$log"; exit 1; }
cmake --build --preset release --parallel "${ROTOR_JOBS:-$(nproc)}" --target rotor_cli -- --quiet
exec python3 scripts/demo.py build/release/tools/rotor/rotor
