// rotor validate: decodes and validates a module.
#include <fmt/format.h>

#include "tools/rotor/cli.h"

namespace rotor::cli {

void add_validate(CLI::App& app) {
  struct Options {
    std::string file;
    Features features;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("validate", "Say whether a module is valid, and if not, where");
  command->add_option("file", options->file, "a .wasm file")->required();
  add_features(*command, options->features);
  command->callback([options] {
    std::vector<uint8_t> bytes = read_file_or_die(options->file);
    check_or_die(options->file, Module::validate(options->features, bytes));
    fmt::print("{}: valid\n", options->file);
  });
}

}  // namespace rotor::cli
