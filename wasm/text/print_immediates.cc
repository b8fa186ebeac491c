// Puts the immediates that follow an instruction's word.
#include <array>

#include "wasm/text/binary_codes.h"
#include "wasm/text/print_body.h"

namespace rotor::wasm::text {

bool BodyPrinter::immediates(const Instruction& row) {
  using Kind = ImmediateKind;
  switch (row.immediate) {
    case Kind::none: return true;
    case Kind::fence: return zero_byte();
    case Kind::label: return label();
    case Kind::br_table: return label_table();
    case Kind::br_on_cast: return br_on_cast();
    case Kind::func: return index(Space::func);
    case Kind::global: return index(Space::global);
    case Kind::tag: return index(Space::tag);
    case Kind::type: return index(Space::type);
    case Kind::elem: return index(Space::elem);
    case Kind::table: return index(Space::table);
    case Kind::memory: return optional_index(Space::memory);
    case Kind::local: return local();
    case Kind::data: return data_instruction() && index(Space::data);
    case Kind::heap_type:
      if (row.op == Opcode::RefNull) return heap();
      return reference(row.op == Opcode::RefTestNull || row.op == Opcode::RefCastNull);
    case Kind::call_indirect: return call_indirect();
    case Kind::table_init: return init(Space::table, Space::elem);
    case Kind::memory_init: return (!in_function_ || data_instruction()) && init(Space::memory, Space::data);
    case Kind::table_copy: return copy(Space::table);
    case Kind::memory_copy: return copy(Space::memory);
    case Kind::type_type: return two_indices(Space::type, Space::type);
    case Kind::type_elem: return two_indices(Space::type, Space::elem);
    case Kind::type_data: return (!in_function_ || data_instruction()) && two_indices(Space::type, Space::data);
    case Kind::type_count: return index(Space::type) && count_of_operands();
    case Kind::type_field: return type_field();
    case Kind::i32: return integer(32);
    case Kind::i64: return integer(64);
    case Kind::f32: return floating(32);
    case Kind::f64: return floating(64);
    case Kind::v128: return vector();
    case Kind::lane2:
    case Kind::lane4:
    case Kind::lane8:
    case Kind::lane16: return lane();
    case Kind::shuffle: return shuffle();
    case Kind::mem0:
    case Kind::mem1:
    case Kind::mem2:
    case Kind::mem3:
    case Kind::mem4: return memory_access(std::to_underlying(row.immediate) - std::to_underlying(Kind::mem0));
    case Kind::mem0_lane16:
    case Kind::mem1_lane8:
    case Kind::mem2_lane4:
    case Kind::mem3_lane2:
      return memory_access(std::to_underlying(row.immediate) - std::to_underlying(Kind::mem0_lane16)) && lane();
    case Kind::select_types: return select_types();
    // Their immediates are read by block().
    case Kind::block:
    case Kind::try_table: return true;
  }
  return true;
}

// ---- indices ------------------------------------------------------------------------------------------------------

bool BodyPrinter::index(Space space) {
  uint32_t number = 0;
  if (!reader_.u32(number)) return false;
  state_.index(space, number);
  return true;
}

bool BodyPrinter::optional_index(Space space) {
  uint32_t number = 0;
  if (!reader_.u32(number)) return false;
  if (number != 0) state_.index(space, number);
  return true;
}

bool BodyPrinter::two_indices(Space first, Space second) { return index(first) && index(second); }

bool BodyPrinter::init(Space target, Space segment) {
  uint32_t from = 0, to = 0;
  if (!reader_.u32(from) || !reader_.u32(to)) return false;
  if (to != 0) state_.index(target, to);
  state_.index(segment, from);
  return true;
}

bool BodyPrinter::copy(Space space) {
  uint32_t to = 0, from = 0;
  if (!reader_.u32(to) || !reader_.u32(from)) return false;
  if (to == 0 && from == 0) return true;
  state_.index(space, to);
  state_.index(space, from);
  return true;
}

bool BodyPrinter::local() {
  uint32_t number = 0;
  if (!reader_.u32(number)) return false;
  out_.put(' ');
  if (number < local_names_.size() && !local_names_[number].id.empty()) {
    out_.put(local_names_[number].id);
  } else {
    out_.natural(number);
  }
  return true;
}

bool BodyPrinter::label() {
  uint32_t depth = 0;
  if (!reader_.u32(depth)) return false;
  out_.put(' ');
  size_t index = labels_.size() - 1 - depth;
  if (depth >= labels_.size()) {
    out_.natural(depth);
  } else if (std::string_view name = labels_[index].name; name.empty()) {
    out_.natural(depth);
    out_.put(" (;@");
    out_.natural(index + 1);
    out_.put(";)");
  } else if (label_of_.find(name)->second == index) {
    out_.put(id_of(name));
  } else {
    out_.natural(depth);  // a block in between has the same name
  }
  return true;
}

bool BodyPrinter::label_table() {
  uint32_t count = 0;
  if (!reader_.count(count)) return false;
  for (uint32_t i = 0; i <= count; ++i)
    if (!label()) return false;
  return true;
}

bool BodyPrinter::call_indirect() {
  uint32_t type = 0;
  if (!reader_.u32(type) || !optional_index(Space::table)) return false;
  types_.put_use(type);
  return true;
}

bool BodyPrinter::data_instruction() {
  state_.needs_data_count = true;
  state_.data_instruction_offset = instruction_offset_;
  return true;
}

// ---- references ---------------------------------------------------------------------------------------------------

bool BodyPrinter::heap() {
  int64_t heap = 0;
  if (!types_.heap_type(heap)) return false;
  types_.put_heap(heap);
  return true;
}

bool BodyPrinter::reference(bool nullable) {
  int64_t heap = 0;
  if (!types_.heap_type(heap)) return false;
  out_.put(' ');
  types_.put_ref(nullable, heap);
  return true;
}

bool BodyPrinter::br_on_cast() {
  uint64_t start = reader_.offset();
  uint8_t flags = 0;
  if (!reader_.u8(flags)) return false;
  if (flags > 3) return reader_.fail_detail(Message::illegal_opcode, start, "flags of a cast");
  return label() && reference(flags & 1) && reference(flags & 2);
}

bool BodyPrinter::type_field() {
  uint32_t type = 0, field = 0;
  if (!reader_.u32(type) || !reader_.u32(field)) return false;
  state_.index(Space::type, type);
  out_.put(' ');
  std::span<const PrintedName> names = types_.field_names(type);
  if (field < names.size() && !names[field].id.empty()) {
    out_.put(names[field].id);
  } else {
    out_.natural(field);
  }
  return true;
}

bool BodyPrinter::count_of_operands() {
  uint32_t count = 0;
  if (!reader_.u32(count)) return false;
  out_.put(' ');
  out_.natural(count);
  return true;
}

bool BodyPrinter::select_types() {
  uint32_t count = 0;
  if (!reader_.count(count)) return false;
  out_.put(" (result");
  for (uint32_t i = 0; i < count; ++i) {
    BinaryType type;
    if (!types_.value_type(type)) return false;
    out_.put(' ');
    types_.put(type);
  }
  out_.put(')');
  return true;
}

// ---- memory, numbers and vectors ----------------------------------------------------------------------------------

bool BodyPrinter::memory_access(uint32_t natural_align_log2) {
  uint64_t start = reader_.offset();
  uint32_t flags = 0, memory = 0;
  uint64_t offset = 0;
  if (!reader_.u32(flags)) return false;
  if (flags >= 2 * kHasMemory) return reader_.fail(Message::malformed_memop_flags, start);
  if (((flags & kHasMemory) && !reader_.u32(memory)) || !reader_.u64(offset)) return false;
  if (memory != 0) state_.index(Space::memory, memory);
  if (offset != 0) {
    out_.put(" offset=");
    out_.natural(offset);
  }
  uint32_t align_log2 = flags & ~kHasMemory;
  if (align_log2 != natural_align_log2) {
    out_.put(" align=");
    out_.natural(uint64_t{1} << align_log2);
  }
  return true;
}

bool BodyPrinter::integer(unsigned bits) {
  int32_t small = 0;
  int64_t value = 0;
  if (bits == 32 ? !reader_.s32(small) : !reader_.s64(value)) return false;
  out_.put(' ');
  out_.integer(bits == 32 ? small : value);
  return true;
}

bool BodyPrinter::floating(unsigned bits) {
  uint32_t small = 0;
  uint64_t value = 0;
  if (bits == 32 ? !reader_.f32_bits(small) : !reader_.f64_bits(value)) return false;
  out_.put(' ');
  if (bits == 32) {
    out_.f32(small);
  } else {
    out_.f64(value);
  }
  return true;
}

bool BodyPrinter::vector() {
  std::array<uint32_t, 4> lanes;
  for (uint32_t& lane : lanes)
    if (!reader_.word(lane)) return false;
  out_.put(" i32x4");
  for (uint32_t lane : lanes) {
    out_.put(' ');
    out_.hex(lane);
  }
  return true;
}

bool BodyPrinter::lane() {
  uint8_t number = 0;
  if (!reader_.u8(number)) return false;
  out_.put(' ');
  out_.natural(number);
  return true;
}

bool BodyPrinter::shuffle() {
  for (int i = 0; i < 16; ++i)
    if (!lane()) return false;
  return true;
}

bool BodyPrinter::zero_byte() {
  uint64_t start = reader_.offset();
  uint8_t byte = 0;
  if (!reader_.u8(byte)) return false;
  return byte == 0 || reader_.fail(Message::zero_byte_expected, start);
}

}  // namespace rotor::wasm::text
