// rotor policy suggest: makes the list of exports that leave nothing behind, by trying each on a load.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "hosts/wasm_bindgen/trace.h"
#include "rotor/printable.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/module_file.h"
#include "tools/rotor/output.h"
#include "tools/rotor/rewinds.h"

namespace rotor::cli {
namespace {

using namespace rotor::wasm_bindgen;

struct SuggestOptions {
  std::string module;
  std::string policy;
  std::string setup;
  std::string load;
  uint64_t calls = 3;
  std::string memory_limit;
  EngineOptions engine;
};

/// Returns a name as a key of TOML.
std::string toml_key(const std::string& name) {
  auto is_bare = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
  if (!name.empty() && std::ranges::all_of(name, is_bare)) return name;
  std::string key = "\"";
  for (unsigned char c : name) {
    if (c == '"' || c == '\\') key += '\\';
    if (c < 0x20 || c == 0x7f)
      key += fmt::format("\\u{:04x}", c);
    else
      key += static_cast<char>(c);
  }
  return key + "\"";
}

/// Returns what an export's calls return in the load: handles are held.
Returned returned_by(const Trace& load, uint32_t name) {
  const bool handles = std::ranges::any_of(load.calls, [&](const TraceCall& call) {
    return call.name == name && (call.result == TraceResult::handle || call.result == TraceResult::handles);
  });
  return handles ? Returned::held : Returned::value;
}

/// Tries one export. Returns why it is not to be allowed; empty: it is.
std::string objection(const RewindLoad& load, const SuggestOptions& options, const Policy& policy,
                      const RewindRun& expected, const std::string& name, Returned results) {
  const Policy alone = allowing_only(policy, name, results);
  const RewindRun run = value_or_die(options.policy, run_with_rewinds(load, alone, 1));
  if (const auto difference = compare(load, expected, run)) return to_text(load, *difference);
  if (run.rewinds == 0) return "it was never rewound, since what it returns was held";
  return {};
}

void suggest(const SuggestOptions& options) {
  Policy policy;
  if (!options.policy.empty()) policy = value_or_die(options.policy, Policy::load_toml(input_path(options.policy)));
  policy.mode = RotationMode::checkpoint;
  policy.allow.clear();
  // Numbers that are drawn anew would be differences that no export is to blame for.
  policy.checkpoint.reseed = "none";
  if (!options.memory_limit.empty()) policy.memory_limit_bytes = parse_size(options.memory_limit);
  const Trace setup = value_or_die(options.setup, load_trace(input_path(options.setup)));
  const Trace trace = value_or_die(options.load, load_trace(input_path(options.load), &setup));
  Engine engine = engine_or_die(options.engine);
  const Module module = load_module_or_die(engine, options.module).module;
  const RewindLoad load{.engine = engine,
                        .module = module,
                        .setup = setup,
                        .load = trace,
                        .calls = options.calls,
                        .limit_bytes = policy.memory_limit_bytes ? policy.memory_limit_bytes : UINT64_C(4) << 30,
                        .policy_file = options.policy};
  const RewindRun expected = value_or_die(options.policy, run_without_rewinds(load, policy));
  const PolicyExplanation explained = value_or_die(options.policy, policy.explain(module));
  print("# Exports that leave nothing behind, as far as {}, {} times, shows it (rotor policy suggest).\n[allow]\n",
        printable(options.load), options.calls);
  for (uint32_t i = 0; i < trace.names.size(); i++) {
    const std::string& name = trace.names[i];
    auto item = std::ranges::find(explained.exports, name, &ExplainedExport::name);
    if (item != explained.exports.end() && item->leaves != Leaves::state) continue;  // a release, or the allocator's
    const Returned results = returned_by(trace, i);
    const std::string why = objection(load, options, policy, expected, name, results);
    if (why.empty()) {
      print("{} = \"{}\"\n", toml_key(name), to_string(results));
      policy.allow.push_back({.name = name, .results = results});
    } else {
      print("# not {}: {}\n", printable_name(name), printable(why));
    }
    flush_out();
  }
  if (policy.allow.empty()) return;
  const RewindRun all = value_or_die(options.policy, run_with_rewinds(load, policy, 1));
  if (const auto difference = compare(load, expected, all)) {
    print_error("rotor: all of them together are wrong: {}\n", to_text(load, *difference));
    finish(Exit::failed);
  }
}

}  // namespace

void add_policy_suggest(CLI::App& group) {
  auto options = std::make_shared<SuggestOptions>();
  CLI::App* command = group.add_subcommand(
      "suggest", "Find the exports that leave nothing behind (mode = \"checkpoint\"), by rewinds after each call");
  command->add_option("module", options->module, "a .wasm or a code file")->required();
  command->add_option("policy", options->policy, "a .toml file that says how data goes in and out, and what releases");
  command->add_option("--setup", options->setup, "a trace that builds the state")->required();
  command->add_option("--load", options->load, "a trace that follows it, and calls what is to be tried")->required();
  command->add_option("--calls", options->calls, "how often the load is called")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--memory-limit", options->memory_limit, "most memory the guest may have; else the policy's")
      ->check(check_size);
  options->engine.add_to(*command);
  command->callback([options] { suggest(*options); });
}

}  // namespace rotor::cli
