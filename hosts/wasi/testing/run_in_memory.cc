// Runs a WASI command as `rotor run` does, but with its folder in memory: what is in the folder of the host's is put
// there first, and what the guest does to it is forgotten. For the suite of WASI, by spec-tests/run_wasi_test.py.
//   wasi_in_memory run --no-cache [--dir HOST::GUEST] [--env NAME=VALUE]... PROGRAM.wasm -- [ARGUMENT...]
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rotor/rotor.h"
#include "rotor/wasi.h"

namespace {

using rotor::Result;
namespace wasi = rotor::wasi;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Result<wasi::MemoryFolder> copy_of(const std::filesystem::path& root) {
  wasi::MemoryFolder folder;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string name = std::filesystem::relative(entry.path(), root).string();
    if (entry.is_directory()) ROTOR_CHECK(folder.add_folder(name));
    if (entry.is_regular_file()) ROTOR_CHECK(folder.add_file(name, read_file(entry.path())));
  }
  return folder;
}

Result<int> run(const std::vector<std::string>& args) {
  wasi::Builder builder;
  size_t at = 2;  // behind "run" and "--no-cache"
  for (; at + 1 < args.size() && args[at].starts_with("--"); at += 2) {
    const std::string& value = args[at + 1];
    if (args[at] == "--dir") {
      const size_t colons = value.find("::");
      ROTOR_TRY(wasi::MemoryFolder folder, copy_of(value.substr(0, colons)));
      builder.folder(std::move(folder), value.substr(colons + 2));
    } else {
      builder.env(value.substr(0, value.find('=')), value.substr(value.find('=') + 1));
    }
  }
  if (at + 2 > args.size()) return rotor::fail(rotor::ErrorKind::invalid_argument, "no program");
  const std::string code = read_file(args[at]);
  std::vector<std::string> guest_args = {args[at]};
  guest_args.insert(guest_args.end(), args.begin() + static_cast<std::ptrdiff_t>(at) + 2, args.end());
  builder.args(std::move(guest_args)).standard_in(wasi::Input::inherit());
  builder.standard_out(wasi::Output::inherit()).standard_error(wasi::Output::inherit());
  ROTOR_TRY(wasi::Environment environment, builder.build());
  ROTOR_TRY(rotor::Engine engine, rotor::Engine::create());
  ROTOR_TRY(rotor::Module module, rotor::Module::compile(engine, std::vector<uint8_t>(code.begin(), code.end())));
  rotor::Linker linker(engine);
  wasi::define(linker, environment);
  ROTOR_TRY(rotor::Instance instance, linker.instantiate(module));
  ROTOR_TRY(uint32_t exit_code, wasi::run_command(instance, environment));
  return static_cast<int>(exit_code);
}

}  // namespace

int main(int argc, char** argv) {
  auto code = run({argv + 1, argv + argc});
  if (!code) std::fprintf(stderr, "%s\n", code.error().to_string().c_str());
  return code ? *code : 1;
}
