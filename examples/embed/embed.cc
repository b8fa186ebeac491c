#include <cstdio>

#include "rotor/rotor.h"

// (func (export "twice") (param i32) (result i32) (call $log (local.get 0)) (i32.add (local.get 0) (local.get 0)))
static const uint8_t kModule[] =
    "\0asm\1\0\0\0\1\x0a\2\x60\1\x7f\0\x60\1\x7f\1\x7f\2\x0b\1\3env\3log\0\0\3\2\1\1\7\x09\1\5twice\0\1\x0a\x0d\1\x0b\0"
    "\x20\0\x10\0\x20\0\x20\0\x6a\x0b";

static rotor::Result<int32_t> run() {
  ROTOR_TRY(rotor::Engine engine, rotor::Engine::create());
  ROTOR_TRY(rotor::Module module, rotor::Module::compile(engine, {kModule, sizeof kModule - 1}));
  rotor::Linker linker(engine);
  linker.define("env", "log", [](int32_t value) { std::printf("the guest says %d\n", value); });
  ROTOR_TRY(rotor::Instance instance, linker.instantiate(module));
  ROTOR_TRY(auto twice, instance.get_typed<int32_t(int32_t)>("twice"));
  return twice(21);
}

int main() {
  auto result = run();
  std::printf("%s\n", result ? std::to_string(*result).c_str() : result.error().to_string().c_str());
  return result && *result == 42 ? 0 : 1;
}
