// rotor policy check: shows what a policy takes each export and import of a module for, and by which rule.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

#include "rotor/proxy.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/module_file.h"

namespace rotor::cli {
namespace {

constexpr size_t kMaxColumn = 60;  // characters; longer text only shifts the rest of its own line
constexpr size_t kMaxUnsaid = 12;  // lines of a list that --all shows as a whole

struct PolicyCheckOptions {
  std::string module;
  std::string policy;
  bool all = false;
  bool json = false;
};

using Row = std::vector<std::string>;

void print_table(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], std::min(row[i].size(), kMaxColumn));
  }
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); i++) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    print("{}\n", line);
  }
}

template <class Kind>
std::string words(const std::vector<Kind>& kinds) {
  std::string text;
  for (Kind kind : kinds) {
    if (!text.empty()) text += ' ';
    text += to_string(kind);
  }
  return text.empty() ? "-" : text;
}

std::string effect_text(const ExplainedExport& item) {
  if (!item.raw_only.empty()) return "raw only";
  std::string text = to_string(item.effect);
  if (item.once) text += " once";
  if (item.local) text += " local";
  if (item.reads) text += " reads";
  if (item.retry) text += " retry";
  if (item.key) text += fmt::format(" key[{}]", fmt::join(*item.key, " "));
  return text;
}

/// Returns the rule as text; a name in it that is the export's own is left out.
std::string rule_text(const std::string& rule, const std::string& name) {
  return rule.ends_with(" " + name) ? rule.substr(0, rule.size() - name.size() - 1) : rule;
}

/// Returns a name as a key of a policy file.
std::string toml_key(const std::string& name) {
  const bool is_bare = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return is_bare ? name : fmt::format("\"{}\"", printable_name(name));
}

/// Returns the name of an export; and what the module calls it, if that is something else.
std::string shown_name(const ExplainedExport& item) {
  if (item.name == item.export_name) return printable_name(item.name);
  return fmt::format("{} ({})", printable_name(item.name), printable_name(item.export_name));
}

bool is_mentioned(const std::string& rule) { return rule != "default" && rule != "preset"; }

void print_counts(const char* what, const std::map<std::string, size_t>& counts) {
  for (const auto& [how, count] : counts)
    print("not mentioned: {} {}{}, {}\n", count, what, count == 1 ? "" : "s", how);
}

void print_exports(const PolicyExplanation& explained, bool all) {
  std::vector<Row> rows = {{"export", "type", "effect", "arguments", "results", "rule"}};
  std::map<std::string, size_t> others;
  for (const ExplainedExport& item : explained.exports) {
    if (!all && !is_mentioned(item.rule)) {
      others[fmt::format("{} ({})", effect_text(item), item.rule)]++;
      continue;
    }
    rows.push_back({shown_name(item), to_string(item.type), effect_text(item), words(item.args), words(item.results),
                    printable_name(rule_text(item.rule, item.name))});
  }
  if (rows.size() > 1) print_table(rows);
  print_counts("export", others);
}

/// Prints the lines that make queries of what is a build because nothing says what it is; once such exports were
/// queries.
void print_migration(const PolicyExplanation& explained, bool all) {
  std::vector<std::string> lines;
  for (const ExplainedExport& item : explained.exports) {
    if (!item.unsaid) continue;
    const bool named = is_mentioned(item.rule);
    std::string line = named ? fmt::format("{}: effect = \"query\"", printable_name(item.rule))
                             : fmt::format("{} = {{ effect = \"query\" }}", toml_key(item.name));
    if (std::ranges::find(lines, line) == lines.end()) lines.push_back(std::move(line));
  }
  if (lines.empty()) return;
  print(
      "\nbuilds, since no line says what they are: each call is recorded and replayed. Where no later call needs what\n"
      "a call does, say so (this is what they were taken for once):\n");
  const size_t shown = all ? lines.size() : std::min(lines.size(), kMaxUnsaid);
  for (size_t i = 0; i < shown; i++) print("  {}\n", lines[i]);
  if (shown < lines.size()) print("  and {} more (--all)\n", lines.size() - shown);
}

/// Prints what RotationMode::checkpoint makes of the exports.
void print_allowed(const PolicyExplanation& explained, bool all) {
  std::vector<Row> rows = {{"export", "type", "a call", "returns", "rule"}};
  std::map<std::string, size_t> others;
  for (const ExplainedExport& item : explained.exports) {
    if (!all && item.leaves == Leaves::state) {
      others[to_string(item.leaves)]++;
      continue;
    }
    const std::string& rule = item.allow_rule.empty() ? item.rule : item.allow_rule;
    rows.push_back({shown_name(item), to_string(item.type), to_string(item.leaves),
                    item.leaves == Leaves::state ? "-" : to_string(item.returned),
                    printable_name(rule_text(rule, item.name))});
  }
  if (rows.size() > 1) print_table(rows);
  for (const auto& [how, count] : others)
    print("not allowed: {} export{}, of which each call {}\n", count, count == 1 ? "" : "s", how);
}

void print_warnings(const PolicyExplanation& explained) {
  for (const std::string& warning : explained.warnings) print("warning: {}\n", warning);
}

void print_imports(const PolicyExplanation& explained, bool all) {
  if (explained.imports.empty()) return;
  print("\n");
  std::vector<Row> rows = {{"import", "type", "in a replay", "arguments", "rule"}};
  std::map<std::string, size_t> others;
  for (const ExplainedImport& item : explained.imports) {
    if (!all && !is_mentioned(item.rule)) {
      others[fmt::format("{} ({})", to_string(item.mode), item.rule)]++;
      continue;
    }
    rows.push_back({printable_name(item.name), to_string(item.type), to_string(item.mode),
                    item.mode == ImportMode::run ? "-" : words(item.args),
                    printable_name(rule_text(item.rule, item.name))});
  }
  if (rows.size() > 1) print_table(rows);
  print_counts("import", others);
}

template <class Kind>
nlohmann::ordered_json words_json(const std::vector<Kind>& kinds) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (Kind kind : kinds) json.push_back(to_string(kind));
  return json;
}

void print_json(const PolicyExplanation& explained) {
  nlohmann::ordered_json json;
  json["exports"] = nlohmann::ordered_json::array();
  json["imports"] = nlohmann::ordered_json::array();
  for (const ExplainedExport& item : explained.exports) {
    nlohmann::ordered_json& row = json["exports"].emplace_back();
    row["name"] = item.name;
    if (item.name != item.export_name) row["export"] = item.export_name;
    row["type"] = to_string(item.type);
    row["effect"] = to_string(item.effect);
    if (item.unsaid) row["unsaid"] = true;
    row["once"] = item.once;
    row["reads"] = item.reads;
    row["local"] = item.local;
    row["retry"] = item.retry;
    if (item.key) row["key"] = *item.key;
    row["args"] = words_json(item.args);
    row["results"] = words_json(item.results);
    if (!item.raw_only.empty()) row["raw_only"] = item.raw_only;
    row["rule"] = item.rule;
    if (explained.mode != RotationMode::checkpoint) continue;
    row["leaves"] = to_string(item.leaves);
    row["returned"] = to_string(item.returned);
    row["allow_rule"] = item.allow_rule;
  }
  for (const ExplainedImport& item : explained.imports) {
    nlohmann::ordered_json& row = json["imports"].emplace_back();
    row["name"] = item.name;
    row["type"] = to_string(item.type);
    row["mode"] = to_string(item.mode);
    row["args"] = words_json(item.args);
    row["rule"] = item.rule;
  }
  if (explained.mode == RotationMode::checkpoint) json["mode"] = "checkpoint";
  if (explained.mode == RotationMode::checkpoint || !explained.warnings.empty()) json["warnings"] = explained.warnings;
  print("{}\n", json_text(json));
}

void check(const PolicyCheckOptions& options) {
  auto policy = Policy::load_toml(input_path(options.policy));
  if (!policy) die(Exit::usage, policy.error().message);
  EngineOptions engine_options;
  engine_options.mode = "lazy";  // only the module's types are needed
  Engine engine = engine_or_die(engine_options);
  const Module module = load_module_or_die(engine, options.module).module;
  auto explained = policy->explain(module);
  if (!explained) die(Exit::usage, explained.error().message);
  if (options.json) {
    print_json(*explained);
  } else if (explained->mode == RotationMode::checkpoint) {
    print_allowed(*explained, options.all);
  } else {
    print_exports(*explained, options.all);
    print_imports(*explained, options.all);
    print_migration(*explained, options.all);
  }
  if (!options.json) print_warnings(*explained);
}

}  // namespace

void add_policy(CLI::App& app) {
  CLI::App* group = app.add_subcommand("policy", "Policies, which say how a module is rotated");
  group->require_subcommand(1);
  auto options = std::make_shared<PolicyCheckOptions>();
  CLI::App* command = group->add_subcommand("check", "Check a policy against a module, and say what it makes of it");
  command->add_option("module", options->module, "a .wasm or a code file")->required();
  command->add_option("policy", options->policy, "a .toml file")->required();
  command->add_flag("--all", options->all, "show each export and import, also those that the policy does not mention");
  command->add_flag("--json", options->json, "print one line of JSON, with everything");
  command->callback([options] { check(*options); });
  add_policy_suggest(*group);
}

}  // namespace rotor::cli
