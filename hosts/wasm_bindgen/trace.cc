#include "hosts/wasm_bindgen/trace.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unordered_map>

namespace rotor::wasm_bindgen {
namespace {

using Json = nlohmann::json;

/// Thrown within this file only.
struct Problem {
  std::string what;
};

std::string shortened(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "…" : text;
}

/// The deepest nesting of a value: deeper ones would exhaust the stack where an error quotes them.
constexpr int kMaxDepth = 64;

bool check_depth(int depth, Json::parse_event_t, const Json&) {
  if (depth > kMaxDepth) throw Problem{fmt::format("values nested more than {} deep", kMaxDepth)};
  return true;
}

class Parser {
 public:
  Parser(Trace& trace, const Trace* before) : trace_(trace), before_(before) {}

  void line(std::string_view text, uint32_t number) {
    Json json;
    try {
      json = Json::parse(text.begin(), text.end(), check_depth);
    } catch (const Json::parse_error& error) {
      throw Problem{fmt::format("column {}: not JSON", error.byte)};
    }
    if (!json.is_array() || json.size() < 3 || json.size() > 4 || !json[0].is_string() || !json[1].is_array() ||
        !json[2].is_string())
      throw Problem{"a call is [name, [args], result kind, expected?], not " + shortened(json)};
    TraceCall call;
    call.line = number;
    call.name = name(json[0].get<std::string>());
    call.first_arg = static_cast<uint32_t>(trace_.args.size());
    call.arg_count = static_cast<uint32_t>(json[1].size());
    for (const Json& value : json[1]) {
      TraceArg parsed = arg(value);
      trace_.args.push_back(parsed);
    }
    call.result = result_kind(json[2].get<std::string>());
    if (json.size() == 4) {
      call.expected = expected(json[3], call.result);
      ++trace_.checked;
      if (json[3].is_array() && json[3].size() == 1) ++trace_.varying;
    }
    trace_.calls.push_back(std::move(call));
  }

 private:
  uint32_t name(std::string text) {
    auto [found, added] = names_.try_emplace(std::move(text), static_cast<uint32_t>(trace_.names.size()));
    if (added) trace_.names.push_back(found->first);
    return found->second;
  }

  static TraceNumber number(const Json& value) {
    if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)
      throw Problem{"a number too large: " + shortened(value)};
    if (value.is_number_integer()) return value.get<int64_t>();
    return value.get<double>();
  }

  TraceArg arg(const Json& value) {
    TraceArg arg;
    if (value.is_number()) {
      arg.number = number(value);
      return arg;
    }
    if (!value.is_object() || value.size() != 1) throw Problem{"no argument: " + shortened(value)};
    const std::string& key = value.begin().key();
    const Json& content = value.begin().value();
    if (key == "b" && content.is_string()) {
      arg.kind = TraceArg::Kind::bytes;
      bytes(arg, content.get_ref<const std::string&>());
    } else if (key == "u" && content.is_array()) {
      arg.kind = TraceArg::Kind::u32s;
      arg.first = static_cast<uint32_t>(trace_.elements.size());
      arg.count = static_cast<uint32_t>(content.size());
      for (const Json& item : content) trace_.elements.push_back(element(item));
    } else if (key == "h") {
      arg.kind = TraceArg::Kind::handle;
      arg.handle = handle(content);
    } else if (key == "x") {
      arg.kind = TraceArg::Kind::extern_data;
    } else {
      throw Problem{"no argument: " + shortened(value)};
    }
    return arg;
  }

  void bytes(TraceArg& arg, const std::string& hex) {
    auto digit = [&](char c) -> uint8_t {
      if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0');
      if (c >= 'a' && c <= 'f') return static_cast<uint8_t>(c - 'a' + 10);
      if (c >= 'A' && c <= 'F') return static_cast<uint8_t>(c - 'A' + 10);
      throw Problem{"bytes that are not hex digits"};
    };
    if (hex.size() % 2) throw Problem{"bytes with an odd number of hex digits"};
    arg.first = static_cast<uint32_t>(trace_.bytes.size());
    arg.count = static_cast<uint32_t>(hex.size() / 2);
    for (size_t i = 0; i < hex.size(); i += 2)
      trace_.bytes.push_back(static_cast<uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  }

  TraceElement element(const Json& value) {
    TraceElement element;
    if (value.is_object() && value.size() == 1 && value.contains("h")) {
      element.is_handle = true;
      element.handle = handle(value["h"]);
      return element;
    }
    if (!value.is_number_integer()) throw Problem{"no element of a vector: " + shortened(value)};
    element.number = static_cast<uint32_t>(value.get<int64_t>());
    return element;
  }

  HandleRef handle(const Json& value) {
    if (!value.is_array() || value.size() != 2 || !value[0].is_number_unsigned() || !value[1].is_number_integer())
      throw Problem{"a handle is [call, element], not " + shortened(value)};
    uint64_t call = value[0].get<uint64_t>();
    int64_t element = value[1].get<int64_t>();
    uint64_t now = trace_.first_call + trace_.calls.size();
    if (call >= now) throw Problem{fmt::format("handle of call {}, which comes later", call)};
    if (element < HandleRef::kWhole || element > INT32_MAX) throw Problem{"no element: " + shortened(value)};
    HandleRef ref{static_cast<uint32_t>(call), static_cast<int32_t>(element)};
    TraceResult wanted = ref.element == HandleRef::kWhole ? TraceResult::handle : TraceResult::handles;
    if (const TraceCall* made = call_of(ref.call); made && made->result != wanted)
      throw Problem{
          fmt::format("call {} returns no {}", call, wanted == TraceResult::handle ? "handle" : "vector of handles")};
    return ref;
  }

  /// Returns a call of this trace or the one before; nullptr if it is of an earlier trace.
  const TraceCall* call_of(uint32_t call) const {
    if (call >= trace_.first_call) return &trace_.calls[call - trace_.first_call];
    if (before_ && call >= before_->first_call) return &before_->calls[call - before_->first_call];
    return nullptr;
  }

  static TraceResult result_kind(const std::string& text) {
    if (text == "v") return TraceResult::none;
    if (text == "i") return TraceResult::integer;
    if (text == "h") return TraceResult::handle;
    if (text == "d") return TraceResult::data;
    if (text == "u") return TraceResult::handles;
    throw Problem{"no result kind (v, i, h, d, u): \"" + text + "\""};
  }

  static Expected expected(const Json& value, TraceResult kind) {
    if (kind == TraceResult::data && value.is_array() && !value.empty() && value[0].is_number_unsigned()) {
      if (value.size() == 1) return ExpectedData{value[0].get<uint64_t>(), {}};
      if (value.size() == 2 && value[1].is_string())
        return ExpectedData{value[0].get<uint64_t>(), value[1].get<std::string>()};
    }
    if ((kind == TraceResult::integer || kind == TraceResult::handles) && value.is_number()) return number(value);
    throw Problem{"an expected result that does not fit its kind: " + shortened(value)};
  }

  Trace& trace_;
  const Trace* before_;
  std::unordered_map<std::string, uint32_t> names_;
};

Result<std::string> read_file(const std::string& path) {
  std::error_code failed;
  if (std::filesystem::is_directory(path, failed)) return fail(ErrorKind::io, path + ": is a directory");
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ErrorKind::io, fmt::format("{}: {}", path, std::strerror(errno)));
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return fail(ErrorKind::io, fmt::format("{}: can't be read", path));
  return bytes;
}

/// Unzips a gzip file, one member after another.
Result<std::string> unzip(const std::string& zipped, const std::string& path) {
  std::string text;
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return fail(ErrorKind::internal, "zlib");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zipped.data()));
  stream.avail_in = static_cast<uInt>(zipped.size());
  int status = Z_OK;
  std::vector<char> chunk(1 << 20);
  while (status == Z_OK && text.size() <= Trace::kMaxBytes) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    status = inflate(&stream, Z_NO_FLUSH);
    text.append(chunk.data(), chunk.size() - stream.avail_out);
    if (status == Z_STREAM_END && stream.avail_in) status = inflateReset(&stream);
  }
  uint64_t at = zipped.size() - stream.avail_in;
  inflateEnd(&stream);
  if (status == Z_STREAM_END) return text;
  if (status == Z_OK) return fail(ErrorKind::corrupt, fmt::format("{}: more than {} bytes", path, Trace::kMaxBytes));
  return fail(ErrorKind::corrupt, fmt::format("{}: damaged or cut gzip data at byte {}", path, at), at);
}

}  // namespace

Result<Trace> parse_trace(std::string_view text, std::string file, const Trace* before) {
  Trace trace;
  trace.file = std::move(file);
  if (before) trace.first_call = before->first_call + static_cast<uint32_t>(before->calls.size());
  Parser parser(trace, before);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  for (uint32_t line = 1; !text.empty(); ++line) {
    size_t end = text.find('\n');
    try {
      parser.line(text.substr(0, end), line);
    } catch (const Problem& problem) {
      return fail(ErrorKind::corrupt, fmt::format("{}:{}: {}", trace.file, line, problem.what));
    } catch (const Json::exception& error) {
      return fail(ErrorKind::corrupt, fmt::format("{}:{}: {}", trace.file, line, error.what()));
    }
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return trace;
}

Result<Trace> load_trace(const std::string& path, const Trace* before) {
  ROTOR_TRY(std::string text, read_file(path));
  if (text.starts_with("\x1f\x8b")) {
    ROTOR_TRY(text, unzip(text, path));
  }
  return parse_trace(text, path, before);
}

}  // namespace rotor::wasm_bindgen
