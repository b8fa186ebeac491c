// The words of the text format: instructions, found by the rows of opcodes.def, and all others.
#pragma once

#include <cstdint>
#include <string_view>

#include "wasm/opcodes.h"

namespace rotor::wasm::text {

/// What follows an instruction's word: the immediate kinds of opcodes.def.
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

/// The instruction of a word; of several with one word (`select`, `ref.test`) the first row. nullptr: none.
const Instruction* find_instruction(std::string_view word);

/// The row of an opcode; nullptr: none.
const Instruction* find_instruction(Opcode op);

/// Whether the format has this keyword at all: others are "unknown operator", wherever they stand.
bool is_known_word(std::string_view word);

/// A value type or shorthand in one word: its byte in the binary; 0: not one.
uint8_t number_type_code(std::string_view word);    ///< i32 i64 f32 f64 v128
uint8_t packed_type_code(std::string_view word);    ///< i8 i16
uint8_t heap_type_code(std::string_view word);      ///< func extern any …
uint8_t ref_shorthand_code(std::string_view word);  ///< funcref externref anyref …

/// The word of such a code; empty: it is none of them.
std::string_view number_type_word(uint8_t code);
std::string_view packed_type_word(uint8_t code);
std::string_view heap_type_word(uint8_t code);
std::string_view ref_shorthand_word(uint8_t code);

}  // namespace rotor::wasm::text
