#include "tools/rotor/rewinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "hosts/wasm_bindgen/guest.h"
#include "hosts/wasm_bindgen/lease_executor.h"
#include "rotor/printable.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

using namespace rotor::wasm_bindgen;

/// Makes each call of a trace in a lease of its own, and asks for rewinds and checkpoints between them.
class RewindingExecutor final : public TraceExecutor {
 public:
  RewindingExecutor(const Module& module, Proxy& proxy, std::set<std::string> allowed, uint64_t every)
      : proxy_(proxy), inner_(module, false), allowed_(std::move(allowed)), every_(every) {}

  Result<void> prepare(std::span<const std::string> names) override {
    names_.assign(names.begin(), names.end());
    return inner_.prepare(names);
  }
  Result<void> call(uint32_t name, std::span<const ReplayArg> args, TraceResult result, ReplayReply& reply) override {
    {
      ROTOR_TRY(Lease lease, proxy_.acquire());
      inner_.begin(lease, nullptr);
      ROTOR_CHECK(inner_.call(name, args, result, reply));
    }
    if (load_) results_.push_back(text_of(result, reply));
    if (!load_ || every_ == 0) return {};
    if (!allowed_.contains(names_[name])) return proxy_.checkpoint();
    if (++allowed_calls_ % every_) return {};
    asked_after = names_[name];
    return proxy_.rotate();
  }
  /// Begins a repetition of the load, whose results are kept.
  void begin(const Trace& load) {
    load_ = &load;
    first_ = results_.size();
  }
  void note_error(const Error& error) {
    results_.push_back("error: " + error.message.substr(0, error.message.find('\n')));
  }
  std::vector<std::string> take() { return std::move(results_); }

  std::string asked_after;  ///< the export after whose call a rewind was asked for last

 private:
  std::string text_of(TraceResult result, const ReplayReply& reply) const {
    switch (result) {
      case TraceResult::none: return "nothing";
      case TraceResult::integer: return wasm_bindgen::to_text(reply.number);
      case TraceResult::handle: return "a handle";
      case TraceResult::handles: return fmt::format("{} handles", reply.handles.size());
      case TraceResult::data: break;
    }
    const size_t call = results_.size() - first_;
    const auto* expected =
        call < load_->calls.size() ? std::get_if<ExpectedData>(&load_->calls[call].expected) : nullptr;
    if (expected && expected->hex.empty()) return fmt::format("{} bytes", reply.data.size());
    return wasm_bindgen::to_text(digest(reply.data));
  }

  Proxy& proxy_;
  LeaseExecutor inner_;
  const std::set<std::string> allowed_;
  const uint64_t every_;
  std::vector<std::string> names_;
  const Trace* load_ = nullptr;
  size_t first_ = 0;
  uint64_t allowed_calls_ = 0;
  std::vector<std::string> results_;
};

Result<std::set<std::string>> allowed_exports(const Module& module, const Policy& policy) {
  std::set<std::string> names;
  if (!policy.enabled) return names;
  ROTOR_TRY(const PolicyExplanation explained, policy.explain(module));
  for (const ExplainedExport& item : explained.exports)
    if (item.leaves != Leaves::state) names.insert(item.name);
  return names;
}

Result<RewindRun> run(const RewindLoad& load, const Policy& policy, uint64_t every) {
  RewindRun out;
  BindgenOptions guest_options;
  guest_options.max_pages = static_cast<uint32_t>(std::min<uint64_t>(load.limit_bytes / Memory::kPageBytes, 65536));
  ROTOR_TRY(std::set<std::string> allowed, allowed_exports(load.module, policy));
  RewindingExecutor* asker = nullptr;
  ProxyOptions options;
  options.on_rotation = [&](const RotationEvent&) {
    out.rewinds++;
    out.rewinds_after[asker->asked_after]++;
  };
  ROTOR_TRY(Proxy proxy, Proxy::create(load.module, bindgen_guests(load.engine, load.module, std::move(guest_options)),
                                       policy, std::move(options)));
  RewindingExecutor executor(load.module, proxy, std::move(allowed), every);
  asker = &executor;
  TraceReplayer replayer(executor);
  ReplayReport report;
  ROTOR_CHECK(replayer.run(load.setup, report));
  if (every) ROTOR_CHECK(proxy.checkpoint());
  for (uint64_t i = 0; i < load.calls; i++) {
    executor.begin(load.load);
    if (auto done = replayer.run(load.load, report); !done) {
      executor.note_error(done.error());
      break;
    }
  }
  out.results = executor.take();
  return out;
}

/// Tries the allowed exports that the load calls one by one, and prints those that leave something behind. Returns
/// whether there are any.
bool print_culprits(const RewindLoad& load, const Policy& policy, const RewindRun& expected, uint64_t every) {
  bool found = false;
  const PolicyExplanation explained = value_or_die(load.policy_file, policy.explain(load.module));
  for (const std::string& name : load.load.names) {
    auto item = std::ranges::find(explained.exports, name, &ExplainedExport::name);
    if (item == explained.exports.end() || item->leaves != Leaves::nothing || item->allow_rule == "preset") continue;
    const Policy alone = allowing_only(policy, name, item->returned);
    const RewindRun run = value_or_die(load.policy_file, run_with_rewinds(load, alone, every));
    const auto difference = compare(load, expected, run);
    if (!difference) continue;
    found = true;
    print_error("{}: {} leaves something behind: with a rewind after it, {}\n", printable_name(item->allow_rule),
                printable_name(name), to_text(load, *difference));
  }
  return found;
}

/// Returns the exports that lines of the policy allow and that no rewind of the run followed.
std::vector<std::string> untried(const RewindLoad& load, const Policy& policy, const RewindRun& run) {
  std::vector<std::string> names;
  const PolicyExplanation explained = value_or_die(load.policy_file, policy.explain(load.module));
  for (const ExplainedExport& item : explained.exports)
    if (item.leaves == Leaves::nothing && item.allow_rule != "preset" && !run.rewinds_after.contains(item.name))
      names.push_back(item.name);
  return names;
}

}  // namespace

Result<RewindRun> run_with_rewinds(const RewindLoad& load, const Policy& policy, uint64_t every) {
  Policy due = policy;
  due.checkpoint.cpu = 1;  // a checkpoint whenever one is wanted
  return run(load, due, every);
}

Result<RewindRun> run_without_rewinds(const RewindLoad& load, Policy policy) {
  policy.enabled = false;
  return run(load, policy, 0);
}

std::optional<RewindDifference> compare(const RewindLoad& load, const RewindRun& expected, const RewindRun& actual) {
  const size_t count = std::max(expected.results.size(), actual.results.size());
  for (size_t i = 0; i < count; i++) {
    const std::string none = "no call";
    const std::string& wanted = i < expected.results.size() ? expected.results[i] : none;
    const std::string& got = i < actual.results.size() ? actual.results[i] : none;
    if (wanted == got) continue;
    const TraceCall& call = load.load.calls[i % load.load.calls.size()];
    return RewindDifference{.line = call.line, .name = load.load.names[call.name], .expected = wanted, .actual = got};
  }
  return std::nullopt;
}

Policy allowing_only(Policy policy, const std::string& name, Returned results) {
  policy.allow = {{.name = name, .results = results}};
  return policy;
}

std::string to_text(const RewindLoad& load, const RewindDifference& difference) {
  return fmt::format("{}:{}: {} returned {}, not {}", load.load.file, difference.line, printable_name(difference.name),
                     printable(difference.actual), printable(difference.expected));
}

bool check_rewinds(const RewindLoad& load, const Policy& policy, uint64_t every, bool only_json) {
  const RewindRun expected = value_or_die(load.policy_file, run_without_rewinds(load, policy));
  const RewindRun actual = value_or_die(load.policy_file, run_with_rewinds(load, policy, every));
  const auto difference = compare(load, expected, actual);
  nlohmann::ordered_json json;
  json["calls"] = actual.results.size();
  json["rewinds"] = actual.rewinds;
  for (const auto& [name, count] : actual.rewinds_after) json["rewinds_after"][name] = count;
  const std::vector<std::string> not_tried = untried(load, policy, actual);
  for (const std::string& name : not_tried) json["untried"].push_back(name);
  json["right"] = !difference;
  if (difference) {
    json["line"] = difference->line;
    json["export"] = difference->name;
    json["expected"] = difference->expected;
    json["actual"] = difference->actual;
  } else if (!only_json) {
    print("{} calls with {} rewinds returned what they return without\n", actual.results.size(), actual.rewinds);
    for (const std::string& name : not_tried)
      print("not tried: {} is allowed, and the load has no call of it that a rewind followed\n", printable_name(name));
  }
  print("{}\n", json_text(json));
  flush_out();
  if (difference && !print_culprits(load, policy, expected, every))
    print_error("{}: no line alone is wrong, all of them together are: {}\n", load.policy_file,
                to_text(load, *difference));
  return !difference;
}

}  // namespace rotor::cli
