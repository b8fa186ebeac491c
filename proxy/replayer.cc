#include "proxy/replayer.h"

#include <fmt/format.h>

#include <cstring>

namespace rotor::proxy {
namespace {

uint32_t raw_handle(const LiveGuest& guest, HandleId id) { return id == kNullHandle ? 0 : guest.handles[id]; }

std::vector<uint8_t> raw_handles(const LiveGuest& guest, std::span<const uint8_t> ids) {
  std::vector<uint8_t> raw(ids.size());
  for (size_t at = 0; at < ids.size(); at += sizeof(HandleId)) {
    HandleId id = 0;
    std::memcpy(&id, &ids[at], sizeof id);
    uint32_t handle = raw_handle(guest, id);
    std::memcpy(&raw[at], &handle, sizeof handle);
  }
  return raw;
}

std::unexpected<Error> diverged(const ExportPlan& plan, std::string what) {
  return fail(ErrorKind::internal, fmt::format("divergence: {} {}", plan.name, what));
}

}  // namespace

Result<void> replay(const Plan& plan, const LogCall& call, LiveGuest& guest) {
  const ExportPlan& item = plan.exports[call.export_index];
  std::vector<RawArg> args(item.args.size());
  std::vector<std::vector<uint8_t>> translated;
  translated.reserve(args.size());  // spans point into it
  std::span<const uint8_t> data = call.data;
  for (size_t i = 0; i < args.size(); i++) {
    ArgKind kind = item.args[i];
    if (takes_data(kind)) {
      args[i].data = data.first(call.args[i]);
      data = data.subspan(call.args[i]);
      if (takes_handles(kind)) args[i].data = translated.emplace_back(raw_handles(guest, args[i].data));
    } else {
      args[i].slot = kind == ArgKind::scalar ? call.args[i] : raw_handle(guest, static_cast<HandleId>(call.args[i]));
    }
  }
  RawReply reply;
  ROTOR_CHECK(guest.call(call.export_index, args, reply));
  guest.calls_replayed++;
  if (reply.guest_error != call.guest_error)
    return diverged(item, reply.guest_error ? "returned an error: " + reply.error_text : "returned no error");

  std::vector<uint32_t> handles;
  size_t value = 0, scalar = 0;
  for (ResultKind kind : reply.guest_error ? std::vector<ResultKind>() : item.results) {
    if (kind == ResultKind::scalar && reply.values[value++] != call.scalars[scalar++])
      return diverged(item,
                      fmt::format("returned {:#x}, not {:#x}", reply.values[value - 1], call.scalars[scalar - 1]));
    if (kind == ResultKind::handle) handles.push_back(static_cast<uint32_t>(reply.values[value++]));
    if (kind == ResultKind::handles) handles.insert(handles.end(), reply.vector.begin(), reply.vector.end());
  }
  if (handles.size() != call.handle_count)
    return diverged(item, fmt::format("returned {} handles, not {}", handles.size(), call.handle_count));
  guest.handles.insert(guest.handles.end(), handles.begin(), handles.end());
  return {};
}

}  // namespace rotor::proxy
