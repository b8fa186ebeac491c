#include "proxy/probes.h"

#include <fmt/format.h>

#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

std::string text_of(const RawReply& reply) {
  if (reply.guest_error) return "an error: " + printable(reply.error_text, kShownTextBytes);
  std::string text;
  for (Slot value : reply.values) text += fmt::format("{}{:#x}", text.empty() ? "" : " ", value);
  if (!reply.bytes.empty()) text += fmt::format("{}{} bytes", text.empty() ? "" : " and ", reply.bytes.size());
  if (!reply.vector.empty()) text += fmt::format("{}{} numbers", text.empty() ? "" : " and ", reply.vector.size());
  return text.empty() ? "nothing" : text;
}

bool same(const RawReply& a, const RawReply& b) {
  return a.guest_error == b.guest_error && a.error_text == b.error_text && a.values == b.values && a.bytes == b.bytes &&
         a.vector == b.vector;
}

}  // namespace

Result<std::optional<RawReply>> ask(const Plan& plan, const ProbePlan& probe, LiveGuest& guest,
                                    const OldestHandle& handle) {
  std::vector<RawArg> args(probe.args.size());
  for (size_t i = 0; i < args.size(); i++) {
    const ProbeArgPlan& arg = probe.args[i];
    args[i].slot = arg.slot;
    args[i].data = arg.data;
    if (arg.made_by == kNoExport) continue;
    const std::optional<uint32_t> raw = handle(arg.made_by);
    if (!raw) return std::nullopt;
    args[i].slot = *raw;
  }
  RawReply reply;
  ROTOR_CHECK(guest.call(probe.export_index, args, reply));
  // Of an i32 only the lower half is a result.
  const ExportPlan& item = plan.exports[probe.export_index];
  size_t value = 0, wasm_index = 0;
  for (ResultKind kind : reply.guest_error ? std::vector<ResultKind>() : item.results) {
    if (kind == ResultKind::scalar) {
      const ValType type = item.result_type(wasm_index);
      Slot& slot = reply.values[value++];
      if (type == ValType::i32 || type == ValType::f32) slot = static_cast<uint32_t>(slot);
    }
    wasm_index += kind >= ResultKind::bytes ? 2 : 1;
  }
  return reply;
}

std::string difference(const ProbePlan& probe, const char* whose, const RawReply& expected, const RawReply& actual) {
  if (same(expected, actual)) return {};
  const std::string a = text_of(expected), b = text_of(actual);
  return a == b ? fmt::format("{}: {} and the standby answer {}, of other contents", probe.shown, whose, a)
                : fmt::format("{}: {} answers {}, the standby {}", probe.shown, whose, a, b);
}

}  // namespace rotor::proxy
