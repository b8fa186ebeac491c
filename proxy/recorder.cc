#include "proxy/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace rotor::proxy {
namespace {

Arg::Shape shape_of(ArgKind kind) {
  if (!takes_data(kind)) return Arg::Shape::value;
  return kind == ArgKind::bytes ? Arg::Shape::bytes : Arg::Shape::vector;
}

const char* to_string(Arg::Shape shape) {
  switch (shape) {
    case Arg::Shape::value: return "a value";
    case Arg::Shape::bytes: return "bytes";
    default: return "a vector";
  }
}

template <class T>
void append(std::vector<uint8_t>& to, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof value);
}

}  // namespace

Result<void> Recorder::prepare(uint32_t export_index, std::span<const Arg> args, const LiveGuest& active,
                               PreparedCall& call) {
  const ExportPlan& plan = plan_.exports[export_index];
  if (args.size() != plan.args.size())
    return fail(ErrorKind::type_mismatch,
                fmt::format("{} takes {} arguments, not {}", plan.name, plan.args.size(), args.size()));
  call.builds = plan.effect == Effect::build;
  call.args.reserve(args.size());
  if (std::ranges::any_of(plan.args, takes_handles)) call.raw_handles.reserve(args.size());  // `args` points into it
  std::shared_ptr<LogCall> record;
  if (recording_ && (call.builds || std::ranges::any_of(plan.args, consumes))) {
    record = std::make_shared<LogCall>();
    record->export_index = export_index;
  }
  Handles seen;
  size_t wasm_index = 0;
  for (size_t i = 0; i < args.size(); i++) {
    ArgKind kind = plan.args[i];
    auto raw = take_arg(kind, plan.type.params[wasm_index], args[i], active, call, record.get(), seen);
    if (!raw) return fail(raw.error().kind, fmt::format("{}, argument {}: {}", plan.name, i + 1, raw.error().message));
    call.args.push_back(*raw);
    wasm_index += takes_data(kind) ? 2 : 1;
  }
  if (!record) return {};
  if (plan.once && log_.has_once(record->key())) call.builds = false;
  if (!call.builds && !seen.ends_built) return {};
  if (seen.query_export != kNoExport)
    return fail(ErrorKind::invalid_argument,
                fmt::format("{} can't be recorded: it takes a handle of {}, which the policy calls a query", plan.name,
                            plan_.exports[seen.query_export].name));
  call.record = std::move(record);
  return {};
}

Result<RawArg> Recorder::take_arg(ArgKind kind, ValType type, const Arg& arg, const LiveGuest& active,
                                  PreparedCall& call, LogCall* record, Handles& seen) const {
  if (arg.shape() != shape_of(kind))
    return fail(ErrorKind::type_mismatch,
                fmt::format("must be {}, not {}", to_string(shape_of(kind)), to_string(arg.shape())));
  RawArg raw;
  if (takes_data(kind)) {
    raw.data = arg.data();
    if (record) record->args.push_back(arg.data().size());
    if (takes_handles(kind)) {
      ROTOR_TRY(raw.data, take_handles(kind, arg, active, call, record, seen));
    } else if (record) {
      record->data.insert(record->data.end(), raw.data.begin(), raw.data.end());
    }
    return raw;
  }
  if (arg.type() != type)
    return fail(ErrorKind::type_mismatch,
                fmt::format("must be {}, not {}", rotor::to_string(type), rotor::to_string(arg.type())));
  raw.slot = arg.slot();
  Slot symbol = arg.slot();
  if (kind != ArgKind::scalar) {
    ROTOR_TRY(Taken taken, take_handle(static_cast<uint32_t>(arg.slot()), kind, active, call, seen));
    raw.slot = taken.raw;
    symbol = taken.id;
  }
  if (record) record->args.push_back(symbol);
  return raw;
}

Result<std::span<const uint8_t>> Recorder::take_handles(ArgKind kind, const Arg& arg, const LiveGuest& active,
                                                        PreparedCall& call, LogCall* record, Handles& seen) const {
  std::vector<uint32_t>& raw = call.raw_handles.emplace_back(arg.data().size() / sizeof(uint32_t));
  std::memcpy(raw.data(), arg.data().data(), raw.size() * sizeof(uint32_t));
  for (uint32_t& handle : raw) {
    ROTOR_TRY(Taken taken, take_handle(handle, kind, active, call, seen));
    handle = taken.raw;
    if (record) append(record->data, taken.id);
  }
  return std::span(reinterpret_cast<const uint8_t*>(raw.data()), raw.size() * sizeof(uint32_t));
}

Result<Recorder::Taken> Recorder::take_handle(uint32_t token, ArgKind kind, const LiveGuest& active, PreparedCall& call,
                                              Handles& seen) const {
  if (!enabled_) return Taken{.raw = token};
  if (token == 0) return Taken{};
  ROTOR_TRY(const TokenTable::Entry* entry, tokens_.find(token));
  bool built = entry->state == TokenTable::State::built;
  if (consumes(kind)) {
    call.consumed.push_back(token);
    seen.ends_built |= built;
  }
  if (built) return Taken{.raw = active.handles[entry->value], .id = entry->value};
  seen.query_export = entry->export_index;
  return Taken{.raw = entry->value};
}

Result<Reply> Recorder::finish(uint32_t export_index, PreparedCall& call, RawReply&& raw, LiveGuest& active,
                               std::optional<uint64_t> call_number) {
  const ExportPlan& plan = plan_.exports[export_index];
  for (uint32_t token : call.consumed)
    if (tokens_.live(token)) tokens_.end(token, TokenTable::State::released);  // it may be there twice
  LogCall* record = call.record.get();
  Reply reply;
  size_t value = 0, wasm_index = 0;
  for (ResultKind kind : raw.guest_error ? std::vector<ResultKind>() : plan.results) {
    if (kind == ResultKind::scalar) {
      if (record) record->scalars.push_back(raw.values[value]);
      reply.values.push_back(Value::from_bits(plan.type.results[wasm_index], raw.values[value++]));
    } else if (kind == ResultKind::handle) {
      if (record) record->handle_count++;
      ROTOR_TRY(uint32_t token,
                give_handle(export_index, static_cast<uint32_t>(raw.values[value++]), call, active, call_number));
      reply.values.emplace_back(token);
    } else if (kind == ResultKind::handles) {
      if (record) record->handle_count += static_cast<uint32_t>(raw.vector.size());
      for (uint32_t handle : raw.vector) {
        ROTOR_TRY(uint32_t token, give_handle(export_index, handle, call, active, call_number));
        reply.vector.push_back(token);
      }
    } else if (kind == ResultKind::vector) {
      reply.vector = std::move(raw.vector);
    }
    wasm_index += kind >= ResultKind::bytes ? 2 : 1;
  }
  reply.bytes = std::move(raw.bytes);
  if (record) {
    record->guest_error = raw.guest_error;
    recording_ = log_.append(std::move(call.record), plan.once);
  }
  if (raw.guest_error)
    return fail(ErrorKind::host, fmt::format("{}: the guest returned an error{}{}", plan.name,
                                             raw.error_text.empty() ? "" : ": ", raw.error_text));
  return reply;
}

Result<uint32_t> Recorder::give_handle(uint32_t export_index, uint32_t raw, const PreparedCall& call, LiveGuest& active,
                                       std::optional<uint64_t> call_number) {
  if (!enabled_) return raw;
  if (call.builds || call.record) {
    active.handles.push_back(raw);
    if (raw == 0) return 0;
    return tokens_.add_built(export_index, static_cast<HandleId>(active.handles.size() - 1));
  }
  if (raw == 0) return 0;
  ROTOR_TRY(uint32_t token, tokens_.add_query(export_index, raw));
  if (!call_number) {
    lease_handles_.push_back(token);
    return token;
  }
  if (kept_handles_.size() >= prune_at_) {
    prune_kept();
    prune_at_ = 2 * kept_handles_.size() + 64;
  }
  kept_handles_.push_back(token);
  last_kept_call_ = *call_number;
  return token;
}

Result<uint32_t> Recorder::resolve(uint32_t token, const LiveGuest& active) const {
  if (!enabled_ || token == 0) return token;
  ROTOR_TRY(const TokenTable::Entry* entry, tokens_.find(token));
  return entry->state == TokenTable::State::built ? active.handles[entry->value] : entry->value;
}

void Recorder::end_lease() {
  for (uint32_t token : lease_handles_)
    if (tokens_.live(token)) tokens_.end(token, TokenTable::State::lease_ended);
  lease_handles_.clear();
}

void Recorder::swapped(uint64_t rotation) {
  for (uint32_t token : kept_handles_)
    if (tokens_.live(token)) tokens_.end(token, TokenTable::State::swapped_out, rotation);
  kept_handles_.clear();
}

bool Recorder::holds_swap(uint64_t calls, uint64_t bound) {
  if (kept_handles_.empty() || calls - last_kept_call_ >= bound) return false;
  prune_kept();
  return !kept_handles_.empty();
}

void Recorder::prune_kept() {
  std::erase_if(kept_handles_, [&](uint32_t token) { return !tokens_.live(token); });
}

}  // namespace rotor::proxy
