// rotor wasm2wat: prints a binary module as text.
#include "rotor/wat.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

struct Options {
  std::string file;
  std::string output = "-";
  bool no_names = false;
  bool no_custom = false;
};

void wasm2wat(const Options& options) {
  std::vector<uint8_t> module = read_file_or_die(options.file);
  auto text = wasm_to_wat(module, {.names = !options.no_names, .custom_sections = !options.no_custom});
  if (!text) die(options.file, text.error());
  check_or_die(options.output, write_output_file(options.output, *text));
}

}  // namespace

void add_wasm2wat(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("wasm2wat", "Print a binary module as text; it is not validated");
  command->add_option("file", options->file, "a .wasm file")->required();
  command->add_option("-o,--output", options->output, "the .wat file; if not standard output");
  command->add_flag("--no-names", options->no_names, "numbers instead of the name section's names");
  command->add_flag("--no-custom", options->no_custom, "leave custom sections and branch hints out");
  command->callback([options] { wasm2wat(*options); });
}

}  // namespace rotor::cli
