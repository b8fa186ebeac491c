// What stands behind rotor_wasi_t: a builder, until a linker asks for the environment.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rotor/wasi.h"

struct rotor_wasi_t {
  rotor::wasi::Builder builder;
  std::vector<std::string> args;
  std::shared_ptr<rotor::wasi::Buffer> outputs[2];                               ///< null: not captured
  std::map<std::string, rotor::wasi::MemoryFolder, std::less<>> memory_folders;  ///< by what the guest calls them
  std::optional<rotor::wasi::Environment> environment;
};
