// rotor compile: writes a module's linked code to a file.
#include <fmt/format.h>

#include <filesystem>

#include "tools/rotor/cli.h"

namespace rotor::cli {
namespace {

struct CompileOptions {
  std::string file;
  std::string output;
  EngineOptions engine;
};

void compile(const CompileOptions& options) {
  std::vector<uint8_t> bytes = read_file_or_die(options.file);
  Engine engine = engine_or_die(options.engine);
  Module module = value_or_die(options.file, Module::compile(engine, bytes));
  check_or_die(options.output, module.serialize_to_file(options.output));
  const CompileStats& stats = module.compile_stats();
  std::error_code ignored;
  fmt::print(stderr, "{}: {} functions, {} bytes of code, file of {} bytes; {:.1f} ms wall, {:.1f} ms CPU\n",
             options.output, stats.functions, stats.code_bytes, std::filesystem::file_size(options.output, ignored),
             stats.wall_ms, stats.cpu_ms);
}

}  // namespace

void add_compile(CLI::App& app) {
  auto options = std::make_shared<CompileOptions>();
  CLI::App* command =
      app.add_subcommand("compile", "Write linked code to a file, to be run later without the compiler");
  command->add_option("file", options->file, "a .wasm file")->required();
  command->add_option("-o,--output", options->output, "the code file")->required();
  options->engine.add_to(*command);
  command->callback([options] { compile(*options); });
}

}  // namespace rotor::cli
