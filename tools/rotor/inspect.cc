// rotor inspect: what is in a module.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/rotor/cli.h"

namespace rotor::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKinds[] = {"func", "table", "memory", "global"};

/// How many of each kind, in the order of kKinds.
template <class Item>
std::array<size_t, 4> count_kinds(const std::vector<Item>& items) {
  std::array<size_t, 4> counts{};
  for (const Item& item : items) ++counts[item.type.index()];
  return counts;
}

std::string counts_text(const std::array<size_t, 4>& counts) {
  std::string text;
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i])
      text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", counts[i], kKinds[i], counts[i] > 1 ? "s" : "");
  return text.empty() ? "none" : text;
}

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "none beyond the first version" : fmt::format("{}", fmt::join(words, ", "));
}

void print_json(const std::string& file, uint64_t file_bytes, const Module& module) {
  Json json;
  json["file"] = file;
  json["bytes"] = file_bytes;
  json["features"] = module.required_features();
  auto sections = Json::array();
  for (const SectionInfo& section : module.sections())
    sections.push_back(
        {{"name", section.name}, {"custom", section.custom}, {"offset", section.offset}, {"size", section.size}});
  json["sections"] = std::move(sections);
  auto imports = Json::array();
  for (const ImportInfo& import : module.imports())
    imports.push_back({{"module", import.module},
                       {"name", import.name},
                       {"kind", kind_name(import.type)},
                       {"type", to_string(import.type)}});
  json["imports"] = std::move(imports);
  auto exports = Json::array();
  for (const ExportInfo& item : module.exports())
    exports.push_back({{"name", item.name}, {"kind", kind_name(item.type)}, {"type", to_string(item.type)}});
  json["exports"] = std::move(exports);
  const CompileStats& stats = module.compile_stats();
  json["totals"] = {{"functions", stats.functions},
                    {"code_bytes", stats.code_bytes},
                    {"imports", module.imports().size()},
                    {"exports", module.exports().size()}};
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_text(const std::string& file, uint64_t file_bytes, const Module& module) {
  const CompileStats& stats = module.compile_stats();
  fmt::print("{}: {} bytes, {} functions, {} bytes of machine code\n", file, file_bytes, stats.functions,
             stats.code_bytes);
  fmt::print("features: {}\n", joined(module.required_features()));
  fmt::print("\nsections:\n");
  for (const SectionInfo& section : module.sections())
    fmt::print("  {:#010x} {:>10}  {}{}\n", section.offset, section.size, section.custom ? "custom " : "",
               section.name);
  fmt::print("\nimports: {}\n", counts_text(count_kinds(module.imports())));
  for (const ImportInfo& import : module.imports())
    fmt::print("  {}.{}: {}\n", import.module, import.name, to_string(import.type));
  fmt::print("\nexports: {}\n", counts_text(count_kinds(module.exports())));
  for (const ExportInfo& item : module.exports()) fmt::print("  {}: {}\n", item.name, to_string(item.type));
}

struct InspectOptions {
  std::string file;
  bool json = false;
};

void inspect(const InspectOptions& options) {
  EngineOptions engine_options;
  engine_options.mode = "lazy";  // nothing is called: nothing is compiled
  Engine engine = engine_or_die(engine_options);
  Module module = load_module_or_die(engine, options.file).module;
  uint64_t file_bytes = read_file_or_die(options.file).size();
  (options.json ? print_json : print_text)(options.file, file_bytes, module);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand("inspect", "Show imports, exports, sections, features and sizes of a module");
  command->add_option("file", options->file, "a .wasm, .wat or code file")->required();
  command->add_flag("--json", options->json, "as JSON");
  command->callback([options] { inspect(*options); });
}

}  // namespace rotor::cli
