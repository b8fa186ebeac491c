// rotor validate: decodes and validates a module.
#include <fmt/format.h>

#include "tools/rotor/cli.h"

namespace rotor::cli {

void add_validate(CLI::App& app) {
  auto file = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("validate", "Say whether a module is valid, and if not, where");
  command->add_option("file", *file, "a .wasm file")->required();
  command->callback([file] {
    std::vector<uint8_t> bytes = read_file_or_die(*file);
    check_or_die(*file, Module::validate(Features{}, bytes));
    fmt::print("{}: valid\n", *file);
  });
}

}  // namespace rotor::cli
