#include "wasm/rec_groups.h"

#include "wasm/keyed_hash.h"

namespace rotor::wasm {

namespace {

bool inside(RecGroup group, uint32_t type) { return type >= group.first && type - group.first < group.count; }

uint64_t hash_of(std::span<const SubType> types, RecGroup group) {
  constexpr uint64_t kOfGroup = uint64_t{1} << 32;
  auto of_index = [&](uint32_t index) { return inside(group, index) ? kOfGroup | (index - group.first) : index; };
  KeyedHasher hash;
  for (const SubType& type : types.subspan(group.first, group.count)) {
    hash.add(type.composite.index() << 1 | type.is_final);
    for (TypeIndex supertype : type.supertypes) hash.add(of_index(raw(supertype)));
    if (auto* func = std::get_if<FuncType>(&type.composite)) hash.add(func->params.size());
    for_each_type(type.composite, [&](const ValType& value) {
      if (value.is_concrete_ref()) {
        hash.add(static_cast<uint64_t>(value.nullable()) << 33);
        hash.add(of_index(value.heap().type_index()));
      } else {
        hash.add(value.bits());
      }
    });
  }
  return hash.finish();
}

/// Compares two groups of equal length.
class GroupComparison {
 public:
  GroupComparison(std::span<const SubType> types, RecGroup a, RecGroup b) : types_(types), a_(a), b_(b) {}

  bool equal() const {
    for (uint32_t i = 0; i < a_.count; ++i)
      if (!equal(types_[a_.first + i], types_[b_.first + i])) return false;
    return true;
  }

 private:
  bool equal(uint32_t a, uint32_t b) const {
    if (inside(a_, a) || inside(b_, b)) return inside(a_, a) && inside(b_, b) && a - a_.first == b - b_.first;
    return a == b;
  }
  bool equal(ValType a, ValType b) const {
    if (!a.is_concrete_ref() || !b.is_concrete_ref()) return a == b;
    return a.nullable() == b.nullable() && equal(a.heap().type_index(), b.heap().type_index());
  }
  bool equal(const FieldType& a, const FieldType& b) const {
    return a.packed == b.packed && a.is_mutable == b.is_mutable && equal(a.type, b.type);
  }
  template <class T>
  bool equal(const std::vector<T>& a, const std::vector<T>& b) const {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
      if (!equal(a[i], b[i])) return false;
    return true;
  }
  bool equal(TypeIndex a, TypeIndex b) const { return equal(raw(a), raw(b)); }
  bool equal(const FuncType& a, const FuncType& b) const {
    return equal(a.params, b.params) && equal(a.results, b.results);
  }
  bool equal(const StructType& a, const StructType& b) const { return equal(a.fields, b.fields); }
  bool equal(const ArrayType& a, const ArrayType& b) const { return equal(a.element, b.element); }
  bool equal(const SubType& a, const SubType& b) const {
    if (a.is_final != b.is_final || a.composite.index() != b.composite.index()) return false;
    if (!equal(a.supertypes, b.supertypes)) return false;
    return std::visit(
        [&](const auto& composite) {
          return equal(composite, std::get<std::remove_cvref_t<decltype(composite)>>(b.composite));
        },
        a.composite);
  }

  std::span<const SubType> types_;
  RecGroup a_, b_;
};

}  // namespace

uint32_t RecGroups::intern(std::span<const SubType> types, RecGroup group) {
  uint64_t hash = hash_of(types, group);
  auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    RecGroup known = it->second;
    if (known.count == group.count && GroupComparison(types, known, group).equal()) return known.first;
  }
  by_hash_.emplace(hash, group);
  return group.first;
}

}  // namespace rotor::wasm
