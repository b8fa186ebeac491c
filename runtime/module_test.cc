// Modules: what they tell about themselves, and code files.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "runtime/access.h"
#include "runtime/module.h"
#include "runtime/testing/support.h"
#include "wasm/testing/collisions.h"

namespace rotor::runtime::test {
namespace {

TEST(Module, ImportsAndExports) {
  Engine e = engine();
  Module module = compile(e, kHost);
  ASSERT_EQ(module.imports().size(), 5u);
  EXPECT_EQ(module.imports()[0].module, "env");
  EXPECT_EQ(module.imports()[0].name, "add");
  EXPECT_EQ(to_string(module.imports()[0].type), "func [i32 i32] -> [i32]");
  EXPECT_EQ(module.exports()[0].name, "mem");
  ASSERT_TRUE(module.export_type("mem"));
  EXPECT_EQ(to_string(*module.export_type("mem")), "memory 1");
  EXPECT_EQ(kind_name(*module.export_type("own_six")), std::string("func"));
  EXPECT_EQ(module.export_type("nothing"), nullptr);
  EXPECT_EQ(module.compile_stats().functions, 9u);
  EXPECT_GT(module.compile_stats().code_bytes, 0u);
}

TEST(Module, ExportsCantBeNamedSoThatTheyCollide) {
  auto leb = [](uint32_t value) {
    std::string bytes;
    for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
    return bytes + static_cast<char>(value);
  };
  const std::vector<std::string> names = wasm::test::colliding_names(5000);
  std::string exports = leb(static_cast<uint32_t>(names.size()));
  for (const std::string& name : names) exports += leb(static_cast<uint32_t>(name.size())) + name + std::string(2, 0);
  auto section = [&](char id, const std::string& contents) {
    return id + leb(static_cast<uint32_t>(contents.size())) + contents;
  };
  const std::string bytes = std::string("\0asm\1\0\0\0", 8) + section(1, std::string("\1\x60\0\0", 4)) +
                            section(3, std::string("\1\0", 2)) + section(7, exports) +
                            section(10, std::string("\1\2\0\x0b", 4));
  Engine e = engine();
  Module module = compile(e, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  const auto& index = impl_of(module).export_index();
  ASSERT_EQ(index.size(), names.size());
  size_t longest = 0;
  for (size_t place = 0; place < index.bucket_count(); ++place) longest = std::max(longest, index.bucket_size(place));
  EXPECT_LT(longest, 20u);
  EXPECT_TRUE(module.export_type(names.back()));
}

TEST(Module, Sections) {
  Engine e = engine();
  Module module = compile(e, kHost);
  auto sections = module.sections();
  ASSERT_FALSE(sections.empty());
  EXPECT_EQ(sections.front().name, "type");
  EXPECT_FALSE(sections.front().custom);
  EXPECT_EQ(sections.back().name, "name");
  EXPECT_TRUE(sections.back().custom);
  EXPECT_FALSE(module.custom_section("name").empty());
  EXPECT_TRUE(module.custom_section("code").empty());
}

TEST(Module, RequiredFeatures) {
  Engine e = engine();
  auto has = [](const std::vector<std::string>& names, const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  EXPECT_TRUE(has(compile(e, kShared).required_features(), "threads"));
  EXPECT_TRUE(has(compile(e, kHost).required_features(), "multi-value"));
  EXPECT_FALSE(has(compile(e, kFuncUser).required_features(), "threads"));
}

TEST(Module, BadBytes) {
  Engine e = engine();
  EXPECT_EQ(kind_of(Module::compile(e, std::span(kHost).first(20))), ErrorKind::malformed);
  EXPECT_EQ(kind_of(Module::validate({}, std::span(kHost).first(20))), ErrorKind::malformed);
  EXPECT_TRUE(Module::validate({}, kHost));
  Config config;
  config.mode = CompileMode::aot;
  config.cpu = "z80";
  auto wrong = Engine::create(config);
  ASSERT_EQ(kind_of(wrong), ErrorKind::invalid_argument);
  EXPECT_NE(wrong.error().message.find("z80"), std::string::npos);
}

TEST(Module, CodeFilesRunTheSame) {
  Engine e = engine();
  std::string path = testing::TempDir() + "rotor_module_" + std::to_string(getpid());
  {
    Module module = compile(e, kTraps);
    must(module.serialize_to_file(path));
  }
  Module module = must(Module::deserialize_file(e, path));
  Instance instance = instantiate(Linker(e), module);
  EXPECT_EQ(must(must(instance.get_func("div_s")).call({Value(7), Value(2)}))[0].i32(), 3);
  must(must(instance.get_func("init")).call({Value(8), Value(0), Value(3)}));
  EXPECT_EQ(must(must(instance.get_func("load")).call({Value(8)}))[0].i32(), 'a' | 'b' << 8 | 'c' << 16);
  auto trapped = must(instance.get_func("indirect")).call({Value(0)});
  expect_trap(trapped, TrapKind::indirect_call_type_mismatch);
  ASSERT_EQ(trapped.error().trap->frames().size(), 1u);
  // The offset is that of the module as it was compiled.
  Instance again = instantiate(Linker(e), compile(e, kTraps));
  auto original = must(again.get_func("indirect")).call({Value(0)});
  EXPECT_EQ(trapped.error().trap->frames()[0].module_offset, original.error().trap->frames()[0].module_offset);
  // Written again from what was mapped.
  must(module.serialize_to_file(path + ".2"));
  Module third = must(Module::deserialize_file(e, path + ".2"));
  EXPECT_EQ(third.exports().size(), module.exports().size());
  std::remove((path + ".2").c_str());
  std::remove(path.c_str());
  EXPECT_EQ(kind_of(Module::deserialize_file(e, path)), ErrorKind::io);
}

TEST(Module, ManyModulesComeAndGo) {
  Engine e = engine();
  // More than one chunk of the table of code regions; a trap in the last one is found there.
  std::vector<Instance> instances;
  for (int i = 0; i < 300; ++i) instances.push_back(instantiate(Linker(e), compile(e, kTraps)));
  expect_trap(must(instances.back().get_func("unreachable")).call(), TrapKind::unreachable);
  instances.erase(instances.begin(), instances.begin() + 200);
  expect_trap(must(instances.front().get_func("load")).call({Value(-1)}), TrapKind::out_of_bounds_memory);
  Instance fresh = instantiate(Linker(e), compile(e, kTraps));
  expect_trap(must(fresh.get_func("unreachable")).call(), TrapKind::unreachable);
}

TEST(Module, TextOfTheCode) {
  Config config;
  config.mode = CompileMode::aot;
  config.cpu = "baseline";
  Engine aot = must(Engine::create(config));
  auto has = [](const std::string& text, std::string_view part) { return text.find(part) != text.npos; };
  std::string all = must(Module::emit_text(aot, kTraps, CodeText::llvm_ir));
  EXPECT_TRUE(has(all, "@f0(") && has(all, "; \"div_s\"\n") && has(all, "sdiv i32"));
  EXPECT_EQ(all, must(Module::emit_text(aot, kTraps, CodeText::llvm_ir)));
  std::string raw = must(Module::emit_text(aot, kTraps, CodeText::llvm_ir_raw, "div_s"));
  EXPECT_TRUE(has(raw, "alloca") && !has(raw, "@f0("));
  EXPECT_FALSE(has(must(Module::emit_text(aot, kTraps, CodeText::llvm_ir, "3")), "alloca"));
  EXPECT_TRUE(has(must(Module::emit_text(aot, kTraps, CodeText::assembly, "div_s")), "idivl"));

  // Tier 1 calls itself straight, tier 0 through its slot.
  config.mode = CompileMode::lazy;
  Engine lazy = must(Engine::create(config));
  EXPECT_TRUE(has(must(Module::emit_text(lazy, kTraps, CodeText::llvm_ir, "recurse")), "call swiftcc i32 @f"));
  config.opt = OptLevel::o0;
  Engine tier0 = must(Engine::create(config));
  EXPECT_FALSE(has(must(Module::emit_text(tier0, kTraps, CodeText::llvm_ir, "recurse")), "call swiftcc i32 @f"));

  EXPECT_EQ(kind_of(Module::emit_text(aot, kTraps, CodeText::llvm_ir, "nobody")), ErrorKind::not_found);
  EXPECT_EQ(kind_of(Module::emit_text(aot, kTraps, CodeText::llvm_ir, "99")), ErrorKind::not_found);
  EXPECT_EQ(kind_of(Module::emit_text(aot, kHost, CodeText::llvm_ir, "add")), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(Module::emit_text(aot, std::span(kHost).first(20), CodeText::llvm_ir)), ErrorKind::malformed);
}

}  // namespace
}  // namespace rotor::runtime::test
