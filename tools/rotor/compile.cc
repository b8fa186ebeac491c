// rotor compile: writes a module's linked code to a file, or shows what the compiler makes of it.
#include <fmt/format.h>

#include "tools/rotor/cli.h"
#include "tools/rotor/module_file.h"

namespace rotor::cli {
namespace {

struct CompileOptions {
  std::string file;
  std::string output;
  std::string emit;
  std::string func;
  EngineOptions engine;
};

void emit(const CompileOptions& options) {
  ModuleFile file = read_module_file_or_die(options.file);
  Engine engine = engine_or_die(options.engine);
  CodeText kind = options.emit == "asm"           ? CodeText::assembly
                  : options.emit == "llvm-ir-raw" ? CodeText::llvm_ir_raw
                                                  : CodeText::llvm_ir;
  std::string text = value_or_die(file, Module::emit_text(engine, file.module.bytes, kind, options.func));
  std::string output = options.output.empty() ? "-" : options.output;
  check_or_die(output, write_output_file(output, text));
}

void compile(const CompileOptions& options) {
  check_or_die(options.output, check_output_file(options.output));
  ModuleFile file = read_module_file_or_die(options.file);
  Engine engine = engine_or_die(options.engine);
  Module module = value_or_die(file, Module::compile(engine, file.module.bytes));
  const std::vector<uint8_t> code = value_or_die(file, module.serialize());
  check_or_die(options.output,
               write_output_file(options.output, {reinterpret_cast<const char*>(code.data()), code.size()}));
  const CompileStats& stats = module.compile_stats();
  print_error("{}: {} functions, {} bytes of code, file of {} bytes; {:.1f} ms wall, {:.1f} ms CPU\n", options.output,
              stats.functions, stats.code_bytes, code.size(), stats.wall_ms, stats.cpu_ms);
}

}  // namespace

void add_compile(CLI::App& app) {
  auto options = std::make_shared<CompileOptions>();
  CLI::App* command =
      app.add_subcommand("compile", "Write linked code to a file, to be run later without the compiler");
  command->add_option("file", options->file, "a .wasm or .wat file")->required();
  command->add_option("-o,--output", options->output, "the code file, - is standard output; of --emit: if not stdout");
  auto* emit_option =
      command->add_option("--emit", options->emit, "print what the compiler makes, instead of writing linked code")
          ->check(CLI::IsMember({"llvm-ir", "llvm-ir-raw", "asm"}));
  command->add_option("--func", options->func, "only of this function: its index or its name")->needs(emit_option);
  options->engine.add_to(*command);
  command->add_flag("--interruptible", options->engine.interruptible, "code that deadlines can end");
  command->add_flag("--fuel", options->engine.fuel, "code that pays for what it executes, for `rotor run --fuel`");
  command->callback([options] {
    if (!options->emit.empty()) return emit(*options);
    if (options->output.empty()) throw CLI::RequiredError("--output");
    compile(*options);
  });
}

}  // namespace rotor::cli
