// Runs a WASI program with a folder of its own: wasi PROGRAM.wasm FOLDER [ARGUMENT...]
#include <cstdio>
#include <fstream>
#include <iterator>

#include "rotor/rotor.h"
#include "rotor/wasi.h"

namespace {

rotor::Result<uint32_t> run(const std::string& program, const std::string& folder, std::vector<std::string> args) {
  std::ifstream in(program, std::ios::binary);
  const std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  ROTOR_TRY(rotor::Engine engine, rotor::Engine::create());
  ROTOR_TRY(rotor::Module module, rotor::Module::compile(engine, bytes));

  auto output = std::make_shared<rotor::wasi::Buffer>();
  rotor::wasi::Builder builder;
  builder.args(std::move(args)).folder(folder, "/data", rotor::wasi::Access::read_only);
  builder.standard_out(rotor::wasi::Output::buffer(output)).standard_error(rotor::wasi::Output::inherit());
  ROTOR_TRY(rotor::wasi::Environment environment, builder.build());

  rotor::Linker linker(engine);
  rotor::wasi::define(linker, environment);
  ROTOR_TRY(rotor::Instance instance, linker.instantiate(module));
  ROTOR_TRY(uint32_t code, rotor::wasi::run_command(instance, environment));
  std::printf("%s", output->contents().c_str());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: wasi PROGRAM.wasm FOLDER [ARGUMENT...]\n", stderr), 2;
  std::vector<std::string> args(argv + 3, argv + argc);
  args.insert(args.begin(), argv[1]);
  auto code = run(argv[1], argv[2], std::move(args));
  if (!code) std::fprintf(stderr, "%s\n", code.error().to_string().c_str());
  return code ? static_cast<int>(*code) : 1;
}
