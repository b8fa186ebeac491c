#include "tools/rotor/invocation.h"

#include <fmt/format.h>

#include "rotor/detail/did_you_mean.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/module_file.h"
#include "tools/rotor/value_text.h"

namespace rotor::cli {

FuncType exported_type_or_die(const std::string& file, const Module& module, const std::string& name,
                              std::string_view hint) {
  const ExternType* type = module.export_type(name);
  if (!type) {
    std::vector<std::string_view> names;
    for (const ExportInfo& item : module.exports())
      if (std::holds_alternative<FuncType>(item.type)) names.push_back(item.name);
    die(Exit::usage, fmt::format("{}: no export \"{}\"{}{}", file, name, detail::did_you_mean(name, names), hint));
  }
  if (const auto* func = std::get_if<FuncType>(type)) return *func;
  die(Exit::usage, fmt::format("{}: export \"{}\" is a {}, not a func", file, name, kind_name(*type)));
}

std::vector<Value> parse_args_or_die(const std::string& file, const std::string& name, const FuncType& type,
                                     const std::vector<std::string>& args) {
  if (args.size() != type.params.size())
    die(Exit::usage, fmt::format("{}: \"{}\" takes {} arguments, not {}: {}", file, name, type.params.size(),
                                 args.size(), to_string(type)));
  std::vector<Value> values;
  for (size_t i = 0; i < type.params.size(); ++i) {
    auto value = parse_value(type.params[i], args[i]);
    if (!value)
      die(Exit::usage, fmt::format("{}: \"{}\": argument {}: \"{}\" is no {}", file, name, i + 1, args[i],
                                   to_string(type.params[i])));
    values.push_back(std::move(*value));
  }
  return values;
}

void unmark(std::string& argument) {
  if (argument.starts_with(kGuestMark)) argument.erase(0, 1);
}

}  // namespace rotor::cli
