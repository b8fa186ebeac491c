#include "proxy/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "rotor/printable.h"

namespace rotor::proxy {
namespace {

Arg::Shape shape_of(ArgKind kind) {
  if (!takes_data(kind)) return Arg::Shape::value;
  return is_bytes(kind) ? Arg::Shape::bytes : Arg::Shape::vector;
}

const char* to_string(Arg::Shape shape) {
  switch (shape) {
    case Arg::Shape::value: return "a value";
    case Arg::Shape::bytes: return "bytes";
    default: return "a vector";
  }
}

/// Errors: type_mismatch; invalid_argument (a NUL that would end the text).
Result<void> check_shape(ArgKind kind, const Arg& arg) {
  if (arg.shape() != shape_of(kind))
    return fail(ErrorKind::type_mismatch,
                fmt::format("must be {}, not {}", to_string(shape_of(kind)), to_string(arg.shape())));
  if (kind != ArgKind::cstring) return {};
  const auto nul = std::ranges::find(arg.data(), uint8_t{0});
  if (nul == arg.data().end()) return {};
  return fail(ErrorKind::invalid_argument, fmt::format("has a NUL as byte {} of {}, which would end the text",
                                                       nul - arg.data().begin() + 1, arg.data().size()));
}

Error guest_error(const ExportPlan& plan, const RawReply& raw) {
  return Error(ErrorKind::host,
               fmt::format("{}: the guest returned an error{}{}", plan.shown, raw.error_text.empty() ? "" : ": ",
                           printable(raw.error_text, kShownTextBytes)));
}

template <class T>
void append_bytes(std::vector<uint8_t>& to, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  to.insert(to.end(), bytes, bytes + sizeof value);
}

}  // namespace

uint64_t hash_of(const ExportPlan& plan, std::span<const uint8_t> bytes, std::span<const uint32_t> vector) {
  for (ResultKind kind : plan.results) {
    if (kind == ResultKind::bytes) return hash_bytes(1, bytes);
    if (kind == ResultKind::vector)
      return hash_bytes(2, {reinterpret_cast<const uint8_t*>(vector.data()), vector.size_bytes()});
  }
  return 0;
}

Result<void> Recorder::prepare(uint32_t export_index, std::span<const Arg> args, const LiveGuest& active,
                               PreparedCall& call) {
  const ExportPlan& plan = plan_.exports[export_index];
  if (args.size() != plan.args.size())
    return fail(ErrorKind::type_mismatch,
                fmt::format("{} takes {} arguments, not {}", plan.shown, plan.args.size(), args.size()));
  call.builds = plan.effect == Effect::build;
  call.args.reserve(args.size());
  if (std::ranges::any_of(plan.args, takes_handles)) call.raw_handles.reserve(args.size());  // `args` points into it
  std::shared_ptr<LogCall> record;
  if (recording_ && (call.builds || plan.makes_handles || std::ranges::any_of(plan.args, consumes))) {
    record = std::make_shared<LogCall>();
    record->export_index = export_index;
  }
  Seen seen;
  for (size_t i = 0; i < args.size(); i++) {
    const ValType type = plan.type.params[plan.params[i]];
    auto raw = take_arg(plan.args[i], type, args[i], active, call, record.get(), seen);
    if (!raw) return fail(raw.error().kind, fmt::format("{}, argument {}: {}", plan.shown, i + 1, raw.error().message));
    call.args.push_back(*raw);
  }
  if (!record) return {};
  if (plan.once && has_once(*record)) call.builds = false;
  if (call.builds || seen.ends_built) {
    for (const auto& need : call.needs)
      if (!need->stuck.empty())
        return fail(ErrorKind::invalid_argument,
                    fmt::format("{} can't be recorded: it takes a handle of {}, {}", plan.shown,
                                plan_.exports[need->call->export_index].shown, need->stuck));
    std::vector<const Provisional*> seen;
    for (const auto& need : call.needs)
      if (const Provisional* late = too_late(*need, seen))
        return fail(
            ErrorKind::invalid_argument,
            fmt::format("{} can't be recorded: it takes a handle of {}, which would have to be recorded where it "
                        "was made, but the log was cut behind that, and what it read has changed",
                        plan.shown, plan_.exports[late->call->export_index].shown));
    record->promoted = !call.builds && plan.makes_handles;
    call.record = std::move(record);
  } else if (plan.makes_handles || seen.ends_query) {
    call.provisional = std::make_shared<Provisional>(log_);
    call.provisional->call = std::move(record);
    call.provisional->call->promoted = plan.makes_handles;
  }
  return {};
}

bool Recorder::has_once(const LogCall& call) const {
  const std::string identity = call.identity();
  if (log_.has_once(identity)) return true;
  return std::ranges::any_of(pending_, [&](const auto& recorded) {
    return recorded->export_index == call.export_index && recorded->identity() == identity;
  });
}

Result<RawArg> Recorder::take_arg(ArgKind kind, ValType type, const Arg& arg, const LiveGuest& active,
                                  PreparedCall& call, LogCall* record, Seen& seen) {
  ROTOR_CHECK(check_shape(kind, arg));
  RawArg raw;
  if (takes_data(kind)) {
    raw.data = arg.data();
    if (takes_handles(kind)) {
      if (record) record->args.push_back(arg.data().size() / sizeof(uint32_t) * sizeof(HandleId));
      ROTOR_TRY(raw.data, take_handles(kind, arg, active, call, record, seen));
    } else if (record) {
      record->args.push_back(arg.data().size());
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
                                                        PreparedCall& call, LogCall* record, Seen& seen) {
  std::vector<uint32_t>& raw = call.raw_handles.emplace_back(arg.data().size() / sizeof(uint32_t));
  std::memcpy(raw.data(), arg.data().data(), raw.size() * sizeof(uint32_t));
  for (uint32_t& handle : raw) {
    ROTOR_TRY(Taken taken, take_handle(handle, kind, active, call, seen));
    handle = taken.raw;
    if (record) append_bytes(record->data, taken.id);
  }
  return std::span(reinterpret_cast<const uint8_t*>(raw.data()), raw.size() * sizeof(uint32_t));
}

Result<Recorder::Taken> Recorder::take_handle(uint32_t token, ArgKind kind, const LiveGuest& active, PreparedCall& call,
                                              Seen& seen) {
  if (!enabled_) return Taken{.raw = token};
  if (token == 0) return Taken{};
  ROTOR_TRY(TokenTable::Entry* entry, tokens_.find(token));
  ROTOR_TRY(uint32_t raw, tokens_.raw(*entry, active));
  const bool built = entry->state == TokenTable::State::built;
  if (consumes(kind)) {
    call.consumed.push_back(token);
    (built ? seen.ends_built : seen.ends_query) = true;
  }
  if (built) {
    call.takes_built.push_back(entry->id);
  } else if (auto query = provisional_.find(entry->id);
             query != provisional_.end() && std::ranges::find(call.needs, query->second) == call.needs.end()) {
    call.needs.push_back(query->second);
  }
  return Taken{.raw = raw, .id = entry->id};
}

Result<uint32_t> Recorder::resolve(uint32_t token, const LiveGuest& active) {
  if (!enabled_ || token == 0) return token;
  ROTOR_TRY(TokenTable::Entry* entry, tokens_.find(token));
  return tokens_.raw(*entry, active);
}

// ---- results --------------------------------------------------------------------------------------------------------

Result<Reply> Recorder::finish(uint32_t export_index, PreparedCall& call, RawReply&& raw, const LiveGuest& active,
                               std::optional<uint64_t> call_number) {
  const ExportPlan& plan = plan_.exports[export_index];
  end_consumed(call);
  LogCall* kept = call.kept();
  // Queries that the call needs are promoted first, so that they come before it in the log.
  if (call.record)
    for (const auto& need : call.needs) promote(*need);
  if (kept) kept->seq = log_.next_seq();
  Reply reply;
  std::optional<Error> problem;  // the call was made, so it is recorded whatever becomes of its results
  size_t value = 0, wasm_index = 0;
  auto give = [&](uint32_t handle) -> uint32_t {
    auto token = give_handle(export_index, handle, call, active, call_number);
    if (!token && !problem) problem = std::move(token).error();
    return token ? *token : 0;
  };
  for (ResultKind kind : raw.guest_error ? std::vector<ResultKind>() : plan.results) {
    if (kind == ResultKind::scalar) {
      if (kept) kept->scalars.push_back(raw.values[value]);
      reply.values.push_back(Value::from_bits(plan.result_type(wasm_index), raw.values[value++]));
    } else if (kind == ResultKind::handle) {
      reply.values.emplace_back(give(static_cast<uint32_t>(raw.values[value++])));
    } else if (kind == ResultKind::handles) {
      for (uint32_t handle : raw.vector) reply.vector.push_back(give(handle));
    } else if (kind == ResultKind::vector) {
      reply.vector = std::move(raw.vector);
    }
    wasm_index += kind >= ResultKind::bytes ? 2 : 1;
  }
  reply.bytes = std::move(raw.bytes);
  if (kept) {
    kept->guest_error = raw.guest_error;
    if (!raw.guest_error) kept->data_hash = hash_of(plan, reply.bytes, reply.vector);
  }
  if (call.record) {
    emit(std::move(call.record));
  } else if (call.provisional && call.provisional->alive > 0) {
    for (HandleId id : call.takes_built) {
      log_.pin(id);
      call.provisional->pins.push_back(id);
    }
    for (const auto& need : call.needs) {
      if (need->is_over) continue;  // a query that is over is tied to this call by its own `ends` only
      need->alive++;
      call.provisional->needs.push_back(need);
    }
  }
  if (problem) return std::unexpected(std::move(*problem));
  if (raw.guest_error) return std::unexpected(guest_error(plan, raw));
  return reply;
}

Result<Reply> Recorder::plain_reply(const ExportPlan& plan, RawReply&& raw) {
  if (raw.guest_error) return std::unexpected(guest_error(plan, raw));
  Reply reply;
  size_t wasm_index = 0, value = 0;
  for (ResultKind kind : plan.results) {
    if (kind == ResultKind::scalar)
      reply.values.push_back(Value::from_bits(plan.result_type(wasm_index), raw.values[value++]));
    wasm_index += kind >= ResultKind::bytes ? 2 : 1;
  }
  reply.bytes = std::move(raw.bytes);
  reply.vector = std::move(raw.vector);
  return reply;
}

Result<Reply> Recorder::call_detached(uint32_t export_index, std::span<const Arg> args, LiveGuest& guest,
                                      const std::unordered_map<uint32_t, uint32_t>& raw_of) const {
  const ExportPlan& plan = plan_.exports[export_index];
  if (args.size() != plan.args.size())
    return fail(ErrorKind::type_mismatch,
                fmt::format("{} takes {} arguments, not {}", plan.shown, plan.args.size(), args.size()));
  auto raw_handle = [&](uint32_t token) -> Result<uint32_t> {
    if (token == 0) return 0;
    if (auto found = raw_of.find(token); found != raw_of.end()) return found->second;
    return fail(ErrorKind::stale_handle, fmt::format("{:#x} was no handle of the lease's instance", token));
  };
  std::vector<RawArg> raw_args(args.size());
  std::vector<std::vector<uint32_t>> vectors;
  vectors.reserve(args.size());
  for (size_t i = 0; i < args.size(); i++) {
    const ArgKind kind = plan.args[i];
    if (auto fits = check_shape(kind, args[i]); !fits)
      return fail(fits.error().kind, fmt::format("{}, argument {}: {}", plan.shown, i + 1, fits.error().message));
    raw_args[i].slot = args[i].slot();
    raw_args[i].data = args[i].data();
    if (is_handle(kind)) {
      ROTOR_TRY(raw_args[i].slot, raw_handle(static_cast<uint32_t>(args[i].slot())));
    } else if (takes_handles(kind)) {
      std::vector<uint32_t>& handles = vectors.emplace_back(args[i].data().size() / sizeof(uint32_t));
      std::memcpy(handles.data(), args[i].data().data(), handles.size() * sizeof(uint32_t));
      for (uint32_t& handle : handles) {
        ROTOR_TRY(handle, raw_handle(handle));
      }
      raw_args[i].data = {reinterpret_cast<const uint8_t*>(handles.data()), handles.size() * sizeof(uint32_t)};
    }
  }
  RawReply raw;
  ROTOR_CHECK(guest.call(export_index, raw_args, raw));
  return plain_reply(plan, std::move(raw));
}

/// Ends consumed tokens. Called before results are translated: a handle that comes back at once is another one.
void Recorder::end_consumed(PreparedCall& call) {
  for (uint32_t token : call.consumed) {
    TokenTable::Entry* entry = tokens_.live(token);
    if (!entry) continue;  // the same token may be passed twice
    if (auto query = provisional_.find(entry->id); query != provisional_.end() && call.provisional) {
      Provisional& made = *query->second;
      made.ends.push_back(call.provisional);
      if (call.needs.size() > 1 && made.stuck.empty())
        made.stuck = "another handle of which a query consumed together with handles of other queries";
    }
    end_token(token, TokenTable::State::released);
  }
}

void Recorder::end_token(uint32_t token, TokenTable::State why, uint64_t rotation) {
  TokenTable::Entry* entry = tokens_.live(token);
  if (!entry) return;
  const HandleId id = entry->id;
  tokens_.end(token, why, rotation);
  auto query = provisional_.find(id);
  if (query == provisional_.end()) return;
  std::shared_ptr<Provisional> keep = std::move(query->second);
  provisional_.erase(query);
  keep->let_go();
}

Result<uint32_t> Recorder::give_handle(uint32_t export_index, uint32_t raw, PreparedCall& call, const LiveGuest& active,
                                       std::optional<uint64_t> call_number) {
  if (!enabled_) return raw;
  const HandleId id = raw == 0 ? kNullHandle : log_.next_handle();
  if (LogCall* kept = call.kept()) kept->made.push_back(id);
  if (raw == 0) return 0;
  if (call.builds || call.record) return tokens_.add(TokenTable::State::built, export_index, id, raw, active.number);

  ROTOR_TRY(uint32_t token, tokens_.add(TokenTable::State::query, export_index, id, raw, active.number));
  if (call.provisional) {
    provisional_.emplace(id, call.provisional);
    call.provisional->tokens.push_back(token);
    call.provisional->alive++;
  }
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

/// Makes a query part of the log because a build takes a handle of it, and so the queries that it needs.
void Recorder::promote(Provisional& query) {
  if (query.promoted) return;
  query.promoted = true;
  for (const auto& need : query.needs) promote(*need);
  // If nothing that it read changed since, it may as well have been made now. Else it must keep its place in the log.
  if (unchanged_since(query)) query.call->seq = log_.next_seq();
  for (uint32_t token : query.tokens) {
    TokenTable::Entry* entry = tokens_.live(token);
    if (!entry || entry->state != TokenTable::State::query) continue;
    entry->state = TokenTable::State::built;
    auto found = provisional_.find(entry->id);
    if (found == provisional_.end()) continue;
    if (undoing_) promoted_.push_back(token);
    provisional_.erase(found);
  }
  emit(query.call);
  for (const auto& end : std::exchange(query.ends, {})) promote(*end);
  for (const auto& need : std::exchange(query.needs, {})) need->let_go();
}

const Provisional* Recorder::too_late(const Provisional& query, std::vector<const Provisional*>& seen) const {
  if (query.promoted || std::ranges::find(seen, &query) != seen.end()) return nullptr;
  seen.push_back(&query);
  if (query.call->seq <= log_.cut_seq() && !unchanged_since(query)) return &query;
  for (const auto* others : {&query.needs, &query.ends})
    for (const auto& other : *others)
      if (const Provisional* late = too_late(*other, seen)) return late;
  return nullptr;
}

/// Returns whether what the query read is as it was, by the log and by the calls that are not yet in it.
bool Recorder::unchanged_since(const Provisional& query) const {
  const uint64_t seq = query.call->seq;
  return log_.unchanged_since(seq, query.pins) && std::ranges::none_of(pending_, [&](const auto& call) {
           const ExportPlan& plan = plan_.exports[call->export_index];
           const bool changes = plan.effect == Effect::build && !plan.reads;
           bool touches = std::ranges::any_of(call->made, [](HandleId id) { return id != kNullHandle; });
           bool changed = false;
           each_taken(plan, *call, [&](HandleId id, bool ends) {
             touches = true;
             changed |= (changes || ends) && std::ranges::find(query.pins, id) != query.pins.end();
           });
           return call->seq > seq &&
                  (changed || changes_more(plan, *call) || (plan.effect == Effect::build && !touches));
         });
}

void Recorder::emit(std::shared_ptr<const LogCall> call) {
  if (undoing_)
    pending_.push_back(std::move(call));
  else
    append(std::move(call));
}

void Recorder::append(std::shared_ptr<const LogCall> call) {
  switch (log_.append(std::move(call))) {
    case Log::Appended::ok: break;
    case Log::Appended::due: compaction_due_ = true; break;
    case Log::Appended::filling:
    case Log::Appended::full: shortening_due_ = true; break;
  }
}

// ---- query handles --------------------------------------------------------------------------------------------------

bool Recorder::is_query(uint32_t token) {
  const TokenTable::Entry* entry = tokens_.live(token);
  return entry && entry->state == TokenTable::State::query;
}

Result<void> Recorder::keep(uint32_t token, uint64_t calls) {
  if (!enabled_ || token == 0) return {};
  ROTOR_CHECK(tokens_.find(token));
  auto found = std::ranges::find(lease_handles_, token);
  if (found == lease_handles_.end()) return {};  // it outlives the lease anyway
  lease_handles_.erase(found);
  kept_handles_.push_back(token);
  last_kept_call_ = calls;
  return {};
}

void Recorder::end_lease_handles() {
  for (uint32_t token : lease_handles_)
    if (is_query(token)) end_token(token, TokenTable::State::lease_ended);
  lease_handles_.clear();
}

void Recorder::swapped(uint64_t rotation) {
  for (std::vector<uint32_t>* handles : {&kept_handles_, &lease_handles_}) {
    for (uint32_t token : *handles)
      if (is_query(token)) end_token(token, TokenTable::State::swapped_out, rotation);
    handles->clear();
  }
}

bool Recorder::holds_swap(uint64_t calls, uint64_t bound) {
  if (kept_handles_.empty() || calls - last_kept_call_ >= bound) return false;
  prune_kept();
  return !kept_handles_.empty();
}

void Recorder::prune_kept() {
  std::erase_if(kept_handles_, [&](uint32_t token) { return !is_query(token); });
}

// ---- undo -----------------------------------------------------------------------------------------------------------

void Recorder::begin_undo() {
  undoing_ = true;
  tokens_.begin_undo();
}

void Recorder::commit() {
  undoing_ = false;
  tokens_.commit();
  promoted_.clear();
  for (auto& call : std::exchange(pending_, {})) append(std::move(call));
}

void Recorder::roll_back() {
  undoing_ = false;
  pending_.clear();
  tokens_.roll_back();
  // These handles are no part of the state after all, and their instance is gone with the attempt.
  for (uint32_t token : std::exchange(promoted_, {}))
    if (TokenTable::Entry* entry = tokens_.live(token)) {
      entry->state = TokenTable::State::query;
      kept_handles_.push_back(token);
    }
  // The handles that the attempt's own queries returned are gone, so nothing that they read need be kept for them.
  std::erase_if(provisional_, [&](const auto& item) {
    Provisional& query = *item.second;
    const bool lives = std::ranges::any_of(query.tokens, [&](uint32_t token) {
      const TokenTable::Entry* entry = tokens_.live(token);
      return entry && entry->id == item.first;
    });
    if (!lives) query.let_go();
    return !lives;
  });
}

}  // namespace rotor::proxy
