#include "proxy/replayer.h"

#include <fmt/format.h>

#include <cstring>

#include "proxy/recorder.h"

namespace rotor::proxy {
namespace {

constexpr std::string_view kDivergence = "divergence: ";

std::unexpected<Error> diverged(const ExportPlan& plan, std::string what) {
  return fail(ErrorKind::internal, fmt::format("{}{} {}", kDivergence, plan.shown, what));
}

class Replay {
 public:
  Replay(const Plan& plan, const LogCall& call, LiveGuest& guest)
      : plan_(plan), item_(plan.exports[call.export_index]), call_(call), guest_(guest) {}

  Result<void> run() {
    ROTOR_CHECK(fill_in());
    RawReply reply;
    ImportTape& tape = guest_.tape();
    if (plan_.records_answers) tape.replay(call_.answers, false);
    Result<void> called = guest_.call(call_.export_index, args_, reply);
    if (plan_.records_answers) {
      const bool cut_short = !called && tape.divergence().empty();
      Result<void> same = tape.end_replay();
      if (!same && !cut_short)
        return fail(ErrorKind::internal, fmt::format("{}: {}", item_.shown, same.error().message));
    }
    ROTOR_CHECK(called);
    guest_.calls_replayed++;
    return compare(reply);
  }

 private:
  Result<uint32_t> raw(HandleId id) const {
    if (id == kNullHandle) return 0;
    if (const uint32_t* raw = guest_.handles.find(id)) return *raw;
    return diverged(item_, "takes a handle that no call of the log made");
  }

  Result<void> fill_in() {
    args_.resize(item_.args.size());
    translated_.reserve(item_.args.size());  // spans point into it
    size_t at = 0;
    for (size_t i = 0; i < args_.size(); i++) {
      const ArgKind kind = item_.args[i];
      if (!takes_data(kind)) {
        args_[i].slot = call_.args[i];
        if (kind != ArgKind::scalar) {
          ROTOR_TRY(args_[i].slot, raw(call_.args[i]));
        }
        continue;
      }
      std::span<const uint8_t> data = std::span(call_.data).subspan(at, call_.args[i]);
      at += data.size();
      if (takes_handles(kind)) {
        ROTOR_TRY(data, raw_handles(data));
      }
      args_[i].data = data;
    }
    return {};
  }

  Result<std::span<const uint8_t>> raw_handles(std::span<const uint8_t> ids) {
    std::vector<uint32_t>& handles = translated_.emplace_back(ids.size() / sizeof(HandleId));
    for (size_t i = 0; i < handles.size(); i++) {
      HandleId id = 0;
      std::memcpy(&id, &ids[i * sizeof id], sizeof id);
      ROTOR_TRY(handles[i], raw(id));
    }
    return std::span(reinterpret_cast<const uint8_t*>(handles.data()), handles.size() * sizeof(uint32_t));
  }

  Result<void> compare(const RawReply& reply) {
    if (reply.guest_error != call_.guest_error)
      return diverged(item_, reply.guest_error ? "returned an error: " + reply.error_text : "returned no error");
    if (reply.guest_error) return {};
    size_t value = 0, scalar = 0, made = 0;
    auto take = [&](uint32_t handle) -> Result<void> {
      if (made == call_.made.size() || (handle == 0) != (call_.made[made] == kNullHandle))
        return diverged(item_, fmt::format("returned {} as handle {}", handle ? "an object" : "null", made + 1));
      if (handle != 0) guest_.handles.set(call_.made[made], handle);
      made++;
      return {};
    };
    for (ResultKind kind : item_.results) {
      if (kind == ResultKind::scalar) {
        if (reply.values[value++] != call_.scalars[scalar++])
          return diverged(item_,
                          fmt::format("returned {:#x}, not {:#x}", reply.values[value - 1], call_.scalars[scalar - 1]));
      } else if (kind == ResultKind::handle) {
        ROTOR_CHECK(take(static_cast<uint32_t>(reply.values[value++])));
      } else if (kind == ResultKind::handles) {
        for (uint32_t handle : reply.vector) ROTOR_CHECK(take(handle));
      }
    }
    if (made != call_.made.size())
      return diverged(item_, fmt::format("returned {} handles, not {}", made, call_.made.size()));
    if (hash_of(item_, reply.bytes, reply.vector) != call_.data_hash)
      return diverged(item_, fmt::format("returned other {}", reply.bytes.empty() ? "numbers" : "bytes"));
    each_taken(item_, call_, [&](HandleId id, bool ends) {
      if (ends) guest_.handles.erase(id);
    });
    return {};
  }

  const Plan& plan_;
  const ExportPlan& item_;
  const LogCall& call_;
  LiveGuest& guest_;
  std::vector<RawArg> args_;
  std::vector<std::vector<uint32_t>> translated_;
};

}  // namespace

bool is_divergence(const Error& error) {
  return error.kind == ErrorKind::internal && error.message.find(kDivergence) != std::string::npos;
}

Result<void> Replayer::replay(const LogCall& call, LiveGuest& guest) {
  if (stop_) return fail(ErrorKind::internal, "the proxy is being destroyed");
  ROTOR_CHECK(Replay(plan_, call, guest).run());
  calls_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

}  // namespace rotor::proxy
