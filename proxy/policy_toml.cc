// Policies as TOML. Whatever is not understood is an error that names the nearest right word: a policy with a typo that
// is quietly ignored loses state at the next rotation.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

#include "proxy/policy.h"
#include "proxy/toml_library.h"

namespace rotor {
namespace {

template <class T>
using Word = std::pair<std::string_view, T>;

constexpr Word<Preset> kPresets[] = {{"plain", Preset::plain}, {"wasm-bindgen", Preset::wasm_bindgen}};
constexpr Word<AtSwap> kAtSwap[] = {{"serve", AtSwap::serve}, {"wait", AtSwap::wait}, {"fail", AtSwap::fail}};
constexpr Word<OnTrap> kOnTrap[] = {{"rotate", OnTrap::rotate}, {"keep", OnTrap::keep}};
constexpr Word<Effect> kEffects[] = {{"query", Effect::query}, {"build", Effect::build}, {"release", Effect::release}};
constexpr Word<ArgKind> kArgs[] = {{"scalar", ArgKind::scalar},
                                   {"handle", ArgKind::handle},
                                   {"consumed", ArgKind::consumed},
                                   {"bytes", ArgKind::bytes},
                                   {"vector", ArgKind::vector},
                                   {"handles", ArgKind::handles},
                                   {"consumed_handles", ArgKind::consumed_handles}};
constexpr Word<ResultKind> kResults[] = {{"scalar", ResultKind::scalar},   {"handle", ResultKind::handle},
                                         {"bytes", ResultKind::bytes},     {"vector", ResultKind::vector},
                                         {"handles", ResultKind::handles}, {"error", ResultKind::error}};
constexpr Word<uint64_t> kSizeUnits[] = {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

class Reader {
 public:
  explicit Reader(std::string file) { policy_.file = std::move(file); }

  Result<Policy> read(const toml::table& root) {
    ROTOR_CHECK(each_key(root, {"preset", "enabled", "rotation", "log", "exports"},
                         [&](std::string_view key, const toml::node& node) -> Result<void> {
                           if (key == "preset") return word(key, node, kPresets, policy_.preset);
                           if (key == "enabled") return boolean(key, node, policy_.enabled);
                           if (key == "rotation") return rotation(node);
                           if (key == "log") return log(node);
                           return exports(node);
                         }));
    return std::move(policy_);
  }

  std::unexpected<Error> wrong(const toml::source_region& at, std::string text,
                               ErrorKind kind = ErrorKind::corrupt) const {
    return fail(kind, fmt::format("{}:{}: {}", policy_.file, at.begin.line, text));
  }

 private:
  using Keys = std::initializer_list<std::string_view>;

  /// Calls `visit` for each key of a table. Errors: a key that is not among `known`.
  template <class Visit>
  Result<void> each_key(const toml::table& table, Keys known, Visit visit) {
    for (const auto& [key, node] : table) {
      if (std::ranges::find(known, key.str()) == known.end())
        return wrong(key.source(), fmt::format("unknown key \"{}\"{}", key.str(),
                                               proxy::did_you_mean(key.str(), std::span(known.begin(), known.size()))));
      ROTOR_CHECK(visit(key.str(), node));
    }
    return {};
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
  Result<void> words(std::string_view key, const toml::node& node, const Word<T> (&known)[n],
                     std::optional<std::vector<T>>& out) {
    if (!node.is_array()) return wrong(node.source(), fmt::format("{} must be a list", key));
    out.emplace();
    for (const toml::node& item : *node.as_array()) ROTOR_CHECK(word(key, item, known, out->emplace_back()));
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
  Result<void> count(std::string_view key, const toml::node& node, T& out) {
    if (!node.is_integer() || node.as_integer()->get() < 0 || !std::in_range<T>(node.as_integer()->get()))
      return wrong(node.source(), fmt::format("{} must be a whole number", key), ErrorKind::invalid_argument);
    out = static_cast<T>(node.as_integer()->get());
    return {};
  }

  /// Bytes: a whole number, or "8 MiB".
  Result<void> size(std::string_view key, const toml::node& node, uint64_t& out) {
    if (node.is_integer()) return count(key, node, out);
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

  Result<void> rotation(const toml::node& node) {
    Policy& p = policy_;
    return each_key_of("rotation", node,
                       {"warm_at", "swap_at", "force_at", "memory_limit", "at_swap", "on_trap", "catch_up_ns",
                        "query_handle_calls", "backoff_first_ms", "backoff_max_ms"},
                       [&](std::string_view key, const toml::node& value) -> Result<void> {
                         if (key == "warm_at") return fraction(key, value, p.warm_at);
                         if (key == "swap_at") return fraction(key, value, p.swap_at);
                         if (key == "force_at") return fraction(key, value, p.force_at);
                         if (key == "memory_limit") return size(key, value, p.memory_limit_bytes);
                         if (key == "at_swap") return word(key, value, kAtSwap, p.at_swap);
                         if (key == "on_trap") return word(key, value, kOnTrap, p.on_trap);
                         if (key == "catch_up_ns") return count(key, value, p.catch_up_ns);
                         if (key == "query_handle_calls") return count(key, value, p.query_handle_calls);
                         if (key == "backoff_first_ms") return count(key, value, p.backoff_first_ms);
                         return count(key, value, p.backoff_max_ms);
                       });
  }

  Result<void> log(const toml::node& node) {
    return each_key_of("log", node, {"max_calls", "max_bytes"},
                       [&](std::string_view key, const toml::node& value) -> Result<void> {
                         if (key == "max_calls") return count(key, value, policy_.log_max_calls);
                         return size(key, value, policy_.log_max_bytes);
                       });
  }

  Result<void> exports(const toml::node& node) {
    if (!node.is_table()) return wrong(node.source(), "\"exports\" must be a table");
    for (const auto& [name, value] : *node.as_table()) {
      ExportRule rule{.name = std::string(name.str()), .line = name.source().begin.line};
      ROTOR_CHECK(each_key_of(name.str(), value, {"effect", "once", "args", "results"},
                              [&](std::string_view key, const toml::node& item) -> Result<void> {
                                if (key == "effect") return word(key, item, kEffects, rule.effect);
                                if (key == "once") return boolean(key, item, rule.once);
                                if (key == "args") return words(key, item, kArgs, rule.args);
                                return words(key, item, kResults, rule.results);
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
  in.peek();  // finds what opens but can't be read, a folder
  if (!in.is_open() || in.bad()) return fail(ErrorKind::io, fmt::format("can't read {}", path));
  std::ostringstream text;
  text << in.rdbuf();
  return parse_toml(text.view(), path);
}

}  // namespace rotor
