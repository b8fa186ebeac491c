#include "runtime/store/type_registry.h"

#include <algorithm>

#include "memory/fork.h"
#include "wasm/keyed_hash.h"

namespace rotor::runtime {

/// A recursion group of an engine's types.
struct TypeGroup {
  uint64_t hash = 0;
  std::vector<std::unique_ptr<CanonicalType>> types;  ///< their names follow one another
  std::vector<TypeGroup*> named;                      ///< other groups that these types name, each once
  uint64_t uses = 0;                                  ///< by TypeUses, and by groups that name it
  bool for_ever = false;

  uint64_t first() const { return types.front()->name; }
};

namespace {

bool names_place(ValType type) { return type.is_concrete_ref() && type.heap().type_name() < HeapType::kFirstTypeName; }
bool names_type(ValType type) { return type.is_concrete_ref() && !names_place(type); }

/// Returns a type of a group as a candidate has it: references into the group by place.
ValType relative(ValType type, const TypeGroup& group) {
  if (!type.is_concrete_ref()) return type;
  // A name before the group's first makes this wrap to a huge place, which the check rejects.
  const uint64_t place = type.heap().type_name() - group.first();
  if (place >= group.types.size()) return type;
  return ValType::ref(HeapType::concrete(static_cast<uint32_t>(place)), type.nullable());
}

bool equal(const TypeGroup& group, const std::vector<FuncType>& candidate) {
  auto same = [&](const std::vector<ValType>& types, const std::vector<ValType>& others) {
    return std::ranges::equal(types, others, {}, [&](ValType type) { return relative(type, group); });
  };
  if (group.types.size() != candidate.size()) return false;
  for (size_t i = 0; i < candidate.size(); ++i) {
    const FuncType& type = group.types[i]->type;
    if (!same(type.params, candidate[i].params) || !same(type.results, candidate[i].results)) return false;
  }
  return true;
}

uint64_t hash_of(const std::vector<FuncType>& candidate) {
  wasm::KeyedHasher hash;
  for (const FuncType& type : candidate) {
    hash.add(type.params.size());
    for (ValType param : type.params) hash.add(param.bits());
    hash.add(type.results.size());
    for (ValType result : type.results) hash.add(result.bits());
  }
  return hash.finish();
}

void for_each(FuncType& type, auto&& visit) {
  for (ValType& param : type.params) visit(param);
  for (ValType& result : type.results) visit(result);
}

std::unexpected<Error> gone() { return fail(ErrorKind::stale_handle, "a type of the engine that is named is gone"); }

}  // namespace

TypeUses::~TypeUses() {
  if (registry_) registry_->drop(groups_);
}

TypeRegistry::TypeRegistry(const EngineImpl& engine) : engine_(engine) {}
TypeRegistry::~TypeRegistry() = default;

TypeGroup* TypeRegistry::find_group(uint64_t name) const {
  auto after = by_name_.upper_bound(name);
  if (after == by_name_.begin()) return nullptr;
  TypeGroup* group = std::prev(after)->second.get();
  return name - group->first() < group->types.size() ? group : nullptr;
}

void TypeRegistry::add_use(TypeGroup& group, TypeUses& uses) {
  uses.registry_ = this;
  uses.groups_.push_back(&group);
  ++group.uses;
}

TypeGroup& TypeRegistry::intern(Candidate candidate) {
  const uint64_t hash = hash_of(candidate);
  auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if (equal(*it->second, candidate)) return *it->second;
  return make_group(hash, std::move(candidate));
}

TypeGroup& TypeRegistry::make_group(uint64_t hash, Candidate candidate) {
  const uint64_t first = next_name_;
  next_name_ += candidate.size();
  types_ += candidate.size();
  auto made = std::make_unique<TypeGroup>();
  made->hash = hash;
  for (FuncType& type : candidate) {
    for_each(type, [&](ValType& value) {
      if (names_type(value)) made->named.push_back(find_group(value.heap().type_name()));
      if (names_place(value))
        value = ValType::ref(HeapType::named(first + value.heap().type_index()), value.nullable());
    });
    made->types.push_back(std::make_unique<CanonicalType>(engine_, first + made->types.size(), std::move(type)));
  }
  std::ranges::sort(made->named);
  made->named.erase(std::ranges::unique(made->named).begin(), made->named.end());
  for (TypeGroup* named : made->named) ++named->uses;
  TypeGroup& group = *(by_name_[first] = std::move(made));
  by_hash_.emplace(hash, &group);
  return group;
}

std::vector<const CanonicalType*> TypeRegistry::add(const wasm::Module& module, TypeUses& uses) {
  std::vector<const CanonicalType*> added(module.types.size());
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  for (const wasm::RecGroup& group : module.rec_groups) {
    const uint32_t known = raw(module.canonical_types[group.first]);
    if (known != group.first) {
      for (uint32_t i = 0; i < group.count; ++i) added[group.first + i] = added[known + i];
      continue;
    }
    Candidate candidate;
    for (uint32_t i = 0; i < group.count; ++i) {
      candidate.push_back(std::get<FuncType>(module.types[group.first + i].composite));
      for_each(candidate.back(), [&](ValType& value) {
        if (!value.is_concrete_ref()) return;
        const uint32_t index = value.heap().type_index();
        HeapType heap =
            index < group.first ? HeapType::named(added[index]->name) : HeapType::concrete(index - group.first);
        value = ValType::ref(heap, value.nullable());
      });
    }
    TypeGroup& interned = intern(std::move(candidate));
    add_use(interned, uses);
    for (uint32_t i = 0; i < group.count; ++i) added[group.first + i] = interned.types[i].get();
  }
  return added;
}

Result<TypeGroup*> TypeRegistry::intern(const FuncType& type) {
  Candidate candidate{type};
  bool known = true;
  for_each(candidate.front(),
           [&](ValType value) { known &= !value.is_concrete_ref() || find_group(value.heap().type_name()); });
  if (!known) return gone();
  return &intern(std::move(candidate));
}

Result<const CanonicalType*> TypeRegistry::add(const FuncType& type, TypeUses& uses) {
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  ROTOR_TRY(TypeGroup* group, intern(type));
  add_use(*group, uses);
  return group->types.front().get();
}

Result<const CanonicalType*> TypeRegistry::add_for_ever(const FuncType& type) {
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  ROTOR_TRY(TypeGroup* group, intern(type));
  if (!std::exchange(group->for_ever, true)) ++group->uses;
  return group->types.front().get();
}

Result<void> TypeRegistry::use(ValType type, TypeUses& uses) {
  if (!type.is_concrete_ref()) return {};
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  TypeGroup* group = find_group(type.heap().type_name());
  if (!group) return gone();
  add_use(*group, uses);
  return {};
}

std::optional<FuncType> TypeRegistry::find(uint64_t name) const {
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  const TypeGroup* group = find_group(name);
  if (!group) return std::nullopt;
  return group->types[name - group->first()]->type;
}

size_t TypeRegistry::size() const {
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  return types_;
}

void TypeRegistry::drop(std::span<TypeGroup* const> groups) {
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  // Groups are dropped without recursion: a module may make a million types, each of which names the one before.
  std::vector<TypeGroup*> unused;
  auto drop_use = [&](TypeGroup* group) {
    if (--group->uses == 0) unused.push_back(group);
  };
  std::ranges::for_each(groups, drop_use);
  while (!unused.empty()) {
    TypeGroup* group = unused.back();
    unused.pop_back();
    std::ranges::for_each(group->named, drop_use);
    auto [begin, end] = by_hash_.equal_range(group->hash);
    by_hash_.erase(std::find_if(begin, end, [&](const auto& entry) { return entry.second == group; }));
    types_ -= group->types.size();
    by_name_.erase(group->first());
  }
}

}  // namespace rotor::runtime
