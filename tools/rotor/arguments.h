// The arguments of the command line, before the parser gets them.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace rotor::cli {

/// A mark that is put before arguments of a guest's that the parser must not take for the tool's options.
inline constexpr const char* kGuestMark = "\x01";

/// Returns the arguments as CLI11 wants them, the last first. `help X` becomes `X --help`, and `bench FILE`
/// `bench run FILE`. What belongs to a guest is
/// marked: of `run` and `bench run`, all behind the file, unless `--invoke` stands before the file or among the tool's
/// options that follow it; else numbers that look like options (-inf), and all behind `--`.
std::vector<std::string> parser_arguments(const CLI::App& app, int argc, char** argv);

/// Restores an argument as the user wrote it.
void unmark(std::string& argument);

}  // namespace rotor::cli
