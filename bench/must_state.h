// What a benchmark does with an error; programs without a State have bench/must.h.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <utility>

#include "rotor/result.h"

namespace rotor::bench {

/// Returns what a benchmark needs, or makes the benchmark report the error and ends the program.
template <class T>
T must(benchmark::State& state, Result<T> result) {
  if (!result) {
    const std::string error = result.error().to_string();
    state.SkipWithError(error.c_str());
    // The benchmark library would tell it only once the program goes on.
    std::fprintf(stderr, "%s\n", error.c_str());
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace rotor::bench
