// Policies as TOML. Whatever is not understood is an error that names the nearest right word: a policy with a typo that
// is quietly ignored loses state at the next rotation.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

#include "proxy/policy.h"
#include "proxy/policy_keys.h"
#include "proxy/policy_names.h"
#include "proxy/policy_words.h"
#include "proxy/toml_library.h"
#include "rotor/memory.h"
#include "rotor/printable.h"

namespace rotor {
namespace {

using proxy::Word;

constexpr Word<uint64_t> kSizeUnits[] = {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
constexpr uint64_t kNsPerMs = 1'000'000;

class Reader {
 public:
  explicit Reader(std::string file) { policy_.file = std::move(file); }

  Result<Policy> read(const toml::table& root) {
    ROTOR_CHECK(each_key(root, proxy::kTopKeys, [&](std::string_view key, const toml::node& node) -> Result<void> {
      if (key == "preset") return word(key, node, proxy::kPresetWords, policy_.preset);
      if (key == "enabled") return boolean(key, node, policy_.enabled);
      if (key == "mode") return word(key, node, proxy::kModeWords, policy_.mode);
      if (key == "allocator") return allocator(node);
      if (key == "rotation") return rotation(node);
      if (key == "checkpoint") return checkpoint(node);
      if (key == "allow") return allow(node);
      if (key == "probe") return probe(node);
      if (key == "image") return image(node);
      if (key == "log") return log(node);
      if (key == "group") return group(node);
      if (key == "imports") return imports(node);
      return exports(node);
    }));
    return std::move(policy_);
  }

  std::unexpected<Error> wrong(const toml::source_region& at, std::string text,
                               ErrorKind kind = ErrorKind::corrupt) const {
    return fail(kind, fmt::format("{}:{}: {}", policy_.file, at.begin.line, printable(text)));
  }

 private:
  using Keys = std::span<const std::string_view>;
  static constexpr std::string_view kHandleKeys[] = {"handle"};

  /// Calls `visit` for each key of a table. Errors: those of a key that is not among `known`.
  template <class Visit>
  Result<void> each_key(const toml::table& table, Keys known, Visit visit) {
    for (const auto& [key, node] : table) {
      if (std::ranges::find(known, key.str()) == known.end())
        return wrong(key.source(), fmt::format("unknown key \"{}\"{}", key.str(), right_place(key.str(), known)));
      ROTOR_CHECK(visit(key.str(), node));
    }
    return {};
  }

  /// Returns where a key that is not among `known` belongs, or which of these it may be: the end of an error.
  static std::string right_place(std::string_view key, Keys known) {
    std::vector<std::string_view> tables;
    for (const proxy::TableKeys& table : proxy::kTables)
      if (std::ranges::find(table.keys, key) != table.keys.end()) tables.push_back(table.table);
    if (tables.empty()) return proxy::did_you_mean(key, known);
    return fmt::format("; it belongs to {}", fmt::join(tables, ", or to "));
  }

  template <class Visit>
  Result<void> each_key_of(std::string_view name, const toml::node& node, Keys known, Visit visit) {
    if (!node.is_table()) return wrong(node.source(), fmt::format("\"{}\" must be a table", name));
    return each_key(*node.as_table(), known, visit);
  }

  template <class T, size_t n>
  Result<void> word(std::string_view key, const toml::node& node, const Word<T> (&words)[n], T& out) {
    std::string_view text = node.value_or(std::string_view());
    for (const auto& [name, value] : words) {
      if (name != text) continue;
      out = value;
      return {};
    }
    std::vector<std::string_view> names;
    for (const auto& item : words) names.push_back(item.first);
    return wrong(node.source(), node.is_string() ? fmt::format("{} = \"{}\"{}", key, text, one_of(text, names))
                                                 : fmt::format("{} must be one of {}", key, fmt::join(names, ", ")));
  }
  static std::string one_of(std::string_view text, const std::vector<std::string_view>& names) {
    std::string near = proxy::did_you_mean(text, names);
    return near.empty() ? fmt::format(" is none of {}", fmt::join(names, ", ")) : " is unknown" + near;
  }

  template <class T, size_t n>
  Result<void> word(std::string_view key, const toml::node& node, const Word<T> (&words)[n], std::optional<T>& out) {
    return word(key, node, words, out.emplace());
  }

  template <class T, size_t n>
  Result<void> words(std::string_view key, const toml::node& node, const Word<T> (&known)[n],
                     std::optional<std::vector<T>>& out) {
    if (!node.is_array()) return wrong(node.source(), fmt::format("{} must be a list", key));
    out.emplace();
    for (const toml::node& item : *node.as_array()) ROTOR_CHECK(word(key, item, known, out->emplace_back()));
    return {};
  }

  Result<void> text(std::string_view key, const toml::node& node, std::string& out) {
    if (!node.is_string()) return wrong(node.source(), fmt::format("{} must be a text", key));
    out = node.as_string()->get();
    return {};
  }

  Result<void> boolean(std::string_view key, const toml::node& node, bool& out) {
    if (!node.is_boolean()) return wrong(node.source(), fmt::format("{} must be true or false", key));
    out = node.as_boolean()->get();
    return {};
  }

  Result<void> fraction(std::string_view key, const toml::node& node, double& out) {
    auto value = node.value<double>();
    if (!value || !(*value > 0 && *value <= 1))
      return wrong(node.source(), fmt::format("{} must be a number above 0, at most 1", key),
                   ErrorKind::invalid_argument);
    out = *value;
    return {};
  }

  template <class T>
  Result<void> whole_number(std::string_view key, const toml::node& node, T& out) {
    if (!node.is_integer() || node.as_integer()->get() < 0 || !std::in_range<T>(node.as_integer()->get()))
      return wrong(node.source(), fmt::format("{} must be a whole number", key), ErrorKind::invalid_argument);
    out = static_cast<T>(node.as_integer()->get());
    return {};
  }

  Result<void> whole_numbers(std::string_view key, const toml::node& node, std::optional<std::vector<uint32_t>>& out) {
    if (!node.is_array()) return wrong(node.source(), fmt::format("{} must be a list", key));
    out.emplace();
    for (const toml::node& item : *node.as_array()) ROTOR_CHECK(whole_number(key, item, out->emplace_back()));
    return {};
  }

  /// Reads milliseconds, which are kept as nanoseconds.
  Result<void> milliseconds(std::string_view key, const toml::node& node, uint64_t& out_ns) {
    uint64_t ms = 0;
    ROTOR_CHECK(whole_number(key, node, ms));
    if (ms > UINT64_MAX / kNsPerMs)
      return wrong(node.source(), fmt::format("{} is too large", key), ErrorKind::invalid_argument);
    out_ns = ms * kNsPerMs;
    return {};
  }

  /// Reads bytes: a whole number, or "8 MiB".
  Result<void> size(std::string_view key, const toml::node& node, uint64_t& out) {
    if (node.is_integer()) return whole_number(key, node, out);
    std::string_view text = node.value_or(std::string_view());
    uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view unit(end, text.data() + text.size() - end);
    if (unit.starts_with(' ')) unit.remove_prefix(1);
    for (const auto& [name, bytes] : kSizeUnits) {
      if (error != std::errc() || unit != name || number > UINT64_MAX / bytes) continue;
      out = number * bytes;
      return {};
    }
    return wrong(node.source(), fmt::format("{} must be a number of bytes or a text like \"8 MiB\"", key),
                 ErrorKind::invalid_argument);
  }

  Result<void> allocator(const toml::node& node) {
    return each_key_of("allocator", node, proxy::kAllocatorKeys,
                       [&](std::string_view key, const toml::node& value) -> Result<void> {
                         if (key == "malloc") return text(key, value, policy_.allocator.allocate);
                         if (key == "free") return text(key, value, policy_.allocator.deallocate);
                         return text(key, value, policy_.allocator.memory);
                       });
  }

  Result<void> rotation(const toml::node& node) {
    Policy& p = policy_;
    return each_key_of("rotation", node, proxy::kRotationKeys,
                       [&](std::string_view key, const toml::node& value) -> Result<void> {
                         if (key == "warm_at") return fraction(key, value, p.warm_at);
                         if (key == "swap_at") return fraction(key, value, p.swap_at);
                         if (key == "force_at") return fraction(key, value, p.force_at);
                         if (key == "gauge") return text(key, value, p.gauge);
                         if (key == "memory_limit") return memory_limit(key, value);
                         if (key == "at_swap") return word(key, value, proxy::kAtSwapWords, p.at_swap);
                         if (key == "on_trap") return word(key, value, proxy::kOnTrapWords, p.on_trap);
                         if (key == "catch_up_ns") return whole_number(key, value, p.catch_up_ns);
                         if (key == "catch_up_rounds") return rounds(key, value, p.catch_up_rounds);
                         if (key == "call_deadline_ms") return whole_number(key, value, p.call_deadline_ms);
                         if (key == "call_fuel") return whole_number(key, value, p.call_fuel);
                         if (key == "drain_deadline_ms") return whole_number(key, value, p.drain_deadline_ms);
                         if (key == "query_handle_calls") return whole_number(key, value, p.query_handle_calls);
                         if (key == "backoff_first_ms") return whole_number(key, value, p.backoff_first_ms);
                         return whole_number(key, value, p.backoff_max_ms);
                       });
  }

  /// Reads a size that is none of a few bytes without saying so: who writes 20 means MiB.
  Result<void> memory_limit(std::string_view key, const toml::node& node) {
    ROTOR_CHECK(size(key, node, policy_.memory_limit_bytes));
    const uint64_t bytes = policy_.memory_limit_bytes;
    if (!node.is_integer() || bytes == 0 || bytes >= Memory::kPageBytes) return {};
    return wrong(node.source(),
                 fmt::format("{} = {} is less than a page of 64 KiB: write \"{} MiB\", or \"{} B\" if it is that", key,
                             bytes, bytes, bytes),
                 ErrorKind::invalid_argument);
  }

  Result<void> rounds(std::string_view key, const toml::node& node, uint32_t& out) {
    ROTOR_CHECK(whole_number(key, node, out));
    if (out == 0) return wrong(node.source(), fmt::format("{} must be at least 1", key), ErrorKind::invalid_argument);
    return {};
  }

  Result<void> image(const toml::node& node) {
    return each_key_of("image", node, proxy::kImageKeys,
                       [&](std::string_view key, const toml::node& value) -> Result<void> {
                         if (key == "mode") return word(key, value, proxy::kImageWords, policy_.image);
                         if (key == "tail_ms") return milliseconds(key, value, policy_.image_tail_ns);
                         return whole_number(key, value, policy_.verify_every);
                       });
  }

  Result<void> checkpoint(const toml::node& node) {
    CheckpointRule& c = policy_.checkpoint;
    return each_key_of("checkpoint", node, proxy::kCheckpointKeys,
                       [&](std::string_view key, const toml::node& value) -> Result<void> {
                         if (key == "grown") return fraction(key, value, c.grown);
                         if (key == "cpu") return fraction(key, value, c.cpu);
                         if (key == "while_held") return word(key, value, proxy::kWhileHeldWords, c.while_held);
                         if (key == "host_writes") return word(key, value, proxy::kHostWritesWords, c.host_writes);
                         return text(key, value, c.reseed);
                       });
  }

  Result<void> allow(const toml::node& node) {
    if (!node.is_table()) return wrong(node.source(), "\"allow\" must be a table");
    for (const auto& [name, value] : *node.as_table()) {
      AllowRule rule{.name = std::string(name.str()), .line = name.source().begin.line};
      if (value.is_table()) {
        ROTOR_CHECK(each_key_of(name.str(), value, proxy::kAllowKeys,
                                [&](std::string_view key, const toml::node& item) -> Result<void> {
                                  return word(key, item, proxy::kReturnedWords, rule.results);
                                }));
      } else {
        ROTOR_CHECK(word(name.str(), value, proxy::kReturnedWords, rule.results));
      }
      policy_.allow.push_back(std::move(rule));
    }
    std::ranges::stable_sort(policy_.allow, {}, &AllowRule::line);
    return {};
  }

  Result<void> probe(const toml::node& node) {
    if (!node.is_table()) return wrong(node.source(), "\"probe\" must be a table");
    for (const auto& [name, value] : *node.as_table()) {
      ProbeRule rule{.name = std::string(name.str()), .line = name.source().begin.line};
      if (value.is_array()) {
        ROTOR_CHECK(probe_args(name.str(), value, rule.args));
      } else {
        ROTOR_CHECK(each_key_of(name.str(), value, proxy::kProbeKeys,
                                [&](std::string_view key, const toml::node& item) -> Result<void> {
                                  if (key == "query") return text(key, item, rule.query);
                                  return probe_args(key, item, rule.args);
                                }));
      }
      policy_.probes.push_back(std::move(rule));
    }
    std::ranges::stable_sort(policy_.probes, {}, &ProbeRule::line);
    return {};
  }

  Result<void> probe_args(std::string_view key, const toml::node& node, std::vector<ProbeArg>& out) {
    if (!node.is_array()) return wrong(node.source(), fmt::format("{} must be a list", key));
    for (const toml::node& item : *node.as_array()) ROTOR_CHECK(probe_arg(item, out.emplace_back()));
    return {};
  }

  Result<void> probe_arg(const toml::node& node, ProbeArg& out) {
    if (node.is_integer()) {
      out = node.as_integer()->get();
    } else if (node.is_floating_point()) {
      out = node.as_floating_point()->get();
    } else if (node.is_string()) {
      out = node.as_string()->get();
    } else if (const toml::array* numbers = node.as_array()) {
      std::vector<uint32_t> vector;
      for (const toml::node& item : *numbers)
        ROTOR_CHECK(whole_number("a number of a vector", item, vector.emplace_back()));
      out = std::move(vector);
    } else if (node.is_table()) {
      return each_key_of("handle", node, kHandleKeys,
                         [&](std::string_view key, const toml::node& item) -> Result<void> {
                           return text(key, item, out.emplace<ProbeHandle>().made_by);
                         });
    } else {
      return wrong(node.source(), "an argument must be a number, a text, a list of numbers or { handle = \"EXPORT\" }");
    }
    return {};
  }

  Result<void> log(const toml::node& node) {
    return each_key_of("log", node, proxy::kLogKeys,
                       [&](std::string_view key, const toml::node& value) -> Result<void> {
                         if (key == "max_calls") return whole_number(key, value, policy_.log_max_calls);
                         if (key == "max_bytes") return size(key, value, policy_.log_max_bytes);
                         return milliseconds(key, value, policy_.log_max_replay_ns);
                       });
  }

  Result<void> group(const toml::node& node) {
    GroupRule& g = policy_.group;
    return each_key_of("group", node, proxy::kGroupKeys,
                       [&](std::string_view key, const toml::node& value) -> Result<void> {
                         if (key == "workers") return whole_number(key, value, g.workers);
                         if (key == "start") return text(key, value, g.start);
                         if (key == "stop") return text(key, value, g.stop);
                         if (key == "thread_exit") return text(key, value, g.thread_exit);
                         return whole_number(key, value, g.stop_deadline_ms);
                       });
  }

  Result<void> imports(const toml::node& node) {
    if (!node.is_table()) return wrong(node.source(), "\"imports\" must be a table");
    for (const auto& [name, value] : *node.as_table()) {
      ImportRule rule{.name = std::string(name.str()), .line = name.source().begin.line};
      if (value.is_string()) {
        ROTOR_CHECK(word(name.str(), value, proxy::kImportModeWords, rule.mode));
      } else {
        if (const toml::table* table = value.as_table()) ROTOR_CHECK(no_dotted_name(name.str(), *table));
        ROTOR_CHECK(each_key_of(name.str(), value, proxy::kImportKeys,
                                [&](std::string_view key, const toml::node& item) -> Result<void> {
                                  if (key == "mode") return word(key, item, proxy::kImportModeWords, rule.mode);
                                  return words(key, item, proxy::kImportArgWords, rule.args);
                                }));
      }
      policy_.imports.push_back(std::move(rule));
    }
    std::ranges::stable_sort(policy_.imports, {}, &ImportRule::line);
    return {};
  }

  /// Refuses a dotted name without quotes: to TOML, `env.log = "run"` is a table in a table.
  Result<void> no_dotted_name(std::string_view name, const toml::table& table) {
    for (const auto& [key, node] : table)
      if (key.str() != "mode" && key.str() != "args" && (node.is_table() || node.is_string()) && !table.is_inline())
        return wrong(key.source(),
                     fmt::format("unknown key \"{1}\"; the import {0}.{1} must be written in quotes", name, key.str()));
    return {};
  }

  Result<void> exports(const toml::node& node) {
    if (!node.is_table()) return wrong(node.source(), "\"exports\" must be a table");
    for (const auto& [name, value] : *node.as_table()) {
      ExportRule rule{.name = std::string(name.str()), .line = name.source().begin.line};
      ROTOR_CHECK(each_key_of(name.str(), value, proxy::kExportKeys,
                              [&](std::string_view key, const toml::node& item) -> Result<void> {
                                if (key == "export") return text(key, item, rule.export_name);
                                if (key == "effect") return word(key, item, proxy::kEffectWords, rule.effect);
                                if (key == "once") return boolean(key, item, rule.once);
                                if (key == "reads") return boolean(key, item, rule.reads);
                                if (key == "local") return boolean(key, item, rule.local);
                                if (key == "retry") return boolean(key, item, rule.retry);
                                if (key == "key") return whole_numbers(key, item, rule.key);
                                if (key == "args") return words(key, item, proxy::kArgWords, rule.args);
                                return words(key, item, proxy::kResultWords, rule.results);
                              }));
      policy_.exports.push_back(std::move(rule));
    }
    // A TOML table has no order of its own; "a later glob wins" means later in the file.
    std::ranges::stable_sort(policy_.exports, {}, &ExportRule::line);
    return {};
  }

  Policy policy_;
};

}  // namespace

Result<Policy> Policy::parse_toml(std::string_view text, std::string file) {
  if (uint32_t line = proxy::too_deep_toml_line(text))
    return fail(ErrorKind::corrupt,
                fmt::format("{}:{}: more than {} dots in a line", file, line, proxy::kMaxTomlLineDots));
  Reader reader(file);
  toml::parse_result parsed = toml::parse(text, file);
  if (!parsed) return reader.wrong(parsed.error().source(), std::string(parsed.error().description()));
  return reader.read(parsed.table());
}

Result<Policy> Policy::load_toml(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  in.peek();  // fails for what can be opened but not read, such as a folder
  if (!in.is_open() || in.bad()) return fail(ErrorKind::io, fmt::format("can't read {}", path));
  std::ostringstream text;
  text << in.rdbuf();
  return parse_toml(text.view(), path);
}

}  // namespace rotor
