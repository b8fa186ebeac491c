#include "runtime/type_registry.h"

#include <cassert>

#include "memory/fork.h"

namespace rotor::runtime {

namespace {

/// What modules may fill; the rest of the indices is for the host's own types.
constexpr uint32_t kMaxModuleTypes = HeapType::kMaxTypeIndex - (1u << 20);

}  // namespace

uint32_t TypeRegistry::settle(uint32_t first) {
  auto count = static_cast<uint32_t>(types_.size()) - first;
  uint32_t canonical = groups_.intern(types_, {.first = first, .count = count});
  if (canonical != first) {
    types_.resize(first);
    return canonical;
  }
  for (uint32_t i = first; i < types_.size(); ++i)
    signatures_.push_back(std::make_unique<Signature>(engine_, i, std::get<FuncType>(types_[i].composite)));
  return first;
}

Result<std::vector<const Signature*>> TypeRegistry::add(const wasm::Module& module) {
  std::vector<const Signature*> added(module.types.size());
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  for (const wasm::RecGroup& group : module.rec_groups) {
    uint32_t known = raw(module.canonical_types[group.first]);
    auto first = static_cast<uint32_t>(types_.size());
    if (known == group.first) {
      if (first + group.count > kMaxModuleTypes) return fail(ErrorKind::limit, "too many types in one engine");
      for (uint32_t i = 0; i < group.count; ++i) {
        wasm::SubType& type = types_.emplace_back(module.types[group.first + i]);
        wasm::for_each_type(type.composite, [&](ValType& value) {
          if (!value.is_concrete_ref()) return;
          uint32_t index = value.heap().type_index();
          uint32_t mapped = index < group.first ? added[index]->index : first + (index - group.first);
          value = ValType::ref(HeapType::concrete(mapped), value.nullable());
        });
      }
      first = settle(first);
    }
    for (uint32_t i = 0; i < group.count; ++i)
      added[group.first + i] = known == group.first ? signatures_[first + i].get() : added[known + i];
  }
  return added;
}

const Signature& TypeRegistry::add(const FuncType& type) {
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  auto first = static_cast<uint32_t>(types_.size());
  assert(first < HeapType::kMaxTypeIndex);
  types_.emplace_back().composite = type;
  return *signatures_[settle(first)];
}

const Signature* TypeRegistry::find(uint32_t index) const {
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  return index < signatures_.size() ? signatures_[index].get() : nullptr;
}

}  // namespace rotor::runtime
