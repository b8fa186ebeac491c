// Validation of a whole module on several threads.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "rotor/config.h"
#include "rotor/result.h"
#include "wasm/decode_module.h"

namespace rotor::runtime {

/// Who calls whom by name: for each defined function, in runs of kRun functions.
struct CallGraph {
  static constexpr uint32_t kRun = 128;  ///< functions that one thread validates at a time: some 0.5 ms
  std::vector<wasm::DirectCalls> runs;

  /// Returns function indices, imported ones among them; empty if nothing is known.
  std::span<const uint32_t> calls_of(uint32_t defined_func) const {
    if (runs.empty()) return {};
    const wasm::DirectCalls& run = runs[defined_func / kRun];
    uint32_t at = defined_func % kRun;
    uint32_t begin = at ? run.ends[at - 1] : 0;
    return std::span(run.targets).subspan(begin, run.ends[at] - begin);
  }
};

/// Decodes and validates every body, on as many threads as `config` allows; `meanwhile` is other work that one of the
/// threads does once, beside that. Errors: that of the first bad function.
Result<CallGraph> validate_in_parallel(const wasm::Module& module, std::span<const uint8_t> bytes, const Config& config,
                                       const std::function<void()>& meanwhile);

}  // namespace rotor::runtime
