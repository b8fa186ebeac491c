// Fuzzes the trace parser: any text is an error that names file and line, or a trace whose indices lie within it. What
// comes after a first NUL byte is read as the trace replayed next, whose handles may be of the first one.
#include "hosts/wasm_bindgen/trace.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz/heap_bound.h"

using namespace rotor;
using namespace rotor::wasm_bindgen;

namespace {

void expect(bool property) {
  if (!property) __builtin_trap();
}

void expect_sound(const Error& error) {
  expect(error.kind == ErrorKind::corrupt);
  expect(error.message.starts_with("fuzz.jsonl:") && error.message.size() > 13);
}

void expect_earlier(const HandleRef& handle, uint64_t call) {
  expect(handle.call < call && handle.element >= HandleRef::kWhole);
}

/// Checks what the replayer uses unchecked.
void expect_in_bounds(const Trace& trace) {
  for (size_t i = 0; i < trace.calls.size(); ++i) {
    const TraceCall& call = trace.calls[i];
    const uint64_t number = uint64_t{trace.first_call} + i;
    expect(call.name < trace.names.size() && call.line == i + 1);
    expect(call.first_arg <= trace.args.size() && call.arg_count <= trace.args.size() - call.first_arg);
    for (const TraceArg& arg : trace.args_of(call)) {
      if (arg.kind == TraceArg::Kind::handle) expect_earlier(arg.handle, number);
      if (arg.kind == TraceArg::Kind::bytes)
        expect(arg.first <= trace.bytes.size() && arg.count <= trace.bytes.size() - arg.first);
      if (arg.kind != TraceArg::Kind::u32s) continue;
      expect(arg.first <= trace.elements.size() && arg.count <= trace.elements.size() - arg.first);
      for (const TraceElement& element : trace.elements_of(arg))
        if (element.is_handle) expect_earlier(element.handle, number);
    }
  }
  expect(trace.checked <= trace.calls.size());
}

Result<Trace> parse(std::string_view text, const Trace* before) {
  auto trace = parse_trace(text, "fuzz.jsonl", before);
  if (trace) {
    expect_in_bounds(*trace);
  } else {
    expect_sound(trace.error());
  }
  return trace;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::HeapBound bound("a trace", size, 8 << 10, 1 << 20);
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t first_bytes = text.find('\0');
  auto first = parse(text.substr(0, first_bytes), nullptr);
  if (first && first_bytes != text.npos) (void)parse(text.substr(first_bytes + 1), &*first);
  return 0;
}
