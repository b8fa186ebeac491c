// The page of `rotor explore`: the functions of a module as wasm beside their machine code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rotor::cli {

/// A line of a function, in either language.
struct ExploredLine {
  uint64_t offset = 0;  ///< in the module, of the instruction that it is or comes from; 0: of none
  std::string text;
};

struct ExploredFunction {
  uint32_t index = 0;  ///< in the module, imported functions counted
  std::string name;    ///< printable; empty: it has none
  std::vector<ExploredLine> wasm;
  std::vector<ExploredLine> machine;
};

/// Returns the page: all of it in one file that loads nothing. What comes from the module is in it as compressed data,
/// and becomes text of the page when it is looked at, never markup. `title` and `facts` are escaped. Functions are
/// shown one at a time, so that there may be many.
std::string explore_page(const std::string& title, const std::string& facts,
                         const std::vector<ExploredFunction>& functions);

}  // namespace rotor::cli
