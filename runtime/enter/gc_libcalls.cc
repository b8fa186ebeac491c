#include "runtime/enter/gc_libcalls.h"

#include <algorithm>
#include <cstring>

#include "runtime/enter/copying.h"
#include "runtime/enter/entry.h"
#include "runtime/enter/func.h"
#include "runtime/store/extern_type.h"
#include "runtime/store/gc_heap.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

namespace {

InstanceImpl& instance_of(code::Context* context) { return *static_cast<InstanceImpl*>(context->instance); }
GcHeap& heap_of(code::Context* context) { return *instance_of(context).group->gc_heap(); }
const CanonicalType& type_of(code::Context* context, uint32_t type) {
  return instance_of(context).module_impl().canonical_type(wasm::TypeIndex{type});
}

/// Returns what `make` does, or leaves the guest with its error. `frame`: the libcall's.
template <class Make>
uint64_t or_leave(const void* frame, Make make) {
  EntryRecord& record = *t_thread.top;
  void* leave_to = nullptr;
  {
    Result<uint64_t> made = make();
    if (made) [[likely]]
      return *made;
    record.host_error = std::move(made).error();
    leave_to = leave_with_error(record, reinterpret_cast<uintptr_t>(frame));
  }
  rotor_leave(leave_to);  // this frame has nothing left to clean up
}

uint8_t* element(code::Context* context, uint64_t array, uint32_t log2, uint32_t index) {
  return context->heap + array + code::kArrayElementsAt + (uint64_t{index} << log2);
}

/// Writes references of an element segment to an array's elements of 4 or 8 bytes. Pre: both are there.
void write_elements(const InstanceImpl& instance, uint32_t segment, uint64_t offset, uint32_t size, uint32_t log2,
                    uint8_t* to) {
  const ModuleImpl& module = instance.module_impl();
  const bool are_functions = engine_type(module.wasm().elements[segment].type, module.types()).is_func_ref();
  for (uint32_t i = 0; i < size; ++i) {
    uint64_t word = instance.element(segment, offset + i);
    if (are_functions) word = instance.group->gc_heap()->function_number(word);
    std::memcpy(to + (uint64_t{i} << log2), &word, size_t{1} << log2);
  }
}

}  // namespace

uint64_t gc_new(code::Context* context, uint32_t type) {
  return or_leave(__builtin_frame_address(0), [&] { return heap_of(context).new_structure(type_of(context, type)); });
}

uint64_t gc_new_array(code::Context* context, uint32_t type, uint32_t length) {
  return or_leave(__builtin_frame_address(0),
                  [&] { return heap_of(context).new_array(type_of(context, type), length); });
}

uint64_t gc_new_data(code::Context* context, uint32_t type, uint32_t segment, uint32_t offset, uint32_t length) {
  const CanonicalType& array = type_of(context, type);
  const uint32_t log2 = code::storage_log2(array.storage[0]);
  const uint64_t size = uint64_t{length} << log2;
  const uint8_t* from = instance_of(context).data_bytes(segment, offset, size);
  if (!from) return 0;
  const uint64_t made = gc_new_array(context, type, length);
  Copying copying(__builtin_frame_address(0));
  if (size) std::memcpy(element(context, made, log2, 0), from, size);
  return made;
}

uint64_t gc_new_elem(code::Context* context, uint32_t type, uint32_t segment, uint32_t offset, uint32_t length) {
  const InstanceImpl& instance = instance_of(context);
  if (!instance.has_elements(segment, offset, length)) return 0;
  const uint32_t log2 = code::storage_log2(type_of(context, type).storage[0]);
  const uint64_t made = gc_new_array(context, type, length);
  write_elements(instance, segment, offset, length, log2, element(context, made, log2, 0));
  return made;
}

void gc_fill(code::Context* context, uint32_t log2, uint64_t array, uint32_t index, uint64_t low, uint64_t high,
             uint32_t size) {
  uint8_t* to = element(context, array, log2, index);
  switch (log2) {
    case 0: std::memset(to, static_cast<uint8_t>(low), size); return;
    case 1: std::fill_n(reinterpret_cast<uint16_t*>(to), size, static_cast<uint16_t>(low)); return;
    case 2: std::fill_n(reinterpret_cast<uint32_t*>(to), size, static_cast<uint32_t>(low)); return;
    case 3: std::fill_n(reinterpret_cast<uint64_t*>(to), size, low); return;
    default: break;
  }
  for (uint32_t i = 0; i < size; ++i) {
    std::memcpy(to + uint64_t{i} * 16, &low, sizeof low);
    std::memcpy(to + uint64_t{i} * 16 + 8, &high, sizeof high);
  }
}

void gc_copy(code::Context* context, uint32_t log2, uint64_t to, uint32_t to_index, uint64_t from, uint32_t from_index,
             uint32_t size) {
  std::memmove(element(context, to, log2, to_index), element(context, from, log2, from_index), uint64_t{size} << log2);
}

int32_t gc_init_data(code::Context* context, uint32_t log2, uint32_t segment, uint64_t array, uint32_t index,
                     uint32_t offset, uint32_t size) {
  const uint64_t bytes = uint64_t{size} << log2;
  const uint8_t* from = instance_of(context).data_bytes(segment, offset, bytes);
  if (!from) return 1;
  Copying copying(__builtin_frame_address(0));
  if (bytes) std::memcpy(element(context, array, log2, index), from, bytes);
  return 0;
}

int32_t gc_init_elem(code::Context* context, uint32_t log2, uint32_t segment, uint64_t array, uint32_t index,
                     uint32_t offset, uint32_t size) {
  const InstanceImpl& instance = instance_of(context);
  if (!instance.has_elements(segment, offset, size)) return 1;
  write_elements(instance, segment, offset, size, log2, element(context, array, log2, index));
  return 0;
}

int32_t gc_is_subtype(code::Context* context, uint32_t type, uint64_t ref) {
  const CanonicalType& wanted = type_of(context, type);
  if (wanted.kind == HeapType::Kind::func)
    return ref && CanonicalType::of(reinterpret_cast<const code::FuncRef*>(ref)->type).descends_from(wanted);
  if (ref == 0 || ref % 8 != 0) return 0;
  const GcHeap& heap = heap_of(context);
  return !heap.is_box(ref) && heap.type_of(ref).descends_from(wanted);
}

uint32_t gc_function_number(code::Context* context, uint64_t function) {
  return heap_of(context).function_number(function);
}

uint64_t any_convert_extern(code::Context* context, uint64_t bits) {
  return or_leave(__builtin_frame_address(0), [&] { return heap_of(context).any_of_extern(bits); });
}

uint64_t extern_convert_any(code::Context* context, uint64_t ref) {
  return or_leave(__builtin_frame_address(0), [&] { return heap_of(context).extern_of_any(ref); });
}

}  // namespace rotor::runtime
