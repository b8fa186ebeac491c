#include "tools/rotor/invocation.h"

#include <fmt/format.h>

#include "rotor/detail/did_you_mean.h"
#include "rotor/printable.h"
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

namespace {

/// Returns the arguments with the lanes of vectors, which may be words of their own, joined to one word each:
/// `i32x4 1 2 3 4`.
std::vector<std::string> join_lanes(const FuncType& type, const std::vector<std::string>& words) {
  std::vector<std::string> args;
  for (size_t at = 0; at < words.size(); ++at) {
    args.push_back(words[at]);
    const bool is_vector = args.size() <= type.params.size() && type.params[args.size() - 1] == ValType::v128;
    for (size_t lanes = is_vector ? lanes_of_shape(words[at]) : 0; lanes > 0 && at + 1 < words.size(); --lanes)
      args.back() += ' ' + words[++at];
  }
  return args;
}

}  // namespace

std::vector<Value> parse_args_or_die(const std::string& file, const std::string& name, const FuncType& type,
                                     const std::vector<std::string>& words) {
  const std::vector<std::string> args = join_lanes(type, words);
  if (args.size() != type.params.size())
    die(Exit::usage, fmt::format("{}: \"{}\" takes {} argument{}, not {}: {}", file, name, type.params.size(),
                                 type.params.size() == 1 ? "" : "s", args.size(), to_string(type)));
  std::vector<Value> values;
  for (size_t i = 0; i < type.params.size(); ++i) {
    auto value = parse_value(type.params[i], args[i]);
    if (!value)
      die(Exit::usage, fmt::format("{}: \"{}\": argument {}: \"{}\" is no {}, which is written {}", file, name, i + 1,
                                   printable(args[i]), to_string(type.params[i]), how_to_write(type.params[i])));
    values.push_back(std::move(*value));
  }
  return values;
}

}  // namespace rotor::cli
