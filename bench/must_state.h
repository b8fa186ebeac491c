// What a benchmark does with an error; programs without a State have bench/must.h.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <type_traits>
#include <utility>

#include "rotor/result.h"

namespace rotor::bench {

/// Returns what a benchmark needs, or makes the benchmark report the error and ends the program.
template <class T>
T must(benchmark::State& state, Result<T> result) {
  if (!result) {
    state.SkipWithError(result.error().to_string().c_str());
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace rotor::bench
