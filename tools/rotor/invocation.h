// A call of an export, as a command line names it: `--invoke NAME` and arguments as text.
#pragma once

#include <string>
#include <vector>

#include "rotor/rotor.h"

namespace rotor::cli {

/// Returns the type of an exported function, or ends the command. `hint` is added to the message if there is no such
/// export.
FuncType exported_type_or_die(const std::string& file, const Module& module, const std::string& name,
                              std::string_view hint = {});

/// Parses arguments of an export, or ends the command. A vector may be one word or several.
std::vector<Value> parse_args_or_die(const std::string& file, const std::string& name, const FuncType& type,
                                     const std::vector<std::string>& words);

}  // namespace rotor::cli
