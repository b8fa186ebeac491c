// Parses what stands between an instruction's word and its operands.
#include "wasm/text/instruction_parser.h"

#include <bit>

#include "wasm/text/binary_codes.h"
#include "wasm/text/lanes.h"
#include "wasm/text/number.h"

namespace rotor::wasm::text {

void InstructionParser::plain(const Instruction& instruction, ByteWriter& out) {
  switch (instruction.op) {
    case Opcode::Select: cursor_.next(); return select(out);
    case Opcode::RefTest:
    case Opcode::RefCast: cursor_.next(); return ref_test(instruction.op, out);
    default: break;
  }
  cursor_.next();
  out.opcode(std::to_underlying(instruction.op));
  immediates(instruction, out);
}

void InstructionParser::immediates(const Instruction& instruction, ByteWriter& out) {
  using Kind = ImmediateKind;
  auto index = [&](Space space) { out.u32(state_.index(space)); };
  Kind kind = instruction.immediate;
  switch (kind) {
    case Kind::none: return;
    case Kind::fence: return out.u8(0);
    case Kind::label: return label(out);
    case Kind::br_table: return label_table(out);
    case Kind::br_on_cast: return br_on_cast(out);
    case Kind::func: return index(Space::func);
    case Kind::global: return index(Space::global);
    case Kind::tag: return index(Space::tag);
    case Kind::type: return index(Space::type);
    case Kind::elem: return index(Space::elem);
    case Kind::table: return out.u32(state_.index_or(Space::table, 0));
    case Kind::memory: return out.u32(state_.index_or(Space::memory, 0));
    case Kind::local: return out.u32(state_.index(locals_ ? *locals_ : no_locals_, "local"));
    case Kind::data: state_.needs_data_count = true; return index(Space::data);
    case Kind::heap_type: return types_.heap_type(out);
    case Kind::call_indirect: return call_indirect(out);
    case Kind::table_init: return two_indices(Space::table, Space::elem, true, true, out);
    case Kind::memory_init: data_instruction(); return two_indices(Space::memory, Space::data, true, true, out);
    case Kind::table_copy: return copy(Space::table, out);
    case Kind::memory_copy: return copy(Space::memory, out);
    case Kind::type_type: return two_indices(Space::type, Space::type, false, false, out);
    case Kind::type_elem: return two_indices(Space::type, Space::elem, false, false, out);
    case Kind::type_data: data_instruction(); return two_indices(Space::type, Space::data, false, false, out);
    case Kind::type_count: index(Space::type); return out.u64(cursor_.expect_natural(UINT32_MAX, "i32"));
    case Kind::type_field: return field(out);
    case Kind::i32: return integer(32, out);
    case Kind::i64: return integer(64, out);
    case Kind::f32: return number_f32(out);
    case Kind::f64: return number_f64(out);
    case Kind::v128: return vector(out);
    case Kind::lane2:
    case Kind::lane4:
    case Kind::lane8:
    case Kind::lane16: return lane(out);
    case Kind::shuffle: return shuffle(out);
    case Kind::mem0:
    case Kind::mem1:
    case Kind::mem2:
    case Kind::mem3:
    case Kind::mem4: return memory_access(std::to_underlying(kind) - std::to_underlying(Kind::mem0), false, out);
    case Kind::mem0_lane16:
    case Kind::mem1_lane8:
    case Kind::mem2_lane4:
    case Kind::mem3_lane2:
      return memory_access(std::to_underlying(kind) - std::to_underlying(Kind::mem0_lane16), true, out);
    // These have parsers of their own: plain() and block_header().
    case Kind::block:
    case Kind::try_table:
    case Kind::select_types: return;
  }
}

// ---- control ------------------------------------------------------------------------------------------------------

uint32_t InstructionParser::block_header(const Instruction& instruction, ByteWriter& out) {
  cursor_.next();
  uint32_t id_token = take_label();
  out.opcode(std::to_underlying(instruction.op));
  block_type(out);
  if (instruction.op == Opcode::TryTable) catch_clauses(out);
  return id_token;
}

void InstructionParser::block_type(ByteWriter& out) {
  uint32_t begin = cursor_.offset();
  TypeUse use = types_.type_use(nullptr, nullptr);
  if (use.has_type || use.params > 0 || use.results > 1) return out.s64(types_.resolve(use, begin));
  if (use.results == 1) {
    out.bytes(types_.single_result());
  } else {
    out.u8(kEmptyBlock);
  }
}

void InstructionParser::catch_clauses(ByteWriter& out) {
  uint32_t count = 0;
  ByteWriter clauses;
  for (bool found = true; found; count += found) {
    found = false;
    for (const CatchClause& clause : kCatchClauses) {
      if (found || !cursor_.take_open(clause.word)) continue;
      found = true;
      clauses.u8(static_cast<uint8_t>(&clause - kCatchClauses));
      if (clause.has_tag) clauses.u32(state_.index(Space::tag));
      label(clauses);
      cursor_.expect_close();
    }
  }
  out.u32(count);
  out.bytes(clauses.view());
}

void InstructionParser::label(ByteWriter& out) {
  if (!cursor_.at(TokenKind::id)) return out.u64(cursor_.expect_natural(UINT32_MAX, "i32"));
  uint32_t begin = cursor_.offset();
  std::string_view name = cursor_.id_name(cursor_.next());
  auto found = label_of_.find(name);
  if (found == label_of_.end()) return cursor_.fail(begin, "unknown label " + show_id(name));
  out.u64(labels_.size() - 1 - found->second);
}

void InstructionParser::label_table(ByteWriter& out) {
  ByteWriter labels;
  uint32_t count = 0;
  do {
    label(labels);
    ++count;
  } while (cursor_.at_index());
  out.u32(count - 1);
  out.bytes(labels.view());
}

void InstructionParser::call_indirect(ByteWriter& out) {
  uint32_t table = state_.index_or(Space::table, 0);
  uint32_t begin = cursor_.offset();
  TypeUse use = types_.type_use(nullptr, nullptr);
  out.u32(types_.resolve(use, begin));
  out.u32(table);
}

void InstructionParser::select(ByteWriter& out) {
  bool has_types = cursor_.at_open("result");
  if (!has_types) return out.opcode(std::to_underlying(Opcode::Select));
  uint32_t count = 0;
  ByteWriter types;
  while (cursor_.take_open("result")) {
    for (; !cursor_.at(TokenKind::close) && !cursor_.failed(); ++count) types_.value_type(types);
    cursor_.expect_close();
  }
  out.opcode(std::to_underlying(Opcode::SelectT));
  out.u32(count);
  out.bytes(types.view());
}

// ---- references ---------------------------------------------------------------------------------------------------

void InstructionParser::ref_test(Opcode op, ByteWriter& out) {
  ByteWriter heap;
  if (types_.ref_type_parts(heap)) op = op == Opcode::RefTest ? Opcode::RefTestNull : Opcode::RefCastNull;
  out.opcode(std::to_underlying(op));
  out.bytes(heap.view());
}

void InstructionParser::br_on_cast(ByteWriter& out) {
  ByteWriter target, from, to;
  label(target);
  bool from_nullable = types_.ref_type_parts(from);
  bool to_nullable = types_.ref_type_parts(to);
  out.u8(static_cast<uint8_t>((from_nullable ? 1 : 0) | (to_nullable ? 2 : 0)));
  for (const ByteWriter* part : {&target, &from, &to}) out.bytes(part->view());
}

void InstructionParser::field(ByteWriter& out) {
  uint32_t type = state_.index(Space::type);
  out.u32(type);
  auto names = state_.fields.find(type);
  out.u32(state_.index(names == state_.fields.end() ? no_locals_ : names->second, "field"));
}

// ---- indices ------------------------------------------------------------------------------------------------------

void InstructionParser::two_indices(Space first, Space second, bool first_is_optional, bool second_goes_first,
                                    ByteWriter& out) {
  TokenKind after = cursor_.peek(1).kind;
  bool is_alone = cursor_.at_index() && after != TokenKind::natural && after != TokenKind::id;
  uint32_t a = first_is_optional && is_alone ? 0 : state_.index(first);
  uint32_t b = state_.index(second);
  out.u32(second_goes_first ? b : a);
  out.u32(second_goes_first ? a : b);
}

void InstructionParser::copy(Space space, ByteWriter& out) {
  bool is_written = cursor_.at_index();
  for (int i = 0; i < 2; ++i) out.u32(is_written ? state_.index(space) : 0);
}

// ---- memory -------------------------------------------------------------------------------------------------------

std::optional<uint64_t> InstructionParser::memory_argument(std::string_view prefix) {
  if (!cursor_.at(TokenKind::keyword)) return std::nullopt;
  std::string_view word = cursor_.text(cursor_.peek());
  if (!word.starts_with(prefix)) return std::nullopt;
  word.remove_prefix(prefix.size());
  if (number_form(word) != NumberForm::natural) {
    cursor_.unexpected("a number");
    return std::nullopt;
  }
  auto value = parse_natural(word, UINT64_MAX);
  if (!value) cursor_.fail(cursor_.offset(), std::string(prefix.substr(0, prefix.size() - 1)) + " out of range");
  cursor_.next();
  return value;
}

void InstructionParser::memory_access(uint32_t natural_align_log2, bool has_lane, ByteWriter& out) {
  uint32_t memory = 0;
  // Where two numbers follow, the first is the memory; a single one is the lane.
  if (cursor_.at_index()) {
    TokenKind after = cursor_.peek(1).kind;
    bool is_lane =
        has_lane && cursor_.at(TokenKind::natural) && after != TokenKind::natural && after != TokenKind::keyword;
    if (after == TokenKind::keyword && has_lane && cursor_.at(TokenKind::natural)) {
      std::string_view word = cursor_.text(cursor_.peek(1));
      is_lane = !word.starts_with("offset=") && !word.starts_with("align=");
    }
    if (!is_lane) memory = state_.index(Space::memory);
  }
  uint64_t offset = memory_argument("offset=").value_or(0);
  uint32_t align_at = cursor_.offset();
  uint32_t align_log2 = natural_align_log2;
  if (auto align = memory_argument("align=")) {
    if (!std::has_single_bit(*align)) return cursor_.fail(align_at, "alignment must be a power of two");
    align_log2 = static_cast<uint32_t>(std::countr_zero(*align));
  }
  // Alignments that the flag can't hold are as wrong as the largest it can.
  align_log2 = std::min(align_log2, kHasMemory - 1);
  out.u32(align_log2 | (memory != 0 ? kHasMemory : 0));
  if (memory != 0) out.u32(memory);
  out.u64(offset);
  if (has_lane) lane(out);
}

// ---- numbers and vectors ------------------------------------------------------------------------------------------

void InstructionParser::integer(unsigned bits, ByteWriter& out) {
  if (!cursor_.at(TokenKind::natural) && !cursor_.at(TokenKind::integer)) return cursor_.unexpected("an integer");
  auto value = parse_integer(cursor_.text(cursor_.peek()), bits);
  if (!value) return cursor_.fail(cursor_.offset(), "constant out of range");
  cursor_.next();
  if (bits == 32) {
    out.s32(static_cast<int32_t>(*value));
  } else {
    out.s64(static_cast<int64_t>(*value));
  }
}

void InstructionParser::number_f32(ByteWriter& out) { out.fixed(read_lane(cursor_, LaneShape::f32x4).value_or(0), 4); }
void InstructionParser::number_f64(ByteWriter& out) { out.fixed(read_lane(cursor_, LaneShape::f64x2).value_or(0), 8); }

void InstructionParser::lane(ByteWriter& out) { out.u8(static_cast<uint8_t>(cursor_.expect_natural(0xff, "i8"))); }

void InstructionParser::data_instruction() {
  // Only code needs the data count ahead, since it precedes the data section; constant expressions do without.
  if (in_function_) state_.needs_data_count = true;
}

void InstructionParser::shuffle(ByteWriter& out) {
  constexpr unsigned kLanes = 16;
  if (!expect_numbers(cursor_, kLanes, "invalid lane length: i8x16.shuffle takes 16 lanes")) return;
  for (unsigned i = 0; i < kLanes; ++i) {
    if (!cursor_.at(TokenKind::natural)) return cursor_.fail(cursor_.offset(), "i8 constant out of range");
    lane(out);
  }
}

void InstructionParser::vector(ByteWriter& out) {
  auto shape = take_lane_shape(cursor_);
  if (!shape) return;
  unsigned lanes = lane_count(*shape);
  if (!expect_numbers(cursor_, lanes, "wrong number of lane literals")) return;
  for (unsigned i = 0; i < lanes; ++i)
    if (auto bits = read_lane(cursor_, *shape)) out.fixed(*bits, 16 / lanes);
}

}  // namespace rotor::wasm::text
