#include "code/abi.h"

namespace rotor::code {

namespace {
constexpr uint32_t align16(uint32_t v) { return (v + 15) & ~15u; }
}  // namespace

std::vector<MemoryCheck> memory_checks(const wasm::Module& module, bool slab_memories) {
  std::vector<MemoryCheck> checks;
  for (uint32_t i = 0; i < module.memories.size(); ++i) {
    const MemoryType& type = module.memories[i];
    const bool fits = type.limits.max <= kMostSlabBytes >> type.page_size_log2;
    const bool on_slab = slab_memories && fits && i >= module.imported_memories && !type.shared;
    checks.push_back(on_slab ? MemoryCheck::slab : memory_check(type));
  }
  for (const wasm::Export& item : module.exports)
    if (item.kind == wasm::ExternKind::memory) checks[item.index] = memory_check(module.memories[item.index]);
  return checks;
}

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
  size_t defined = module.defined_funcs();
  func_ref_slot.assign(defined, UINT32_MAX);
  uint32_t refs = 0;
  for (size_t i = 0; i < defined; ++i)
    if (module.declared_funcs[i + module.imported_funcs]) func_ref_slot[i] = refs++;
  func_refs = place(refs, sizeof(FuncRef));
  tags = place(module.tags.size(), sizeof(void*));
  size_bytes = align16(at);
}

}  // namespace rotor::code
