#include "jit/abi.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <span>

namespace rotor::jit {

namespace {
constexpr uint32_t align16(uint32_t v) { return (v + 15) & ~15u; }
}  // namespace

ContextLayout::ContextLayout(const wasm::Module& module) {
  uint32_t at = sizeof(Context);
  auto place = [&](size_t count, size_t size) {
    at = align16(at);
    uint32_t begin = at;
    at += static_cast<uint32_t>(count * size);
    return begin;
  };
  memories = place(module.memories.size(), sizeof(ContextMemory));
  tables = place(module.tables.size(), sizeof(TableDef*));
  imported_globals = place(module.imported_globals, sizeof(GlobalCell*));
  globals = place(module.globals.size() - module.imported_globals, sizeof(GlobalCell));
  imported_funcs = place(module.imported_funcs, sizeof(FuncRef));
  size_t defined = module.funcs.size() - module.imported_funcs;
  func_ref_slot.assign(defined, UINT32_MAX);
  uint32_t refs = 0;
  for (size_t i = 0; i < defined; ++i)
    if (module.declared_funcs[i + module.imported_funcs]) func_ref_slot[i] = refs++;
  func_refs = place(refs, sizeof(FuncRef));
  size_bytes = align16(at);
}

uint32_t ContextLayout::func_ref(const wasm::Module& module, uint32_t func_index) const {
  if (func_index < module.imported_funcs) return imported_func(func_index);
  uint32_t slot = func_ref_slot[func_index - module.imported_funcs];
  assert(slot != UINT32_MAX && "the function was not declared as a reference");
  return func_refs + slot * uint32_t{sizeof(FuncRef)};
}

RunPageLayout::RunPageLayout(const wasm::Module& module) {
  auto defined = static_cast<uint32_t>(module.funcs.size() - module.imported_funcs);
  libcalls = 0;
  lazy_entry = libcalls + kLibcallCount * 8;
  types = lazy_entry + 8;
  slots = types + static_cast<uint32_t>(module.types.size()) * 8;
  counters = slots + defined * 8;
  tail_call = (counters + defined * 4 + 7) / 8 * 8;
  size_bytes = tail_call + 8;
}

std::vector<uint8_t> Stubs::code(uint32_t defined_funcs, const RunPageLayout& run_page, uint64_t run_page_offset) {
  constexpr uint8_t kJmpMemory[] = {0xff, 0x25};
  constexpr uint8_t kCall[] = {0xe8};
  std::vector<uint8_t> text(stub(defined_funcs), 0xcc);
  // An instruction that ends in a distance from its end.
  auto put = [&](uint32_t at, std::span<const uint8_t> opcode, uint64_t target) {
    std::memcpy(&text[at], opcode.data(), opcode.size());
    auto end = at + static_cast<uint32_t>(opcode.size()) + 4;
    auto distance = static_cast<int32_t>(static_cast<int64_t>(target) - end);
    std::memcpy(&text[end - 4], &distance, sizeof distance);
  };
  put(0, kJmpMemory, run_page_offset + run_page.lazy_entry);
  for (uint32_t i = 0; i < defined_funcs; ++i) {
    put(stub(i), kJmpMemory, run_page_offset + run_page.slot(i));
    put(lazy(i), kCall, 0);
  }
  return text;
}

}  // namespace rotor::jit
