// rotor inspect: shows what is in a module.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/rotor/cli.h"
#include "tools/rotor/module_file.h"

namespace rotor::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKinds[] = {"func", "table", "memory", "global"};

/// Counts the items of each kind, in the order of kKinds.
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

template <class Section>
Json sections_json(const std::vector<Section>& sections) {
  auto json = Json::array();
  for (const Section& section : sections)
    json.push_back(
        {{"name", section.name}, {"custom", section.custom}, {"offset", section.offset}, {"size", section.size}});
  return json;
}

void print_json(const std::string& file, uint64_t file_bytes, const Module& module) {
  Json json;
  json["file"] = file;
  json["bytes"] = file_bytes;
  json["features"] = module.required_features();
  json["sections"] = sections_json(module.sections());
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
  print("{}\n", json_text(json, 2));
}

template <class Section>
void print_sections(const std::vector<Section>& sections) {
  print("\nsections:\n");
  for (const Section& section : sections)
    print("  {:#010x} {:>10}  {}{}\n", section.offset, section.size, section.custom ? "custom " : "",
          printable_name(section.name));
}

void print_text(const std::string& file, uint64_t file_bytes, const Module& module) {
  const CompileStats& stats = module.compile_stats();
  print("{}: {} bytes, {} functions, {} bytes of machine code\n", file, file_bytes, stats.functions, stats.code_bytes);
  print("features: {}\n", joined(module.required_features()));
  print_sections(module.sections());
  print("\nimports: {}\n", counts_text(count_kinds(module.imports())));
  for (const ImportInfo& import : module.imports())
    print("  {}.{}: {}\n", printable_name(import.module), printable_name(import.name), to_string(import.type));
  print("\nexports: {}\n", counts_text(count_kinds(module.exports())));
  for (const ExportInfo& item : module.exports()) print("  {}: {}\n", printable_name(item.name), to_string(item.type));
}

// For a module that can't be run, prints what its sections say.

void print_json(const std::string& file, uint64_t file_bytes, const ModuleOutline& outline, const Error& error) {
  Json json;
  json["file"] = file;
  json["bytes"] = file_bytes;
  json["error"] = error.to_string();
  if (outline.problem) json["unread"] = outline.problem->to_string();
  json["sections"] = sections_json(outline.sections);
  auto imports = Json::array();
  for (const ModuleOutline::Import& import : outline.imports)
    imports.push_back({{"module", import.module}, {"name", import.name}, {"kind", import.kind}, {"type", import.type}});
  json["imports"] = std::move(imports);
  auto exports = Json::array();
  for (const ModuleOutline::Export& item : outline.exports)
    exports.push_back({{"name", item.name}, {"kind", item.kind}, {"index", item.index}});
  json["exports"] = std::move(exports);
  print("{}\n", json_text(json, 2));
}

void print_text(const std::string& file, uint64_t file_bytes, const ModuleOutline& outline, const Error& error) {
  print("{}: {} bytes; it can't be run: {}\n", file, file_bytes, error.to_string());
  if (outline.problem) print("not all of it could be read: {}\n", outline.problem->to_string());
  print_sections(outline.sections);
  print("\nimports: {}\n", outline.imports.size());
  for (const ModuleOutline::Import& import : outline.imports)
    print("  {}.{}: {}\n", printable_name(import.module), printable_name(import.name), import.type);
  print("\nexports: {}\n", outline.exports.size());
  for (const ModuleOutline::Export& item : outline.exports)
    print("  {}: {} {}\n", printable_name(item.name), item.kind, item.index);
}

struct InspectOptions {
  std::string file;
  bool json = false;
};

void inspect(const InspectOptions& options) {
  EngineOptions engine_options;
  engine_options.mode = "lazy";  // nothing is called: nothing is compiled
  Engine engine = engine_or_die(engine_options);
  auto print_all = [&](auto&&... what) {
    (options.json ? print_json(options.file, what...) : print_text(options.file, what...));
  };
  auto loaded = load_module(engine, options.file);
  if (loaded) return print_all(loaded->file_bytes, loaded->module);
  const ModuleFile& file = loaded.error().file;
  auto outline = outline_module(file.module.bytes);
  if (!outline) die(file, loaded.error().error);
  print_all(file.size, *outline, loaded.error().error);
  die(file, loaded.error().error);
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
