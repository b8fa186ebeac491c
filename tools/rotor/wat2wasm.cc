// rotor wat2wasm: encodes a module of the text format.
#include <unistd.h>

#include "tools/rotor/cli.h"
#include "tools/rotor/module_file.h"
#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

struct Options {
  std::string file;
  std::string output = "-";
  bool names = false;
};

void wat2wasm(const Options& options) {
  std::vector<uint8_t> text = read_file_or_die(options.file);
  ModuleFile file = module_file_or_die(options.file, std::move(text), {.names = options.names});
  if (file.text.empty()) die(Exit::failed, options.file + ": not a text");
  if (options.output == "-" && isatty(STDOUT_FILENO))
    die(Exit::usage, "a binary is nothing for a terminal: name a file with -o");
  const std::vector<uint8_t>& bytes = file.module.bytes;
  auto written = write_output_file(options.output, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  check_or_die(options.output, written);
}

}  // namespace

void add_wat2wasm(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("wat2wasm", "Encode a module of the text format; it is not validated");
  command->add_option("file", options->file, "a .wat file")->required();
  command->add_option("-o,--output", options->output, "the .wasm file; if not standard output");
  command->add_flag("--names", options->names, "keep the text's $names in a name section");
  command->callback([options] { wat2wasm(*options); });
}

}  // namespace rotor::cli
