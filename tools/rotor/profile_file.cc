#include "tools/rotor/profile_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "rotor/printable.h"
#include "rotor/version.h"
#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

std::string frame_name(const Profile::Function& function) {
  switch (function.kind) {
    case Profile::Kind::host:
      return fmt::format("{}.{} [host]", printable_name(function.module_name), printable_name(function.name));
    case Profile::Kind::runtime: return "[runtime]";
    case Profile::Kind::guest: break;
  }
  return fmt::format("{}!{} [tier{}]", function.module_name.empty() ? "wasm" : printable_name(function.module_name),
                     function.name.empty() ? fmt::format("func[{}]", function.index) : printable_name(function.name),
                     function.tier);
}

}  // namespace

std::string speedscope_json(const Profile& profile, const std::string& name) {
  using Json = nlohmann::ordered_json;
  Json frames = Json::array(), samples = Json::array(), weights = Json::array();
  for (const Profile::Function& function : profile.functions) frames.push_back({{"name", frame_name(function)}});
  const size_t outside = profile.functions.size();
  frames.push_back({{"name", "[outside of guests]"}});
  uint64_t all_ns = 0;
  for (const Profile::Sample& sample : profile.samples) {
    samples.push_back(sample.stack.empty() ? Json::array({outside}) : Json(sample.stack));
    weights.push_back(sample.cpu_ns);
    all_ns += sample.cpu_ns;
  }
  Json json;
  json["$schema"] = "https://www.speedscope.app/file-format-schema.json";
  json["shared"]["frames"] = std::move(frames);
  json["profiles"] = Json::array({{{"type", "sampled"},
                                   {"name", name},
                                   {"unit", "nanoseconds"},
                                   {"startValue", 0},
                                   {"endValue", all_ns},
                                   {"samples", std::move(samples)},
                                   {"weights", std::move(weights)}}});
  json["name"] = name;
  json["activeProfileIndex"] = 0;
  json["exporter"] = "rotor " ROTOR_VERSION;
  return json_text(json) + "\n";
}

}  // namespace rotor::cli
