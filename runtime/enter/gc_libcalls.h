// What compiled code calls for objects of the heap (code/libcalls.def).
#pragma once

#include <cstdint>

#include "code/abi.h"

namespace rotor::runtime {

uint64_t gc_new(code::Context* context, uint32_t type);
uint64_t gc_new_array(code::Context* context, uint32_t type, uint32_t length);
uint64_t gc_new_data(code::Context* context, uint32_t type, uint32_t segment, uint32_t offset, uint32_t length);
uint64_t gc_new_elem(code::Context* context, uint32_t type, uint32_t segment, uint32_t offset, uint32_t length);
void gc_fill(code::Context* context, uint32_t log2, uint64_t array, uint32_t index, uint64_t low, uint64_t high,
             uint32_t size);
void gc_copy(code::Context* context, uint32_t log2, uint64_t to, uint32_t to_index, uint64_t from, uint32_t from_index,
             uint32_t size);
int32_t gc_init_data(code::Context* context, uint32_t log2, uint32_t segment, uint64_t array, uint32_t index,
                     uint32_t offset, uint32_t size);
int32_t gc_init_elem(code::Context* context, uint32_t log2, uint32_t segment, uint64_t array, uint32_t index,
                     uint32_t offset, uint32_t size);
int32_t gc_is_subtype(code::Context* context, uint32_t type, uint64_t ref);
uint32_t gc_function_number(code::Context* context, uint64_t function);
uint64_t any_convert_extern(code::Context* context, uint64_t bits);
uint64_t extern_convert_any(code::Context* context, uint64_t ref);

}  // namespace rotor::runtime
