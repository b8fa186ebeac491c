#include "wasm/decode_module.h"

#include <gtest/gtest.h>

#include "wasm/decode_types.h"
#include "wasm/names.h"
#include "wasm/testing/module.h"

namespace rotor::wasm {
namespace {

using namespace test;

const Bytes kTypes = section(1, vec({func_type({}, {}), func_type({kI32}, {kI32})}));
const Bytes kOneFunc = section(3, vec({{0}}));
const Bytes kOneBody = section(10, vec({body({0x0b})}));
const Bytes kOneMemory = section(5, vec({{0, 1}}));
const Bytes kOneTable = section(4, vec({{kFuncRef, 0, 1}}));

Result<Module> decode(const Bytes& bytes, Features features = {}) {
  return decode_module(bytes, {.features = features, .bodies_elsewhere = false});
}

void expect_error(const Bytes& bytes, ErrorKind kind, std::string_view message, uint64_t offset,
                  Features features = {}) {
  auto module = decode(bytes, features);
  ASSERT_FALSE(module.has_value()) << message;
  EXPECT_EQ(module.error().message, message);
  EXPECT_EQ(static_cast<int>(module.error().kind), static_cast<int>(kind)) << message;
  EXPECT_EQ(module.error().offset.value_or(UINT64_MAX), offset) << message;
}
void expect_malformed(const Bytes& bytes, std::string_view message, uint64_t offset) {
  expect_error(bytes, ErrorKind::malformed, message, offset);
}
void expect_invalid(const Bytes& bytes, std::string_view message, uint64_t offset) {
  expect_error(bytes, ErrorKind::invalid, message, offset);
}
void expect_unsupported(const Bytes& bytes, std::string_view feature, uint64_t offset, Features features = {}) {
  expect_error(bytes, ErrorKind::unsupported, "unsupported feature: " + std::string(feature), offset, features);
}

TEST(DecodeModule, Empty) {
  auto module = decode(kHeader);
  ASSERT_TRUE(module.has_value());
  EXPECT_TRUE(module->funcs.empty());
  EXPECT_EQ(module->used_features, 0u);
}

TEST(DecodeModule, Header) {
  expect_malformed({}, "unexpected end of section or function", 0);
  expect_malformed({0, 'a', 's', 'm'}, "unexpected end of section or function", 4);
  expect_malformed({0, 'a', 's', 'M', 1, 0, 0, 0}, "magic header not detected", 0);
  expect_malformed({0, 'a', 's', 'm', 2, 0, 0, 0}, "unknown binary version", 4);
  expect_malformed({0, 'a', 's', 'm', 13, 0, 1, 0}, "unknown binary version: a component, not a module", 4);
}

TEST(DecodeModule, SectionsAndTheirOrder) {
  expect_malformed(module({{14, 0}}), "malformed section id 14", 8);
  expect_malformed(module({kOneMemory, kTypes}), "unexpected content after last section", 13);
  expect_malformed(module({kTypes, kTypes}), "unexpected content after last section", 19);
  expect_malformed(module({{1, 5, 0}}), "length out of bounds", 9);
  expect_malformed(module({{1, 2, 0, 0}}), "section size mismatch", 11);
  expect_malformed(module({{1, 2, 1, 0x60, 0, 0}}), "unexpected end of section or function", 12);
  expect_malformed(module({kTypes, kOneFunc}), "function and code section have inconsistent lengths", 23);
  expect_malformed(module({kOneMemory, section(12, {1})}), "data count and data section have inconsistent lengths", 16);
}

TEST(DecodeModule, CustomSectionsAnywhere) {
  auto decoded = decode(module({custom("a", {1, 2, 3}), kTypes, custom("b", {})}));
  ASSERT_TRUE(decoded.has_value());
  ASSERT_EQ(decoded->sections.size(), 3u);
  EXPECT_EQ(decoded->sections[0].name, "a");
  EXPECT_EQ(decoded->sections[0].begin, 12u);
  EXPECT_EQ(decoded->sections[0].end, 15u);
  EXPECT_EQ(decoded->sections[2].name, "b");
  expect_malformed(module({{0, 0}}), "unexpected end of section or function", 10);
  expect_malformed(module({{0, 2, 5, 'a'}, Bytes(8, 'x')}), "length out of bounds", 10);
  expect_malformed(module({custom("\xff", {})}), "malformed UTF-8 encoding", 11);
}

TEST(DecodeModule, Imports) {
  Bytes imports =
      section(2, vec({str("m") + str("f") + Bytes{0, 1}, str("m") + str("t") + Bytes{1, kExternRef, 1, 2, 3},
                      str("m") + str("mem") + Bytes{2, 3, 1, 2}, str("m") + str("g") + Bytes{3, kI64, 1}}));
  auto decoded = decode(module({kTypes, imports}));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->imported_funcs, 1u);
  EXPECT_EQ(decoded->imports[1].kind(), ExternKind::table);
  EXPECT_EQ(decoded->tables[0].type, (TableType{ValType::externref, {2, 3}, false}));
  EXPECT_EQ(decoded->memories[0], (MemoryType{{1, 2}, true, false}));
  EXPECT_EQ(decoded->globals[0].type, (GlobalType{ValType::i64, true}));
  EXPECT_EQ(decoded->used_features, feature_bit(Feature::threads) | feature_bit(Feature::reference_types) |
                                        feature_bit(Feature::mutable_global));
  expect_malformed(module({section(2, vec({str("") + str("") + Bytes{5, 0}}))}), "malformed import kind", 13);
  expect_invalid(module({section(2, vec({str("") + str("") + Bytes{0, 9}}))}), "unknown type 9", 11);
  expect_malformed(module({section(2, vec({str("") + str("") + Bytes{3, kI32, 2}}))}), "malformed mutability", 15);
}

TEST(DecodeModule, Limits) {
  expect_invalid(module({section(5, vec({{1, 2, 1}}))}), "size minimum must not be greater than maximum", 11);
  expect_invalid(module({section(5, vec({Bytes{0} + leb(65537)}))}), "memory size must be at most 65536 pages (4GiB)",
                 11);
  expect_invalid(module({section(5, vec({Bytes{0} + leb(UINT64_MAX)}))}),
                 "memory size must be at most 65536 pages (4GiB)", 11);
  expect_invalid(module({section(5, vec({Bytes{1, 0} + leb(UINT64_MAX)}))}),
                 "memory size must be at most 65536 pages (4GiB)", 11);
  expect_invalid(module({section(5, vec({{2, 1}}))}), "shared memory must have maximum", 11);
  expect_malformed(module({section(5, vec({{16, 1}}))}), "malformed limits flags", 11);
  expect_malformed(module({section(4, vec({{kFuncRef, 2, 1}}))}), "malformed limits flags", 12);
  expect_malformed(module({section(4, vec({{kI32, 0, 1}}))}), "malformed reference type", 11);
  expect_invalid(module({section(4, vec({Bytes{kFuncRef, 1, 0} + leb(uint64_t{1} << 32)}))}),
                 "table size must be at most 2^32-1", 11);
  EXPECT_TRUE(decode(module({section(4, vec({Bytes{kFuncRef, 0} + leb(UINT32_MAX)}))})).has_value());
}

TEST(DecodeModule, Exports) {
  Bytes exports = section(7, vec({str("a") + Bytes{0, 0}, str("a") + Bytes{0, 0}}));
  expect_invalid(module({kTypes, kOneFunc, exports, kOneBody}), "duplicate export name", 30);
  auto exported = [](Bytes desc) { return module({section(7, vec({str("a") + desc}))}); };
  expect_invalid(exported({0, 1}), "unknown function 1", 11);
  expect_invalid(exported({1, 0}), "unknown table 0", 11);
  expect_invalid(exported({2, 0}), "unknown memory 0", 11);
  expect_invalid(exported({3, 0}), "unknown global 0", 11);
  expect_malformed(exported({5, 0}), "malformed export kind", 13);
  expect_invalid(exported({4, 0}), "unknown tag 0", 11);
}

TEST(DecodeModule, Tags) {
  auto tags = [](Bytes tag) { return module({kTypes, section(13, vec({tag}))}); };
  const Bytes one_result = tags({0, 1});
  expect_invalid(one_result, "non-empty tag result type", 22);
  expect_malformed(tags({1, 0}), "malformed tag attribute", 22);
  expect_invalid(tags({0, 9}), "unknown type 9", 22);
  auto decoded = decode(module({section(1, vec({func_type({0x7f}, {})})), section(13, vec({{0, 0}, {0, 0}})),
                                section(7, vec({{1, 't', 4, 1}}))}));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->tags.size(), 2u);
  EXPECT_EQ(decoded->exports[0].kind, ExternKind::tag);
}

TEST(DecodeModule, Start) {
  expect_invalid(module({section(8, {0})}), "unknown function 0", 10);
  expect_invalid(module({kTypes, section(3, vec({{1}})), section(8, {0}), kOneBody}),
                 "start function: its type is [i32] -> [i32]", 25);
}

TEST(DecodeModule, DeclaredFunctions) {
  Bytes funcs = section(3, vec({{0}, {0}, {0}, {0}, {0}}));
  Bytes globals = section(6, vec({{kFuncRef, 0, 0xd2, 1, 0x0b}}));
  Bytes exports = section(7, vec({str("a") + Bytes{0, 2}}));
  Bytes elements = section(9, vec({{3, 0, 1, 3}}));
  Bytes bodies = section(10, vec({body({0x0b}), body({0x0b}), body({0x0b}), body({0x0b}), body({0x0b})}));
  auto decoded = decode(module({kTypes, funcs, globals, exports, elements, bodies}));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->declared_funcs, (std::vector<bool>{false, true, true, true, false}));
  EXPECT_EQ(decoded->elements[0].mode, SegmentMode::declarative);
}

TEST(DecodeModule, ElementSegmentForms) {
  Bytes offset = {0x41, 7, 0x0b};
  Bytes null = {0xd0, kFuncRef, 0x0b};
  Bytes elements =
      section(9, vec({Bytes{0} + offset + Bytes{1, 0}, Bytes{1, 0, 1, 0}, Bytes{2, 1} + offset + Bytes{0, 0},
                      Bytes{4} + offset + Bytes{1} + null, Bytes{5, kFuncRef, 1} + null,
                      Bytes{6, 1} + offset + Bytes{kFuncRef, 1} + null, Bytes{7, kFuncRef, 0}}));
  Bytes tables = section(4, vec({{kFuncRef, 0, 9}, {kFuncRef, 0, 9}}));
  auto decoded = decode(module({kTypes, kOneFunc, tables, elements, kOneBody}));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  using enum SegmentMode;
  std::vector<SegmentMode> modes;
  std::vector<uint32_t> tables_used, sizes;
  for (const ElementSegment& segment : decoded->elements) {
    modes.push_back(segment.mode);
    tables_used.push_back(raw(segment.table));
    sizes.push_back(static_cast<uint32_t>(segment.size()));
  }
  EXPECT_EQ(modes, (std::vector{active, passive, active, active, passive, active, declarative}));
  EXPECT_EQ(tables_used, (std::vector<uint32_t>{0, 0, 1, 0, 0, 1, 0}));
  EXPECT_EQ(sizes, (std::vector<uint32_t>{1, 1, 0, 1, 1, 1, 0}));
  expect_malformed(module({section(9, vec({{8}}))}), "malformed elements segment kind", 11);
  expect_malformed(module({section(9, vec({{1, 1, 0}}))}), "malformed element kind", 12);
  expect_invalid(module({section(9, vec({Bytes{0} + offset + Bytes{0}}))}), "unknown table 0", 11);
  expect_invalid(module({section(9, vec({{1, 0, 1, 4}}))}), "unknown function 4", 11);
  expect_invalid(module({section(4, vec({{kExternRef, 0, 1}})), section(9, vec({Bytes{0} + offset + Bytes{0}}))}),
                 "type mismatch: segment of (ref func) for a table of externref", 17);
}

TEST(DecodeModule, DataSegments) {
  Bytes data = section(11, vec({{0, 0x41, 0, 0x0b, 2, 'a', 'b'}, {1, 1, 'c'}, {2, 0, 0x41, 0, 0x0b, 0}}));
  auto decoded = decode(module({kOneMemory, section(12, {3}), data}));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->data[0].begin, 24u);
  EXPECT_EQ(decoded->data[0].size, 2u);
  EXPECT_EQ(decoded->data[1].mode, SegmentMode::passive);
  expect_malformed(module({section(11, vec({{3}}))}), "malformed data segment kind", 11);
  expect_invalid(module({section(11, vec({{0, 0x41, 0, 0x0b, 0}}))}), "unknown memory 0", 11);
  expect_malformed(module({section(11, vec({{1, 9, 0}}))}), "length out of bounds", 12);
}

TEST(DecodeModule, ConstantExpressions) {
  auto global = [](Bytes init) { return module({section(6, vec({Bytes{kI32, 0} + init + Bytes{0x0b}}))}); };
  expect_invalid(global({}), "type mismatch: instruction requires [i32] but stack has []", 13);
  expect_invalid(global({0x42, 0}), "type mismatch: instruction requires [i32] but stack has [i64]", 13);
  expect_invalid(global({0x41, 0, 0x45}), "constant expression required", 15);
  expect_invalid(global({0x23, 0}), "unknown global 0", 13);
  expect_invalid(global({0xd2, 0}), "unknown function 0", 13);
  expect_malformed(global({0x41, 0, 0xff}), "illegal opcode ff", 15);
  expect_malformed(module({section(6, vec({{kI32, 0, 0x41, 0}}))}), "unexpected end of section or function", 15);
  expect_unsupported(global({0x41, 0, 0x41, 0, 0x6a}), "extended-const", 17,
                     {.threads = true, .extended_const = false});
  EXPECT_TRUE(decode(global({0x41, 0, 0x41, 0, 0x6a})).has_value());
  // Earlier immutable globals may be read; mutable ones, later ones and itself not.
  auto two = [](uint8_t first_mutable, uint8_t index) {
    return module({section(6, vec({{kI32, first_mutable, 0x41, 1, 0x0b}, {kI32, 0, 0x23, index, 0x0b}}))});
  };
  EXPECT_TRUE(decode(two(0, 0)).has_value());
  expect_invalid(two(1, 0), "constant expression required", 18);
  expect_invalid(two(0, 1), "unknown global 1", 18);
}

TEST(DecodeModule, Unsupported) {
  expect_unsupported(module({section(1, vec({{0x5f, 0}}))}), "gc", 11);
  expect_unsupported(module({section(1, vec({{0x4e, 0}}))}), "gc", 11);
  expect_unsupported(module({section(1, vec({func_type({kV128}, {})}))}), "simd", 13, {.simd = false});
  expect_unsupported(module({section(6, vec({{kV128, 0, 0xfd, 12}}))}), "simd", 11, {.simd = false});
  Features untyped;
  untyped.function_references = false;
  expect_unsupported(module({section(1, vec({func_type({0x63, 0x00}, {})}))}), "function-references", 13, untyped);
  expect_unsupported(module({section(1, vec({func_type({0x64, 0x6e}, {})}))}), "gc", 14);
  expect_unsupported(module({section(1, vec({func_type({0x6e}, {})}))}), "gc", 13);
  Features no_exceptions;
  no_exceptions.exceptions = false;
  expect_unsupported(module({section(1, vec({func_type({0x69}, {})}))}), "exceptions", 13, no_exceptions);
  expect_unsupported(module({section(5, vec({{8, 1, 0}}))}), "custom-page-sizes", 11);
  expect_unsupported(module({section(4, vec({{0x40, 0, kFuncRef, 0, 1, 0xd0, kFuncRef, 0x0b}}))}),
                     "function-references", 11, untyped);
  expect_unsupported(module({section(13, vec({{0, 0}}))}), "exceptions", 10, no_exceptions);
  expect_unsupported(module({section(5, vec({{3, 1, 1}}))}), "threads", 11, {.threads = false, .extended_const = true});
  // No version has these.
  expect_malformed(module({section(1, vec({{0x40, 0}}))}), "malformed definition type", 11);
  expect_malformed(module({section(1, vec({func_type({0x78}, {})}))}), "malformed value type", 13);
  expect_malformed(module({section(1, vec({func_type({0x63, 0x7f}, {})}))}), "malformed heap type", 14);
}

/// A function type with parameters of more than one byte each.
Bytes type_of_refs(std::initializer_list<Bytes> params) { return Bytes{0x60} + vec(params) + Bytes{0}; }
Bytes ref(uint8_t heap) { return {0x64, heap}; }
Bytes ref_null(uint8_t heap) { return {0x63, heap}; }

TEST(DecodeModule, TypesAreCanonical) {
  auto decoded = decode(module(
      {section(1, vec({func_type({}, {}), func_type({}, {}), type_of_refs({ref(1)}), type_of_refs({ref(0)}),
                       type_of_refs({ref_null(4)}), type_of_refs({ref_null(5)}), type_of_refs({ref_null(4)})}))}));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  std::vector<uint32_t> canonical;
  for (TypeIndex index : decoded->canonical_types) canonical.push_back(raw(index));
  EXPECT_EQ(canonical, (std::vector<uint32_t>{0, 0, 2, 2, 4, 4, 6}));
  // What names them is rewritten: equal types are `==`.
  EXPECT_EQ(decoded->func_type(TypeIndex{2}), decoded->func_type(TypeIndex{3}));
  EXPECT_EQ(to_string(decoded->func_type(TypeIndex{5})), "[(ref null 4)] -> []");
  // A type may name itself and those before it.
  expect_invalid(module({section(1, vec({type_of_refs({ref(1)}), func_type({}, {})}))}), "unknown type 1", 14);
  expect_invalid(module({section(4, vec({{0x63, 0, 0, 0}}))}), "unknown type 0", 12);
}

TEST(DecodeModule, TableInitializers) {
  Bytes type = section(1, vec({func_type({}, {})})), func = section(3, vec({{0}}));
  auto table = [&](const Bytes& contents) {
    return module({type, func, section(4, vec({contents})), section(10, vec({body({0x0b})}))});
  };
  auto decoded = decode(table({0x40, 0, 0x64, 0, 0, 3, 0xd2, 0, 0x0b}));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  ASSERT_TRUE(decoded->tables[0].init.has_value());
  EXPECT_TRUE(decoded->declared_funcs[0]);
  EXPECT_EQ(decoded->used_features, feature_bit(Feature::function_references) | feature_bit(Feature::reference_types));
  expect_malformed(table({0x40, 1, 0x70, 0, 3, 0xd0, 0x70, 0x0b}), "zero byte expected", 21);
  expect_invalid(table({0x64, 0, 0, 3}), "type mismatch: a table of (ref 0) without an initializer", 21);
  expect_invalid(table({0x40, 0, 0x64, 0, 0, 3, 0xd0, 0, 0x0b}),
                 "type mismatch: instruction requires [(ref 0)] but stack has [(ref null 0)]", 27);
}

TEST(DecodeModule, NamedLimits) {
  expect_error(module({section(1, vec({func_type(Bytes(1001, kI32), {})}))}), ErrorKind::limit,
               "too many parameters: 1001, the limit is 1000", 13);
  Bytes many_locals = sized(Bytes{1} + leb(50001) + Bytes{kI32, 0x0b});
  Bytes bytes = module({kTypes, kOneFunc, section(10, vec({many_locals}))});
  auto decoded = decode(bytes);
  ASSERT_TRUE(decoded.has_value());
  auto valid = validate_bodies(*decoded, bytes, {});
  ASSERT_FALSE(valid.has_value());
  EXPECT_EQ(valid.error().kind, ErrorKind::limit);
  EXPECT_EQ(valid.error().message, "too many locals: 50001, the limit is 50000");
}

TEST(DecodeModule, BodiesElsewhere) {
  Bytes data = section(11, vec({{1, 0}}));
  auto decoded = decode_module(module({kTypes, kOneFunc, data}), {.features = {}, .bodies_elsewhere = true});
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->funcs.size(), 1u);
  EXPECT_TRUE(decoded->bodies.empty());
  Bytes two_bodies = section(10, vec({body({0x0b}), body({0x0b})}));
  EXPECT_FALSE(decode_module(module({kTypes, kOneFunc, two_bodies}), {.features = {}, .bodies_elsewhere = true}));
}

TEST(Names, ModuleAndFunctions) {
  Bytes map = vec({Bytes{0} + str("main"), Bytes{7} + str("no such function")});
  Bytes names = custom("name", Bytes{0} + sized(str("mod")) + Bytes{1} + sized(map) + Bytes{2} + sized({0}));
  Bytes bytes = module({kTypes, kOneFunc, kOneBody, names});
  auto decoded = decode(bytes);
  ASSERT_TRUE(decoded.has_value());
  Names read = decode_names(*decoded, bytes);
  EXPECT_EQ(read.module, "mod");
  EXPECT_EQ(read.functions, (KeyedMap<uint32_t, std::string>{{0, "main"}}));
}

TEST(Names, ExportsNameWhatHasNoOtherName) {
  Bytes funcs = section(3, vec({{0}, {0}, {0}}));
  Bytes bodies = section(10, vec({body({0x0b}), body({0x0b}), body({0x0b})}));
  Bytes exports =
      section(7, vec({str("first") + Bytes{0, 1}, str("second") + Bytes{0, 1}, str("third") + Bytes{0, 0}}));
  Bytes map = vec({Bytes{0} + str("main")});
  Bytes bytes = module({kTypes, funcs, exports, bodies, custom("name", Bytes{1} + sized(map))});
  auto decoded = decode(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decode_display_names(*decoded, bytes).functions,
            (KeyedMap<uint32_t, std::string>{{0, "main"}, {1, "first"}}));
}

TEST(Names, DamageIsNoError) {
  Bytes map = Bytes{9, 0} + str("main") + Bytes{1, 0xff};
  Bytes bytes =
      module({kTypes, kOneFunc, kOneBody, custom("name", Bytes{1} + sized(map) + Bytes{0} + sized(str("m")))});
  auto decoded = decode(bytes);
  ASSERT_TRUE(decoded.has_value());
  Names read = decode_names(*decoded, bytes);
  EXPECT_EQ(read.functions.size(), 0u);  // nine names can't be in that many bytes: the subsection is skipped
  EXPECT_EQ(read.module, "m");
  EXPECT_TRUE(decode_names(*decoded, Bytes()).functions.empty());
}

}  // namespace
}  // namespace rotor::wasm
