// Module::emit_text: the compiler's work for people to read.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "code/compiler.h"
#include "memory/fork.h"
#include "rotor/module.h"
#include "rotor/printable.h"
#include "runtime/access.h"
#include "runtime/engine.h"
#include "wasm/decode_module.h"
#include "wasm/names.h"

namespace rotor {

namespace {

/// Returns all functions of a name, ascending. The name of an export belongs to one function only.
std::vector<uint32_t> functions_named(const wasm::Module& module, std::span<const uint8_t> bytes,
                                      std::string_view name) {
  for (const wasm::Export& item : module.exports)
    if (item.kind == wasm::ExternKind::func && item.name == name) return {item.index};
  std::vector<uint32_t> found;
  for (const auto& [index, known] : wasm::decode_names(module, bytes).functions)
    if (known == name) found.push_back(index);
  std::ranges::sort(found);
  return found;
}

/// Returns the index, among the defined functions, of the function that `func` means.
Result<uint32_t> find_function(const wasm::Module& module, std::span<const uint8_t> bytes, std::string_view func) {
  uint32_t index = 0;
  if (func.find_first_not_of("0123456789") == func.npos) {
    auto read = std::from_chars(func.data(), func.data() + func.size(), index);
    if (read.ec != std::errc() || index >= module.funcs.size())
      return fail(ErrorKind::not_found,
                  fmt::format("no function {}: there are {}", printable_name(func), module.funcs.size()));
  } else {
    std::vector<uint32_t> found = functions_named(module, bytes, func);
    if (found.empty()) return fail(ErrorKind::not_found, fmt::format("no function \"{}\"", printable_name(func)));
    if (found.size() > 1)
      return fail(ErrorKind::invalid_argument,
                  fmt::format("functions {} are all called \"{}\"", fmt::join(found, ", "), printable_name(func)));
    index = found.front();
  }
  if (index < module.imported_funcs)
    return fail(ErrorKind::invalid_argument, fmt::format("function {} is imported: it has no code here", func));
  return index - module.imported_funcs;
}

}  // namespace

Result<std::string> Module::emit_text(const Engine& engine, std::span<const uint8_t> bytes, CodeText text,
                                      std::string_view func) {
  const Config& config = engine.config();
  ROTOR_TRY(wasm::Module module, wasm::decode_module(bytes, {.features = config.features, .bodies_elsewhere = false}));
  std::optional<uint32_t> defined_func;
  if (!func.empty()) {
    ROTOR_TRY(defined_func, find_function(module, bytes, func));
  }
  memory::ForkPass pass;
  return code::emit_text(module, bytes, runtime::impl_of(engine).compile_options(), text, defined_func);
}

}  // namespace rotor
