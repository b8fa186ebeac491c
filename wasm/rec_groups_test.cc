#include "wasm/rec_groups.h"

#include <gtest/gtest.h>

namespace rotor::wasm {
namespace {

ValType ref(uint32_t type) { return ValType::ref(HeapType::concrete(type), true); }

/// Adds a group of function types of these parameters, and takes it off again if it is not new.
class Types {
 public:
  uint32_t add(std::vector<std::vector<ValType>> params) {
    RecGroup group{.first = static_cast<uint32_t>(types_.size()), .count = static_cast<uint32_t>(params.size())};
    for (auto& types : params) types_.emplace_back().composite = FuncType{std::move(types), {}};
    uint32_t canonical = groups_.intern(types_, group);
    if (canonical != group.first) types_.resize(group.first);
    return canonical;
  }
  uint32_t size() const { return static_cast<uint32_t>(types_.size()); }

 private:
  std::vector<SubType> types_;
  RecGroups groups_;
};

TEST(RecGroups, EqualTypesAreOne) {
  Types types;
  EXPECT_EQ(types.add({{}}), 0u);
  EXPECT_EQ(types.add({{ValType::i32}}), 1u);
  EXPECT_EQ(types.add({{}}), 0u);
  EXPECT_EQ(types.add({{ref(0)}}), 2u);
  EXPECT_EQ(types.add({{ref(1)}}), 3u);
  EXPECT_EQ(types.add({{ref(0).non_null()}}), 4u);
  EXPECT_EQ(types.add({{ref(0)}}), 2u);
}

TEST(RecGroups, ReferencesIntoTheGroupCountByPlace) {
  Types types;
  EXPECT_EQ(types.add({{ref(0)}}), 0u);            // names itself
  EXPECT_EQ(types.add({{ref(1)}}), 0u);            // so does this one
  EXPECT_EQ(types.add({{ref(0)}}), 1u);            // this one names the first
  EXPECT_EQ(types.add({{ref(3)}, {ref(2)}}), 2u);  // two that name each other
  EXPECT_EQ(types.add({{ref(5)}, {ref(4)}}), 2u);
  EXPECT_EQ(types.add({{ref(4)}, {ref(5)}}), 4u);  // each names itself: another group
  EXPECT_EQ(types.size(), 6u);
}

TEST(RecGroups, ATypeOfALargerGroupIsAnother) {
  Types types;
  EXPECT_EQ(types.add({{}, {}}), 0u);
  EXPECT_EQ(types.add({{}}), 2u);
  EXPECT_EQ(types.add({{}, {}, {}}), 3u);
}

TEST(RecGroups, AllThatMakesATypeCounts) {
  std::vector<SubType> types(6);
  types[0].composite = FuncType{{ValType::i32}, {}};
  types[1].composite = FuncType{{}, {ValType::i32}};
  types[2].composite = StructType{{FieldType{ValType::i32}}};
  types[3].composite = ArrayType{FieldType{ValType::i32}};
  types[4].composite = ArrayType{FieldType{.type = ValType::i32, .is_mutable = true}};
  types[5].composite = FuncType{{ValType::i32}, {}};
  types[5].is_final = false;
  RecGroups groups;
  for (uint32_t i = 0; i < types.size(); ++i) EXPECT_EQ(groups.intern(types, {.first = i, .count = 1}), i);
}

}  // namespace
}  // namespace rotor::wasm
