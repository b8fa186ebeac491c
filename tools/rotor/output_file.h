// Files that appear whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "rotor/result.h"

namespace rotor::cli {

/// Whether `write_output_file` may work: asked before a long run, so that its result is not lost. Errors: io.
Result<void> check_output_file(const std::string& path);
/// Writes beside the file, then renames; what is no regular file (a pipe, a device) is written to as it is. On errors
/// the file is what it was. Errors: io, naming the file.
Result<void> write_output_file(const std::string& path, std::string_view text);

}  // namespace rotor::cli
