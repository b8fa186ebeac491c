#include "tools/rotor/wasi_options.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "rotor/printable.h"
#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

struct FolderOption {
  std::string host;
  std::string guest;
  wasi::Access access = wasi::Access::read_write;
};

FolderOption parse_folder(std::string_view text) {
  FolderOption folder;
  if (text.ends_with(":ro")) {
    folder.access = wasi::Access::read_only;
    text.remove_suffix(3);
  }
  const size_t colons = text.find("::");
  folder.host = text.substr(0, colons);
  folder.guest = colons == text.npos ? folder.host : text.substr(colons + 2);
  return folder;
}

std::string check_folder(const std::string& text) {
  const FolderOption folder = parse_folder(text);
  return folder.host.empty() || folder.guest.empty() ? "a folder has a name: HOST, HOST::GUEST, HOST::GUEST:ro"
                                                     : std::string();
}

std::string check_variable(const std::string& text) {
  return text.find('=') == 0 || !text.contains('=') ? "a variable is NAME=VALUE" : std::string();
}

/// Opens what --stdin names, or ends the command. A pipe waits for its writer, as it would for a shell.
wasi::Input input_or_die(const std::string& text) {
  if (text == "-") return wasi::Input::inherit();
  if (text == "none") return wasi::Input::none();
  const int fd = open(text.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) die(Exit::usage, fmt::format("--stdin {}: {}", printable(text), std::strerror(errno)));
  struct stat stat;
  if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode)) {
    close(fd);
    die(Exit::usage, fmt::format("--stdin {}: {}", printable(text), std::strerror(EISDIR)));
  }
  return wasi::Input::descriptor(fd);
}

}  // namespace

void WasiOptions::add_to(CLI::App& command) {
  command
      .add_option("--dir", folders,
                  "a folder that a WASI guest may use, by another name for it, only to read: HOST[::GUEST][:ro]")
      ->check(check_folder)
      ->allow_extra_args(false);
  command
      .add_option(
          "--stdin", input,
          "a file that a WASI guest's standard input is; none: it is at its end; -: the command's own (default)")
      ->type_name("FILE|none|-")
      ->allow_extra_args(false);
  command.add_option("--env", variables, "a variable of a WASI guest's environment: NAME=VALUE")
      ->check(check_variable)
      ->allow_extra_args(false);
}

wasi::Environment WasiOptions::environment_or_die(const std::string& file, std::vector<std::string> args,
                                                  WasiOutputs outputs) const {
  wasi::Builder builder;
  builder.args(std::move(args))
      .standard_in(input_or_die(input))
      .standard_out(outputs == WasiOutputs::none ? wasi::Output::none() : wasi::Output::inherit())
      .standard_error(outputs == WasiOutputs::none ? wasi::Output::none() : wasi::Output::inherit());
  for (const std::string& text : folders) {
    FolderOption folder = parse_folder(text);
    builder.folder(std::move(folder.host), std::move(folder.guest), folder.access);
  }
  for (const std::string& text : variables) {
    const size_t equals = text.find('=');
    builder.env(text.substr(0, equals), text.substr(equals + 1));
  }
  return value_or_die(file, builder.build());
}

}  // namespace rotor::cli
