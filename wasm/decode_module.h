// Bytes to a Module: sections, in one pass. Bodies are only delimited here; decode_body.h reads them.
#pragma once

#include <span>

#include "rotor/config.h"
#include "rotor/result.h"
#include "wasm/decode_options.h"
#include "wasm/module.h"

namespace rotor::wasm {

/// Decodes everything but function bodies and validates all of it (spec section 3.4): types, indices, limits,
/// constant expressions, segments, exports, start.
/// Errors: malformed, invalid, unsupported (naming the feature), limit; each with a byte offset.
Result<Module> decode_module(std::span<const uint8_t> bytes, const DecodeOptions& options);

/// Decodes and validates every body (with EmptySink). Errors as above, of the first bad function.
Result<void> validate_bodies(const Module& module, std::span<const uint8_t> bytes, const Features& features);

/// The functions that some bodies name in their calls, in the order of the calls; those that can't be reached are not
/// among them.
struct DirectCalls {
  std::vector<uint32_t> targets;  ///< function indices
  std::vector<uint32_t> ends;     ///< for each body the end of its targets
};
/// The same of defined functions [first, last). Adds to `calls`, if it is there.
Result<void> validate_bodies(const Module& module, std::span<const uint8_t> bytes, const Features& features,
                             uint32_t first, uint32_t last, DirectCalls* calls = nullptr);

/// Names of the features a module uses, bodies included (`used_features` of the module covers its sections only).
uint32_t features_of_bodies(const Module& module, std::span<const uint8_t> bytes, const Features& features);

}  // namespace rotor::wasm
