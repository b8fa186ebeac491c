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

/// Compares what the types of a group are made of with a candidate.
class Comparison {
 public:
  explicit Comparison(const TypeGroup& group) : group_(group) {}
  bool equal(const CanonicalType& type, const TypeDefinition& other) const {
    if (type.kind != other.kind() || type.is_final != other.is_final) return false;
    if ((type.supertype != nullptr) != other.supertype.has_value()) return false;
    if (type.supertype && !equal(reference(type.supertype->heap_type()), reference(*other.supertype))) return false;
    if (const auto* func = std::get_if<FuncType>(&other.composite))
      return equal(type.type.params, func->params) && equal(type.type.results, func->results);
    if (const auto* structure = std::get_if<wasm::StructType>(&other.composite))
      return equal(std::get<wasm::StructType>(type.gc).fields, structure->fields);
    return equal(std::get<wasm::ArrayType>(type.gc).element, std::get<wasm::ArrayType>(other.composite).element);
  }

 private:
  static ValType reference(HeapType heap) { return ValType::ref(heap, /*nullable=*/false); }
  bool equal(ValType type, ValType other) const { return relative(type, group_) == other; }
  bool equal(const wasm::FieldType& field, const wasm::FieldType& other) const {
    return field.packed == other.packed && field.is_mutable == other.is_mutable && equal(field.type, other.type);
  }
  template <class T>
  bool equal(const std::vector<T>& all, const std::vector<T>& others) const {
    return std::ranges::equal(all, others, [this](const T& one, const T& other) { return equal(one, other); });
  }
  const TypeGroup& group_;
};

bool equal(const TypeGroup& group, const std::vector<TypeDefinition>& candidate) {
  if (group.types.size() != candidate.size()) return false;
  const Comparison comparison(group);
  for (size_t i = 0; i < candidate.size(); ++i)
    if (!comparison.equal(*group.types[i], candidate[i])) return false;
  return true;
}

uint64_t hash_of(const std::vector<TypeDefinition>& candidate) {
  wasm::KeyedHasher hash;
  for (const TypeDefinition& type : candidate) {
    hash.add(type.composite.index() << 1 | type.is_final);
    hash.add(type.supertype ? ValType::ref(*type.supertype, false).bits() : 0);
    if (const auto* func = std::get_if<FuncType>(&type.composite)) hash.add(func->params.size());
    uint64_t types = 0;
    wasm::for_each_type(type.composite, [&](ValType value) {
      hash.add(value.bits());
      ++types;
    });
    hash.add(types);
  }
  return hash.finish();
}

/// Calls `visit` with each value type that a type is made of, and with a reference to its supertype.
void for_each(TypeDefinition& type, auto&& visit) {
  wasm::for_each_type(type.composite, visit);
  if (!type.supertype) return;
  ValType supertype = ValType::ref(*type.supertype, /*nullable=*/false);
  visit(supertype);
  type.supertype = supertype.heap();
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

Result<TypeGroup*> TypeRegistry::intern(Candidate candidate) {
  const uint64_t hash = hash_of(candidate);
  auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it)
    if (equal(*it->second, candidate)) return it->second;
  return make_group(hash, std::move(candidate));
}

Result<TypeGroup*> TypeRegistry::make_group(uint64_t hash, Candidate candidate) {
  std::vector<uint32_t> numbers;
  for (const TypeDefinition& type : candidate) {
    Result<uint32_t> number = type.kind() == HeapType::Kind::func ? 0 : displays_.take(type.kind());
    if (!number) {
      for (uint32_t taken : numbers)
        if (taken) displays_.give_back(taken);
      return std::unexpected(std::move(number).error());
    }
    numbers.push_back(*number);
  }
  const uint64_t first = next_name_;
  next_name_ += candidate.size();
  types_ += candidate.size();
  auto made = std::make_unique<TypeGroup>();
  made->hash = hash;
  std::vector<HeapType::Kind> kinds;
  for (const TypeDefinition& type : candidate) kinds.push_back(type.kind());
  for (size_t i = 0; i < candidate.size(); ++i) {
    TypeDefinition& type = candidate[i];
    for_each(type, [&](ValType& value) {
      if (names_type(value)) made->named.push_back(find_group(value.heap().type_name()));
      if (!names_place(value)) return;
      const uint32_t place = value.heap().type_index();
      value = ValType::ref(HeapType::named(first + place, kinds[place]), value.nullable());
    });
    const CanonicalType* super = nullptr;
    if (type.supertype) {
      // It may be one of the group, before this one.
      const uint64_t place = type.supertype->type_name() - first;
      super = place < i ? made->types[place].get() : find_type(type.supertype->type_name());
    }
    made->types.push_back(std::make_unique<CanonicalType>(engine_, first + i, std::move(type), super, numbers[i]));
    if (numbers[i]) displays_.write_row(*made->types[i]);
  }
  std::ranges::sort(made->named);
  made->named.erase(std::ranges::unique(made->named).begin(), made->named.end());
  for (TypeGroup* named : made->named) ++named->uses;
  TypeGroup* group = (by_name_[first] = std::move(made)).get();
  by_hash_.emplace(hash, group);
  return group;
}

Result<std::vector<const CanonicalType*>> TypeRegistry::add(const wasm::Module& module, TypeUses& uses) {
  std::vector<const CanonicalType*> added(module.types.size());
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  for (const wasm::RecGroup& group : module.rec_groups) {
    const uint32_t known = raw(module.canonical_types[group.first]);
    if (known != group.first) {
      for (uint32_t i = 0; i < group.count; ++i) added[group.first + i] = added[known + i];
      continue;
    }
    auto engine_type = [&](uint32_t index) {
      return index < group.first ? added[index]->heap_type() : HeapType::concrete(index - group.first);
    };
    Candidate candidate;
    for (uint32_t i = 0; i < group.count; ++i) {
      const wasm::SubType& type = module.types[group.first + i];
      TypeDefinition& made = candidate.emplace_back(type.is_final, std::nullopt, type.composite);
      if (!type.supertypes.empty()) made.supertype = engine_type(raw(type.supertypes.front()));
      wasm::for_each_type(made.composite, [&](ValType& value) {
        if (value.is_concrete_ref()) value = ValType::ref(engine_type(value.heap().type_index()), value.nullable());
      });
    }
    ROTOR_TRY(TypeGroup* interned, intern(std::move(candidate)));
    add_use(*interned, uses);
    for (uint32_t i = 0; i < group.count; ++i) added[group.first + i] = interned->types[i].get();
  }
  return added;
}

Result<TypeGroup*> TypeRegistry::intern(const FuncType& type) {
  Candidate candidate{{.is_final = true, .supertype = std::nullopt, .composite = type}};
  bool known = true;
  for_each(candidate.front(),
           [&](ValType& value) { known &= !value.is_concrete_ref() || find_group(value.heap().type_name()); });
  if (!known) return gone();
  return intern(std::move(candidate));
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
  const CanonicalType* type = find_type(name);
  if (!type || type->kind != HeapType::Kind::func) return std::nullopt;
  return type->type;
}

const CanonicalType* TypeRegistry::find_type(uint64_t name) const {
  const TypeGroup* group = find_group(name);
  return group ? group->types[name - group->first()].get() : nullptr;
}

bool TypeRegistry::matches(ValType actual, ValType wanted) const {
  if (actual == wanted) return true;
  if (!actual.is_ref() || !wanted.is_ref()) return false;
  return (wanted.nullable() || !actual.nullable()) && matches(actual.heap(), wanted.heap());
}

bool TypeRegistry::matches(HeapType actual, HeapType wanted) const {
  if (actual == wanted) return true;
  if (!actual.is_concrete() || !wanted.is_concrete()) return matches_abstract(actual, wanted);
  memory::ForkPass pass;
  std::lock_guard lock(mutex_);
  const CanonicalType* type = find_type(actual.type_name());
  const CanonicalType* other = find_type(wanted.type_name());
  return type && other && type->descends_from(*other);
}

bool TypeRegistry::matches_abstract(HeapType actual, HeapType wanted) {
  using enum HeapType::Abstract;
  static constexpr HeapType::Abstract kAbove[] = {func, struct_, array};
  if (wanted.is_concrete())
    return wasm::matches(actual.abstract(), wanted.kind() == HeapType::Kind::func ? nofunc : none);
  if (actual.is_concrete()) return wasm::matches(kAbove[std::to_underlying(actual.kind())], wanted.abstract());
  return wasm::matches(actual.abstract(), wanted.abstract());
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
    for (const auto& type : group->types)
      if (type->number) displays_.give_back(type->number);
    by_name_.erase(group->first());
  }
}

}  // namespace rotor::runtime
