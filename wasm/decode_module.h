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

/// The callees of the direct calls in some bodies, in the order of the calls; calls in unreachable code are left out.
struct DirectCalls {
  std::vector<uint32_t> targets;  ///< function indices
  std::vector<uint32_t> ends;     ///< for each body the end of its targets
  bool uses_floats = false;       ///< BodyDecoder::uses_floats
  uint32_t used_features = 0;     ///< BodyDecoder::used_features
};
/// Decodes and validates the bodies of the defined functions [first, last) only. Appends their callees to `calls`,
/// unless it is null.
Result<void> validate_bodies(const Module& module, std::span<const uint8_t> bytes, const Features& features,
                             uint32_t first, uint32_t last, DirectCalls* calls = nullptr);

/// Returns one bit per Feature that the module's bodies use, up to the first that is invalid. (Module::used_features
/// covers the sections only.)
uint32_t features_of_bodies(const Module& module, std::span<const uint8_t> bytes, const Features& features);

}  // namespace rotor::wasm
