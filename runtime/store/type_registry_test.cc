#include "runtime/store/type_registry.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>

#include "runtime/engine.h"

namespace rotor::runtime {
namespace {

ValType ref(uint64_t name) { return ValType::ref(HeapType::named(name), true); }

/// A module of function types, each a group of its own, whose parameters are types of the module by index.
wasm::Module module_of(const std::vector<std::vector<ValType>>& params) {
  wasm::Module module;
  for (uint32_t i = 0; i < params.size(); ++i) {
    module.types.emplace_back().composite = FuncType{params[i], {}};
    module.rec_groups.push_back({.first = i, .count = 1});
    module.canonical_types.push_back(wasm::TypeIndex{i});
  }
  return module;
}
ValType index_ref(uint32_t index) { return ValType::ref(HeapType::concrete(index), true); }

class TypeRegistryTest : public testing::Test {
 protected:
  EngineImpl engine_{Config(), {}};
  TypeRegistry& types_ = engine_.types;
};

TEST_F(TypeRegistryTest, EqualTypesAreOneWhileTheyAreUsed) {
  const wasm::Module module = module_of({{ValType::i32}, {index_ref(0)}, {index_ref(2)}});
  auto first = std::make_optional<TypeUses>();
  auto added = types_.add(module, *first).value();
  EXPECT_EQ(types_.size(), 3u);
  auto second = std::make_optional<TypeUses>();
  EXPECT_EQ(types_.add(module, *second).value(), added);
  EXPECT_EQ(types_.size(), 3u);
  EXPECT_EQ(added[1]->type.params[0], ref(added[0]->name));
  EXPECT_EQ(added[2]->type.params[0], ref(added[2]->name));
  first.reset();
  EXPECT_EQ(types_.size(), 3u);
  EXPECT_EQ(types_.find(added[0]->name), (FuncType{{ValType::i32}, {}}));
  const uint64_t name = added[0]->name;
  second.reset();
  EXPECT_EQ(types_.size(), 0u);
  EXPECT_EQ(types_.find(name), std::nullopt);
  TypeUses third;
  EXPECT_GT(types_.add(module, third).value()[0]->name, name);
}

TEST_F(TypeRegistryTest, GroupsOfSeveralTypesLiveTogether) {
  // Two that name each other, as GC's recursion groups may.
  wasm::Module module = module_of({{ValType::f64}, {index_ref(2), index_ref(0)}, {index_ref(1)}});
  module.rec_groups = {{.first = 0, .count = 1}, {.first = 1, .count = 2}};
  auto uses = std::make_optional<TypeUses>();
  auto added = types_.add(module, *uses).value();
  EXPECT_EQ(added[1]->type.params, (std::vector<ValType>{ref(added[2]->name), ref(added[0]->name)}));
  EXPECT_EQ(added[2]->type.params, (std::vector<ValType>{ref(added[1]->name)}));
  TypeUses host;
  EXPECT_TRUE(types_.use(ref(added[2]->name), host));
  const uint64_t names[] = {added[0]->name, added[1]->name, added[2]->name};
  uses.reset();
  // One of the group keeps it, and what it names.
  EXPECT_EQ(types_.size(), 3u);
  for (uint64_t name : names) EXPECT_TRUE(types_.find(name));
  EXPECT_EQ(types_.find(names[2] + 1), std::nullopt);
}

TEST_F(TypeRegistryTest, ATypeKeepsWhatItNames) {
  auto uses = std::make_optional<TypeUses>();
  auto added = types_.add(module_of({{ValType::i64}, {index_ref(0), index_ref(0)}}), *uses).value();
  auto host = std::make_optional<TypeUses>();
  auto named = types_.add(FuncType{{ref(added[1]->name)}, {}}, *host);
  ASSERT_TRUE(named);
  const uint64_t name = added[1]->name;
  uses.reset();
  EXPECT_EQ(types_.size(), 3u);
  host.reset();
  EXPECT_EQ(types_.size(), 0u);
  TypeUses late;
  EXPECT_EQ(types_.add(FuncType{{ref(name)}, {}}, late).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(types_.add(FuncType{{index_ref(0)}, {}}, late).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(types_.use(ref(name), late).error().kind, ErrorKind::stale_handle);
  EXPECT_TRUE(types_.use(ValType::funcref, late));
}

TEST_F(TypeRegistryTest, WhatTheHostNamesStays) {
  const FuncType type{{ValType::i32}, {ValType::f32}};
  auto named = types_.add_for_ever(type);
  ASSERT_TRUE(named);
  {
    TypeUses uses;
    EXPECT_EQ(types_.add(type, uses).value(), *named);
    EXPECT_EQ(types_.add_for_ever(type).value(), *named);
  }
  EXPECT_EQ(types_.size(), 1u);
  EXPECT_EQ(types_.find((*named)->name), type);
}

TEST_F(TypeRegistryTest, NothingOfWhatWasInMemoryBeforeIsTakenForASupertype) {
  alignas(CanonicalType) std::byte memory[sizeof(CanonicalType)];
  std::memset(memory, 0xff, sizeof memory);
  TypeDefinition definition;
  definition.is_final = false;
  definition.composite = FuncType();
  const auto* type = new (memory) CanonicalType(engine_, HeapType::kFirstTypeName, definition, nullptr, 0);
  EXPECT_EQ(type->supertypes[0], type->id());
  for (uint32_t depth = 1; depth < std::size(type->supertypes); ++depth)
    EXPECT_EQ(type->supertypes[depth], 0u) << depth;
  std::destroy_at(type);
}

TEST_F(TypeRegistryTest, LongChainsAreDroppedWithoutRecursion) {
  std::vector<std::vector<ValType>> params{{ValType::i32}};
  for (uint32_t i = 0; i < 200'000; ++i) params.push_back({index_ref(i)});
  {
    TypeUses uses;
    EXPECT_TRUE(types_.add(module_of(params), uses));
    EXPECT_EQ(types_.size(), params.size());
  }
  EXPECT_EQ(types_.size(), 0u);
}

}  // namespace
}  // namespace rotor::runtime
