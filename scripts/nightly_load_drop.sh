#!/bin/bash
# A day's worth of modules: 100,000 loads and drops in each mode, after which counters, memory and mappings are what they
# were (runtime/load_drop_test.cc). nightly_load_drop.sh [BUILD FOLDER] [ROUNDS]; some 15 minutes a mode, by what 200 rounds
# take.
set -euo pipefail
cd "$(dirname "$0")/.."
ROTOR_LOAD_DROP_ROUNDS=${2:-100000} "${1:-build/release}/runtime/runtime_load_drop_test" \
  --gtest_filter='*LeavesNothingBehind/*'
