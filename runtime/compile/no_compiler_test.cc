// What a program that links rotor-runtime can and can't do.
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

void expect_no_compiler(const Error& error) {
  EXPECT_EQ(error.kind, ErrorKind::unsupported);
  EXPECT_NE(error.message.find("without the compiler"), std::string::npos) << error.message;
}

TEST(NoCompiler, ModulesAreValidated) { EXPECT_TRUE(Module::validate({}, kTraps)); }

TEST(NoCompiler, CompilingIsAnErrorThatSaysWhy) {
  for (CompileMode mode : {CompileMode::aot, CompileMode::eager}) {
    Config config;
    config.mode = mode;
    auto module = Module::compile(must(Engine::create(config)), kTraps);
    ASSERT_FALSE(module);
    expect_no_compiler(module.error());
  }
}

TEST(NoCompiler, ThereIsNoTextOfTheCode) {
  auto text = Module::emit_text(must(Engine::create()), kTraps, CodeText::llvm_ir);
  ASSERT_FALSE(text);
  expect_no_compiler(text.error());
}

TEST(NoCompiler, AFunctionWithoutCodeFailsItsCall) {
  Config config;
  config.mode = CompileMode::lazy;
  Engine e = must(Engine::create(config));
  Instance instance = instantiate(Linker(e), compile(e, kTraps));
  for (int again = 0; again < 2; ++again) {
    auto result = must(instance.get_func("div_s")).call({Value(7), Value(2)});
    ASSERT_FALSE(result);
    expect_no_compiler(result.error());
  }
}

}  // namespace
}  // namespace rotor::runtime::test
