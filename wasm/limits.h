// Implementation limits (spec appendix A.1): those that browsers agreed on for the JavaScript API, so that a module
// which runs there runs here, and a few of our own that keep a small hostile module from taking much memory.
#pragma once

#include <cstdint>

namespace rotor::wasm {

inline constexpr uint64_t kMaxModuleBytes = uint64_t{1} << 30;
inline constexpr uint32_t kMaxTypes = 1'000'000;
inline constexpr uint32_t kMaxFunctions = 1'000'000;
inline constexpr uint32_t kMaxImports = 1'000'000;
inline constexpr uint32_t kMaxExports = 1'000'000;
inline constexpr uint32_t kMaxGlobals = 1'000'000;
inline constexpr uint32_t kMaxTables = 100'000;
inline constexpr uint32_t kMaxTags = 1'000'000;
inline constexpr uint32_t kMaxMemories = 100;
inline constexpr uint32_t kMaxDataSegments = 100'000;
inline constexpr uint32_t kMaxElemSegments = 10'000'000;
inline constexpr uint32_t kMaxElemSegmentItems = 10'000'000;
inline constexpr uint32_t kMaxStringBytes = 100'000;
inline constexpr uint32_t kMaxFunctionBytes = 7'654'321;
inline constexpr uint32_t kMaxLocals = 50'000;
inline constexpr uint32_t kMaxParams = 1'000;
inline constexpr uint32_t kMaxResults = 1'000;
inline constexpr uint32_t kMaxStructFields = 10'000;
inline constexpr uint32_t kMaxFixedElements = 10'000;  ///< operands of array.new_fixed
inline constexpr uint32_t kMaxSubtypingDepth = 63;
inline constexpr uint32_t kMaxBrTableTargets = 65'520;
/// Elements that a table can have when it is made. A larger one validates (the suite has one of 2^32-1), but cannot be
/// instantiated.
inline constexpr uint32_t kMaxTableElements = 10'000'000;

/// Pages that a memory can have (these are the spec's): of 64 KiB each, or of one byte. A 64-bit memory can have any
/// number of the latter.
inline constexpr uint64_t kMaxMemory32Pages = 65'536;
inline constexpr uint64_t kMaxMemory64Pages = uint64_t{1} << 48;
inline constexpr uint64_t kMaxMemory32BytePages = UINT32_MAX;

/// Clauses of one try_table, as in V8.
inline constexpr uint32_t kMaxCatches = 100'000;

// Rotor's own limits. A call takes two bytes and can push 1,000 operands: without a bound, one body could ask for
// gigabytes.
inline constexpr uint32_t kMaxOperands = 1'000'000;
inline constexpr uint32_t kMaxNesting = 100'000;
inline constexpr uint32_t kMaxConstInstructions = 1'000'000;

}  // namespace rotor::wasm
