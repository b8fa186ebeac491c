// The words of the text format: instructions, found by the rows of opcodes.def, and all others.
#pragma once

#include <cstdint>
#include <string_view>

#include "wasm/opcodes.h"

namespace rotor::wasm::text {

/// The kinds of immediates that follow an instruction's word, as in opcodes.def.
enum class ImmediateKind : uint8_t {
  none,
  block,
  br_on_cast,
  br_table,
  call_indirect,
  data,
  elem,
  f32,
  f64,
  fence,
  func,
  global,
  heap_type,
  i32,
  i64,
  label,
  lane2,
  lane4,
  lane8,
  lane16,
  local,
  mem0,
  mem1,
  mem2,
  mem3,
  mem4,
  mem0_lane16,
  mem1_lane8,
  mem2_lane4,
  mem3_lane2,
  memory,
  memory_copy,
  memory_init,
  select_types,
  shuffle,
  table,
  table_copy,
  table_init,
  tag,
  try_table,
  type,
  type_count,
  type_data,
  type_elem,
  type_field,
  type_type,
  v128,
};

struct Instruction {
  std::string_view text;
  Opcode op;
  ImmediateKind immediate;
};

/// Returns the instruction of a word, or nullptr. Where several have one word (`select`, `ref.test`) it is the first
/// row.
const Instruction* find_instruction(std::string_view word);

/// Returns the row of an opcode, or nullptr.
const Instruction* find_instruction(Opcode op);

/// Returns whether the format has this keyword at all: others are "unknown operator", wherever they stand.
bool is_known_word(std::string_view word);

/// Return the binary's byte for a type or shorthand that is one word; 0 if the word is not of that family.
uint8_t number_type_code(std::string_view word);    ///< i32 i64 f32 f64 v128
uint8_t packed_type_code(std::string_view word);    ///< i8 i16
uint8_t heap_type_code(std::string_view word);      ///< func extern any …
uint8_t ref_shorthand_code(std::string_view word);  ///< funcref externref anyref …

/// Return the word of such a byte; empty if it is not of that family.
std::string_view number_type_word(uint8_t code);
std::string_view packed_type_word(uint8_t code);
std::string_view heap_type_word(uint8_t code);
std::string_view ref_shorthand_word(uint8_t code);

}  // namespace rotor::wasm::text
