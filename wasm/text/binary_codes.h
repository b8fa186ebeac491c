// Codes of the binary format (spec chapter 5) that the encoder writes and the printer reads.
#pragma once

#include <cstdint>
#include <string_view>

namespace rotor::wasm::text {

// Types (section 5.3).
inline constexpr uint8_t kRef = 0x64, kRefNull = 0x63;
inline constexpr uint8_t kFunc = 0x60, kStruct = 0x5f, kArray = 0x5e;
inline constexpr uint8_t kSub = 0x50, kSubFinal = 0x4f, kRec = 0x4e;
inline constexpr uint8_t kEmptyBlock = 0x40;

// Flags of limits.
inline constexpr uint8_t kHasMax = 1, kShared = 2, kIs64 = 4, kHasPageSize = 8;

/// A flag in a memory argument's alignment: a memory index follows.
inline constexpr uint32_t kHasMemory = 0x40;

/// The bytes before the type of a table that has an initialiser.
inline constexpr uint8_t kTableInit[] = {0x40, 0x00};

// Flags of an element segment (section 5.5.12).
inline constexpr uint8_t kNotActive = 1, kExplicitTable = 2, kDeclarative = 2, kExpressions = 4;
// Kinds of a data segment (section 5.5.14).
inline constexpr uint8_t kActive = 0, kPassive = 1, kActiveWithMemory = 2;

/// Clauses of try_table, in the order of their codes.
struct CatchClause {
  std::string_view word;
  bool has_tag;
};
inline constexpr CatchClause kCatchClauses[] = {
    {"catch", true}, {"catch_ref", true}, {"catch_all", false}, {"catch_all_ref", false}};

/// Subsections of the name section (spec appendix A.4.1, and the extended name section's proposal).
enum class NameId : uint8_t { module, func, local, label, type, table, memory, global, elem, data, field, tag };

/// The custom section that holds branch hints, and the annotation that makes one.
inline constexpr std::string_view kBranchHint = "metadata.code.branch_hint";
/// The annotation of a module that has a data count section without an instruction that needs it.
inline constexpr std::string_view kDataCount = "rotor.data_count";

}  // namespace rotor::wasm::text
