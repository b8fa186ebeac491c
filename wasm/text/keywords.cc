#include "wasm/text/keywords.h"

#include <algorithm>
#include <array>
#include <span>

namespace rotor::wasm::text {
namespace {

constexpr Instruction kInstructions[] = {
#define ROTOR_OP(code, Name, text, immediate, signature, feature) {text, Opcode::Name, ImmediateKind::immediate},
#include "wasm/opcodes.def"
};
constexpr size_t kInstructionCount = std::size(kInstructions);

constexpr uint32_t hash(std::string_view word) {
  uint32_t value = 2166136261u;  // FNV-1a
  for (char c : word) value = (value ^ static_cast<uint8_t>(c)) * 16777619u;
  return value ^ value >> 15;
}

/// The hash table uses open addressing at a load below a half; an entry is 1 + the index of the row, or 0 if it is
/// empty.
constexpr size_t kSlots = 2048;
static_assert(kInstructionCount * 2 < kSlots);
constexpr std::array<uint16_t, kSlots> kTable = [] {
  std::array<uint16_t, kSlots> table{};
  for (size_t row = 0; row < kInstructionCount; ++row) {
    size_t slot = hash(kInstructions[row].text) % kSlots;
    while (table[slot] != 0 && kInstructions[table[slot] - 1].text != kInstructions[row].text)
      slot = (slot + 1) % kSlots;
    if (table[slot] == 0) table[slot] = static_cast<uint16_t>(row + 1);
  }
  return table;
}();

/// The keywords of everything but instructions and types, sorted.
constexpr std::string_view kWords[] = {
    "after",
    "array",
    "assert_exception",
    "assert_exhaustion",
    "assert_invalid",
    "assert_invalid_custom",
    "assert_malformed",
    "assert_malformed_custom",
    "assert_return",
    "assert_trap",
    "assert_unlinkable",
    "before",
    "binary",
    "catch",
    "catch_all",
    "catch_all_ref",
    "catch_ref",
    "data",
    "declare",
    "definition",
    "either",
    "elem",
    "export",
    "f32x4",
    "f64x2",
    "field",
    "final",
    "first",
    "func",
    "get",
    "global",
    "i16x8",
    "i32x4",
    "i64x2",
    "i8x16",
    "import",
    "input",
    "instance",
    "invoke",
    "item",
    "last",
    "local",
    "memory",
    "module",
    "mut",
    "nan:arithmetic",
    "nan:canonical",
    "null",
    "offset",
    "output",
    "pagesize",
    "param",
    "quote",
    "rec",
    "ref",
    "ref.any",
    "ref.array",
    "ref.eq",
    "ref.exn",
    "ref.extern",
    "ref.host",
    "ref.i31",
    "ref.struct",
    "register",
    "result",
    "script",
    "shared",
    "start",
    "struct",
    "sub",
    "table",
    "tag",
    "then",
    "thread",
    "type",
    "wait",
};
static_assert(std::ranges::is_sorted(kWords));

/// Returns the slot of an opcode's row: first those of one byte, then those of each prefix.
constexpr uint32_t kFirstPrefix = 0xfb, kPrefixes = 4, kSubOpcodes = 0x120;
constexpr uint32_t opcode_slot(uint32_t code) {
  if (code <= 0xff) return code;
  uint32_t shift = code <= 0xffff ? 8 : 12;
  uint32_t prefix = (code >> shift) - kFirstPrefix, sub = code & ((1u << shift) - 1);
  // Opcodes that the table has no room for share the slot of the bare prefix 0xfb, which is no instruction.
  return prefix < kPrefixes && sub < kSubOpcodes ? 0x100 + prefix * kSubOpcodes + sub : kFirstPrefix;
}
constexpr auto kRowOfOpcode = [] {
  std::array<uint16_t, 0x100 + kPrefixes * kSubOpcodes> rows{};
  for (size_t row = 0; row < kInstructionCount; ++row)
    rows[opcode_slot(static_cast<uint32_t>(kInstructions[row].op))] = static_cast<uint16_t>(row + 1);
  return rows;
}();
static_assert(kRowOfOpcode[kFirstPrefix] == 0, "an opcode is beyond kSubOpcodes");

struct NumberWord {
  std::string_view word;
  uint8_t code;
};
constexpr NumberWord kNumberTypes[] = {{"i32", 0x7f}, {"i64", 0x7e}, {"f32", 0x7d}, {"f64", 0x7c}, {"v128", 0x7b}};
constexpr NumberWord kPackedTypes[] = {{"i8", 0x78}, {"i16", 0x77}};

uint8_t code_of(std::span<const NumberWord> list, std::string_view word) {
  for (const NumberWord& type : list)
    if (type.word == word) return type.code;
  return 0;
}
std::string_view word_of(std::span<const NumberWord> list, uint8_t code) {
  for (const NumberWord& type : list)
    if (type.code == code) return type.word;
  return {};
}

struct TypeWord {
  std::string_view heap;    ///< the abstract heap type
  std::string_view short_;  ///< of `(ref null heap)`
  uint8_t code;
};
constexpr TypeWord kHeapTypes[] = {
    {"func", "funcref", 0x70},       {"extern", "externref", 0x6f},
    {"any", "anyref", 0x6e},         {"eq", "eqref", 0x6d},
    {"i31", "i31ref", 0x6c},         {"struct", "structref", 0x6b},
    {"array", "arrayref", 0x6a},     {"exn", "exnref", 0x69},
    {"none", "nullref", 0x71},       {"noextern", "nullexternref", 0x72},
    {"nofunc", "nullfuncref", 0x73}, {"noexn", "nullexnref", 0x74},
};

}  // namespace

const Instruction* find_instruction(std::string_view word) {
  for (size_t slot = hash(word) % kSlots; kTable[slot] != 0; slot = (slot + 1) % kSlots) {
    const Instruction& row = kInstructions[kTable[slot] - 1];
    if (row.text == word) return &row;
  }
  return nullptr;
}

const Instruction* find_instruction(Opcode op) {
  uint16_t row = kRowOfOpcode[opcode_slot(static_cast<uint32_t>(op))];
  return row == 0 ? nullptr : &kInstructions[row - 1];
}

bool is_known_word(std::string_view word) {
  return std::ranges::binary_search(kWords, word) || find_instruction(word) != nullptr || number_type_code(word) != 0 ||
         packed_type_code(word) != 0 || heap_type_code(word) != 0 || ref_shorthand_code(word) != 0;
}

uint8_t number_type_code(std::string_view word) { return code_of(kNumberTypes, word); }
uint8_t packed_type_code(std::string_view word) { return code_of(kPackedTypes, word); }
std::string_view number_type_word(uint8_t code) { return word_of(kNumberTypes, code); }
std::string_view packed_type_word(uint8_t code) { return word_of(kPackedTypes, code); }

uint8_t heap_type_code(std::string_view word) {
  for (const TypeWord& type : kHeapTypes)
    if (type.heap == word) return type.code;
  return 0;
}

uint8_t ref_shorthand_code(std::string_view word) {
  for (const TypeWord& type : kHeapTypes)
    if (type.short_ == word) return type.code;
  return 0;
}

std::string_view heap_type_word(uint8_t code) {
  for (const TypeWord& type : kHeapTypes)
    if (type.code == code) return type.heap;
  return {};
}

std::string_view ref_shorthand_word(uint8_t code) {
  for (const TypeWord& type : kHeapTypes)
    if (type.code == code) return type.short_;
  return {};
}

}  // namespace rotor::wasm::text
