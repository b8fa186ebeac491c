// rotor validate: decodes and validates a module.
#include <fmt/format.h>

#include "tools/rotor/cli.h"
#include "tools/rotor/module_file.h"

namespace rotor::cli {

void add_validate(CLI::App& app) {
  struct Options {
    std::string file;
    Features features;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("validate", "Say whether a module is valid, and if not, where");
  command->add_option("file", options->file, "a .wasm or .wat file")->required();
  add_features(*command, options->features);
  command->callback([options] {
    ModuleFile file = read_module_file_or_die(options->file);
    if (auto valid = Module::validate(options->features, file.module.bytes); !valid) die(file, valid.error());
    print("{}: valid\n", options->file);
  });
}

}  // namespace rotor::cli
