#include "hosts/wasm_bindgen/trace_replayer.h"

#include <fmt/format.h>

#include <algorithm>

#include "hosts/wasm_bindgen/sha256.h"
#include "rotor/printable.h"

namespace rotor::wasm_bindgen {
namespace {

constexpr size_t kMaxPlainBytes = 64;  // longer data is compared by digest
constexpr size_t kDigestBytes = 16;

bool equal(const TraceNumber& a, const TraceNumber& b) {
  if (a.index() == b.index()) return a == b;
  auto as_double = [](const TraceNumber& n) { return std::visit([](auto v) { return static_cast<double>(v); }, n); };
  return as_double(a) == as_double(b);
}

/// Returns whether the reply is as expected; if not, `mismatch` gets both as text.
bool check(const TraceCall& call, const ReplayReply& reply, Mismatch& mismatch) {
  if (auto* data = std::get_if<ExpectedData>(&call.expected)) {
    ExpectedData actual = digest(reply.data);
    if (actual.size_bytes == data->size_bytes && (data->hex.empty() || actual.hex == data->hex)) return true;
    mismatch.expected = to_text(*data);
    mismatch.actual = to_text(actual);
    return false;
  }
  TraceNumber actual =
      call.result == TraceResult::handles ? TraceNumber(static_cast<int64_t>(reply.handles.size())) : reply.number;
  const TraceNumber& expected = std::get<TraceNumber>(call.expected);
  if (equal(actual, expected)) return true;
  mismatch.expected = to_text(expected);
  mismatch.actual = to_text(actual);
  return false;
}

}  // namespace

std::string to_text(const TraceNumber& number) {
  return std::visit([](auto value) { return fmt::format("{}", value); }, number);
}

std::string to_text(const ExpectedData& data) {
  return data.hex.empty() ? fmt::format("[{}]", data.size_bytes)
                          : fmt::format("[{},\"{}\"]", data.size_bytes, data.hex);
}

ExpectedData digest(std::span<const uint8_t> data) {
  if (data.size() <= kMaxPlainBytes) return {data.size(), to_hex(data)};
  auto sha = sha256(data);
  return {data.size(), to_hex(std::span(sha).first(kDigestBytes))};
}

Result<uint32_t> TraceReplayer::handle(HandleRef ref) const {
  if (ref.element == HandleRef::kWhole) {
    if (ref.call < handles_.size()) return handles_[ref.call];
  } else if (auto found = vectors_.find(ref.call); found != vectors_.end()) {
    if (static_cast<size_t>(ref.element) < found->second.size()) return found->second[static_cast<size_t>(ref.element)];
  }
  return fail(ErrorKind::corrupt, fmt::format("no handle [{},{}]", ref.call, ref.element));
}

Result<void> TraceReplayer::resolve(const Trace& trace, const TraceCall& call) {
  args_.clear();
  elements_.clear();
  size_t count = 0;
  for (const TraceArg& arg : trace.args_of(call))
    if (arg.kind == TraceArg::Kind::u32s) count += arg.count;
  elements_.reserve(count);  // so that spans into it stay valid
  for (const TraceArg& arg : trace.args_of(call)) {
    ReplayArg& out = args_.emplace_back();
    switch (arg.kind) {
      case TraceArg::Kind::number: out.number = arg.number; break;
      case TraceArg::Kind::bytes:
        out.kind = ReplayArg::Kind::bytes;
        out.bytes = trace.bytes_of(arg);
        break;
      case TraceArg::Kind::handle: {
        out.kind = ReplayArg::Kind::handle;
        ROTOR_TRY(out.handle, handle(arg.handle));
        break;
      }
      case TraceArg::Kind::u32s: {
        out.kind = ReplayArg::Kind::u32s;
        size_t first = elements_.size();
        for (const TraceElement& element : trace.elements_of(arg)) {
          uint32_t value = element.number;
          if (element.is_handle) {
            out.kind = ReplayArg::Kind::handles;
            ROTOR_TRY(value, handle(element.handle));
          }
          elements_.push_back(value);
        }
        out.elements = std::span(elements_).subspan(first);
        break;
      }
      case TraceArg::Kind::extern_data: return fail(ErrorKind::unsupported, "external references as arguments");
    }
  }
  return {};
}

void TraceReplayer::keep(const TraceCall& call, uint32_t number) {
  if (call.result == TraceResult::handle) handles_[number] = reply_.handle;
  if (call.result == TraceResult::handles) vectors_[number] = reply_.handles;
}

Result<void> TraceReplayer::run_call(const Trace& trace, uint32_t index, ReplayReport& report) {
  const TraceCall& call = trace.calls[index];
  ROTOR_CHECK(resolve(trace, call));
  ROTOR_CHECK(executor_.call(call.name, args_, call.result, reply_));
  keep(call, trace.first_call + index);
  ++report.calls;
  if (std::holds_alternative<std::monostate>(call.expected)) return {};
  ++report.checked;
  Mismatch mismatch;
  if (check(call, reply_, mismatch)) {
    ++report.equal;
    return {};
  }
  auto told = std::ranges::find_if(
      report.mismatches, [&](const Mismatch& other) { return other.line == call.line && other.file == trace.file; });
  if (told != report.mismatches.end()) {
    ++told->times;
  } else if (report.mismatches.size() < ReplayReport::kMaxMismatches) {
    mismatch.file = trace.file;
    mismatch.line = call.line;
    mismatch.name = trace.names[call.name];
    mismatch.run = report.runs - 1;
    report.mismatches.push_back(std::move(mismatch));
  }
  return {};
}

Result<void> TraceReplayer::run(const Trace& trace, ReplayReport& report) {
  if (prepared_ != &trace) {
    if (auto ready = executor_.prepare(trace.names); !ready) {
      Error error = std::move(ready).error();
      error.message = fmt::format("{}: {}", trace.file, error.message);
      return std::unexpected(std::move(error));
    }
    prepared_ = &trace;
  }
  ++report.runs;
  handles_.resize(std::max(handles_.size(), trace.first_call + trace.calls.size()));
  for (uint32_t i = 0; i < trace.calls.size(); ++i) {
    if (on_progress) on_progress(i, trace.calls.size());
    if (auto done = run_call(trace, i, report); !done) {
      Error error = std::move(done).error();
      const TraceCall& call = trace.calls[i];
      error.message =
          fmt::format("{}:{}: {}: {}", trace.file, call.line, printable_name(trace.names[call.name]), error.message);
      return std::unexpected(std::move(error));
    }
  }
  return {};
}

}  // namespace rotor::wasm_bindgen
