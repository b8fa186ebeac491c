#include "wasm/body_reader.h"

#include <string>

#include "wasm/local_declarations.h"

namespace rotor::wasm {

bool BodyReader::locals(std::vector<ValType>& locals) {
  return read_local_declarations<ValType>(
      *this, locals.size(), [&](ValType& type) { return read_value_type(*this, scope(), type); },
      [&](uint64_t total, ValType type) { locals.resize(total, type); });
}

bool BodyReader::other_block_type(BlockSignature& out) {
  uint64_t start = offset();
  uint8_t first = peek();
  if (first == 0x70 || first == 0x6f) {
    used_ |= feature_bit(Feature::reference_types);
    out = single_result(first == 0x70 ? 4 : 5);
    return skip(1);
  }
  if (first == 0x7b) {
    ValType type;
    out = single_result(6);
    return read_value_type(*this, scope(), type);
  }
  // A byte 0x40..0x7f is a value type by its form; anything else is a type index, written as a signed integer.
  if ((first & 0xc0) == 0x40) {
    ValType type;
    if (!read_value_type(*this, scope(), type)) return false;
    if (!type.is_ref()) return fail(Message::malformed_block_type, start);
    const ValType& kept = *block_types_.insert(type).first;
    out = {.params_data = nullptr, .params_count = 0, .results_data = &kept, .results_count = 1};
    return true;
  }
  int64_t index = 0;
  if (!s33(index)) return false;
  if (index < 0) return fail(Message::malformed_block_type, start);
  if (static_cast<uint64_t>(index) >= module_.types.size()) {
    return fail_index(Message::unknown_type, start, static_cast<uint64_t>(index));
  }
  used_ |= feature_bit(Feature::multi_value);
  if (!module_.is_func_type(TypeIndex(static_cast<uint32_t>(index))))
    return fail_kind(start, static_cast<uint32_t>(index), "function");
  const FuncType& type = module_.func_type(TypeIndex(static_cast<uint32_t>(index)));
  out = {.params_data = type.params.data(),
         .params_count = static_cast<uint32_t>(type.params.size()),
         .results_data = type.results.data(),
         .results_count = static_cast<uint32_t>(type.results.size())};
  return true;
}

bool BodyReader::mem_arg(uint32_t natural_log2, bool exact, MemArg& out) {
  constexpr uint32_t kHasMemoryIndex = 0x40;
  uint64_t start = offset();
  uint32_t flags = 0, memory = 0;
  if (!u32(flags)) return false;
  if (flags >= 2 * kHasMemoryIndex) return fail(Message::malformed_memop_flags, start);
  if ((flags & kHasMemoryIndex) && (!use<Feature::multi_memory>() || !u32(memory))) return false;
  out.memory = MemoryIndex(memory);
  out.align_log2 = flags & ~kHasMemoryIndex;
  if (!u64(out.offset)) return false;
  if (memory >= module_.memories.size()) return fail_index(Message::unknown_memory, instr_offset_, memory);
  if (exact ? out.align_log2 != natural_log2 : out.align_log2 > natural_log2) {
    return fail(exact ? Message::alignment_not_natural : Message::alignment_too_large, instr_offset_);
  }
  if (out.offset > UINT32_MAX && !module_.memories[memory].is64)
    return fail(Message::offset_out_of_range, instr_offset_);
  return true;
}

bool BodyReader::memory_index(MemoryIndex& out) {
  uint32_t number = 0;
  if (!index(number, module_.memories.size(), Message::unknown_memory)) return false;
  out = MemoryIndex(number);
  return true;
}

bool BodyReader::table_index(TableIndex& out) {
  uint32_t number = 0;
  if (!index(number, module_.tables.size(), Message::unknown_table)) return false;
  if (number != 0) used_ |= feature_bit(Feature::reference_types);
  out = TableIndex(number);
  return true;
}

bool BodyReader::func_index(FuncIndex& out) {
  uint32_t number = 0;
  if (!index(number, module_.funcs.size(), Message::unknown_function)) return false;
  out = FuncIndex(number);
  return true;
}

bool BodyReader::func_type_index(TypeIndex& out) { return composite<FuncType>(out, "function") != nullptr; }

bool BodyReader::fail_kind(uint64_t start, uint32_t type, const char* wanted) {
  return fail_detail(Message::type_mismatch, start, "type " + std::to_string(type) + " is no " + wanted + " type");
}

const FieldType* BodyReader::field(const StructType& type, uint32_t& number) {
  return index(number, type.fields.size(), Message::unknown_field) ? &type.fields[number] : nullptr;
}

bool BodyReader::global_index(GlobalIndex& out) {
  uint32_t number = 0;
  if (!index(number, module_.globals.size(), Message::unknown_global)) return false;
  out = GlobalIndex(number);
  return true;
}

bool BodyReader::tag_index(TagIndex& out) {
  uint32_t number = 0;
  if (!index(number, module_.tags.size(), Message::unknown_tag)) return false;
  out = TagIndex(number);
  return true;
}

bool BodyReader::data_index(DataIndex& out) {
  // Bodies come before the data section: without a count one pass could not check the index (spec 5.5.16).
  if (!module_.data_count) return fail(Message::data_count_required, instr_offset_);
  uint32_t number = 0;
  if (!u32(number)) return false;
  out = DataIndex(number);
  return true;
}

bool BodyReader::known(DataIndex segment) {
  if (raw(segment) < *module_.data_count) return true;
  return fail_index(Message::unknown_data_segment, instr_offset_, raw(segment));
}

bool BodyReader::elem_index(ElemIndex& out) {
  uint32_t number = 0;
  if (!u32(number)) return false;
  out = ElemIndex(number);
  return true;
}

bool BodyReader::known(ElemIndex segment) {
  if (raw(segment) < module_.elements.size()) return true;
  return fail_index(Message::unknown_elem_segment, instr_offset_, raw(segment));
}

bool BodyReader::select_type(ValType& out) {
  uint64_t start = offset();
  uint32_t count = 0;
  if (!this->count(count)) return false;
  if (count != 1) return fail(Message::invalid_result_arity, start);
  return read_value_type(*this, scope(), out);
}

bool BodyReader::ref_null_type(ValType& out) {
  HeapType heap = HeapType::Abstract::func;
  if (!read_heap_type(*this, scope(), heap)) return false;
  out = ValType::ref(heap, /*nullable=*/true);
  return true;
}

bool BodyReader::lane_index(uint32_t lanes, uint8_t& out) {
  if (!u8(out)) return false;
  return out < lanes || fail(Message::invalid_lane_index, instr_offset_);
}

bool BodyReader::shuffle_lanes(std::array<uint8_t, 16>& out) {
  for (uint8_t& lane : out)
    if (!lane_index(32, lane)) return false;
  return true;
}

bool BodyReader::zero_byte() {
  uint64_t start = offset();
  uint8_t byte = 0;
  if (!u8(byte)) return false;
  if (byte != 0) return fail(Message::zero_byte_expected, start);
  return true;
}

}  // namespace rotor::wasm
