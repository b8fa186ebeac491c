// Runs a file of `rotor compile` without the compiler: this program has no LLVM in it.
#include <cstdio>
#include <cstdlib>

#include "rotor/rotor.h"

static rotor::Result<int32_t> run(const char* file, const char* name, int32_t argument) {
  ROTOR_TRY(rotor::Engine engine, rotor::Engine::create());
  ROTOR_TRY(rotor::Module module, rotor::Module::deserialize_file(engine, file));
  ROTOR_TRY(rotor::Instance instance, rotor::Linker(engine).instantiate(module));
  ROTOR_TRY(auto function, instance.get_typed<int32_t(int32_t)>(name));
  return function(argument);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: precompiled FILE.rotor EXPORT NUMBER\n");
    return 2;
  }
  auto result = run(argv[1], argv[2], std::atoi(argv[3]));
  std::printf("%s\n", result ? std::to_string(*result).c_str() : result.error().to_string().c_str());
  return result ? 0 : 1;
}
