// The proxy, leases and replies.
#include "rotor/proxy.h"

#include <chrono>

#include "capi/call.h"
#include "capi/linker.h"
#include "capi/store.h"
#include "capi/vec.h"
#include "capi/wasi.h"

using namespace rotor;
using namespace rotor::capi;

struct rotor_proxy_t {
  Proxy proxy;
};
struct rotor_lease_t {
  Lease* lease;
  std::optional<Lease> own;  ///< nothing if it is with_lease's
};
struct rotor_reply_t {
  Reply reply;
  std::vector<wasm_val_t> values;
  wasm_val_vec_t view;
};

namespace {

/// The counters that rotor_proxy_counter knows, by their names.
struct Counter {
  const char* name;
  uint64_t ProxyCounters::* value;
};
constexpr Counter kCounters[] = {
#define ROTOR_COUNTER(name) {#name, &ProxyCounters::name}
    ROTOR_COUNTER(calls),
    ROTOR_COUNTER(leases),
    ROTOR_COUNTER(waiting),
    ROTOR_COUNTER(traps),
    ROTOR_COUNTER(retries),
    ROTOR_COUNTER(stale_handles),
    ROTOR_COUNTER(rotations),
    ROTOR_COUNTER(rotations_trap),
    ROTOR_COUNTER(rotations_force),
    ROTOR_COUNTER(rotations_image),
    ROTOR_COUNTER(warmups),
    ROTOR_COUNTER(warmups_failed),
    ROTOR_COUNTER(calls_replayed),
    ROTOR_COUNTER(images),
    ROTOR_COUNTER(images_failed),
    ROTOR_COUNTER(probes),
    ROTOR_COUNTER(probes_failed),
    ROTOR_COUNTER(log_calls),
    ROTOR_COUNTER(log_bytes),
    ROTOR_COUNTER(checkpoints),
    ROTOR_COUNTER(held),
    ROTOR_COUNTER(checkpoints_failed),
    ROTOR_COUNTER(state_changes),
    ROTOR_COUNTER(rewinds_held_up),
    ROTOR_COUNTER(drained),
    ROTOR_COUNTER(swap_pause_ns_max),
    ROTOR_COUNTER(retired),
    ROTOR_COUNTER(memory_bytes),
    ROTOR_COUNTER(standby_bytes),
    ROTOR_COUNTER(image_bytes),
    ROTOR_COUNTER(reclaimed_bytes),
    ROTOR_COUNTER(denied_growths),
    ROTOR_COUNTER(heap_live_bytes),
    ROTOR_COUNTER(heap_limit_bytes),
    ROTOR_COUNTER(heap_collections),
    ROTOR_COUNTER(heap_pause_ns_max),
#undef ROTOR_COUNTER
};

const char* name_of(ProxyEventKind kind) {
  switch (kind) {
    case ProxyEventKind::warmup_begun: return "warmup_begun";
    case ProxyEventKind::warmup_done: return "warmup_done";
    case ProxyEventKind::warmup_failed: return "warmup_failed";
    case ProxyEventKind::image_made: return "image_made";
    case ProxyEventKind::image_verified: return "image_verified";
    case ProxyEventKind::drained: return "drained";
    case ProxyEventKind::drain_overdue: return "drain_overdue";
    case ProxyEventKind::retried: return "retried";
    case ProxyEventKind::log_compacted: return "log_compacted";
    case ProxyEventKind::log_cut: return "log_cut";
    case ProxyEventKind::rotation_ended: return "rotation_ended";
    case ProxyEventKind::checkpoint_taken: return "checkpoint_taken";
    case ProxyEventKind::checkpoint_failed: return "checkpoint_failed";
    case ProxyEventKind::probe_differed: return "probe_differed";
    case ProxyEventKind::rewind_held_up: return "rewind_held_up";
  }
  return "?";
}

ProxyOptions options_of(rotor_proxy_event_callback_t tell, void* env) {
  ProxyOptions options;
  if (!tell) return options;
  options.on_rotation = [tell, env](const RotationEvent& event) {
    const rotor_proxy_event_t told{"rotation", event.swap_pause_ns, event.bytes_before, event.calls, ""};
    tell(env, &told);
  };
  options.on_event = [tell, env](const ProxyEvent& event) {
    const rotor_proxy_event_t told{name_of(event.kind), event.ns, event.bytes, event.calls, event.text.c_str()};
    tell(env, &told);
  };
  return options;
}

Result<std::vector<Arg>> args_of(const rotor_arg_t* args, size_t count) {
  std::vector<Arg> made;
  if (count && !args) return rotor::fail(ErrorKind::invalid_argument, "no arguments, where some are counted");
  for (size_t i = 0; i < count; ++i) {
    const rotor_arg_t& arg = args[i];
    const auto* bytes = static_cast<const uint8_t*>(arg.of.list.data);
    const bool is_list = arg.kind == ROTOR_ARG_BYTES || arg.kind == ROTOR_ARG_VECTOR;
    if (is_list && !bytes && arg.of.list.count)
      return rotor::fail(ErrorKind::invalid_argument, "argument " + std::to_string(i) + ": no data");
    switch (arg.kind) {
      case ROTOR_ARG_I32: made.emplace_back(arg.of.i32); break;
      case ROTOR_ARG_I64: made.emplace_back(arg.of.i64); break;
      case ROTOR_ARG_F32: made.emplace_back(arg.of.f32); break;
      case ROTOR_ARG_F64: made.emplace_back(arg.of.f64); break;
      case ROTOR_ARG_BYTES: made.push_back(Arg::bytes({bytes, arg.of.list.count})); break;
      case ROTOR_ARG_VECTOR:
        made.push_back(Arg::vector({reinterpret_cast<const uint32_t*>(bytes), arg.of.list.count}));
        break;
      default: return rotor::fail(ErrorKind::invalid_argument, "argument " + std::to_string(i) + ": unknown kind");
    }
  }
  return made;
}

/// Makes a call by `call(args)`, of a proxy or a lease.
template <class Call>
rotor_error_t* call_for_reply(const char* name, const rotor_arg_t* args, size_t count, rotor_reply_t** out,
                              const Call& call) {
  if (out) *out = nullptr;
  if (!name) return new_error(missing("name"));
  auto made = args_of(args, count);
  if (!made) return new_error(std::move(made).error());
  Result<Reply> reply = call(*made);
  if (!reply) return new_error(std::move(reply).error());
  if (!out) return nullptr;
  *out = new rotor_reply_t{std::move(*reply), {}, {}};
  for (const Value& value : (*out)->reply.values) (*out)->values.push_back(to_c(nullptr, value));
  (*out)->view = {(*out)->values.size(), (*out)->values.data()};
  return nullptr;
}

}  // namespace

extern "C" {

rotor_proxy_t* rotor_proxy_new(const rotor_linker_t* linker, const wasm_shared_module_t* module, const char* policy,
                               const rotor_limits_t* limits, rotor_wasi_t* wasi, rotor_proxy_event_callback_t tell,
                               void* env, rotor_error_t** error) {
  if (error) *error = nullptr;
  if (!linker || !module || !policy) return put_error(error, missing("linker, module or policy"));
  if (wasi && !wasi->environment) return put_error(error, missing("outside that a linker has"));
  auto parsed = Policy::parse_toml(policy);
  if (!parsed) return put_error(error, std::move(parsed).error());
  auto pre = linker->linker.instantiate_pre(module->module);
  if (!pre) return put_error(error, std::move(pre).error());
  const Limits of_guests = limits ? limits->limits : Limits();
  GuestFactory guests =
      wasi ? wasi::guests(*pre, *wasi->environment, of_guests) : linked_guests(std::move(*pre), of_guests);
  auto proxy = Proxy::create(module->module, std::move(guests), std::move(*parsed), options_of(tell, env));
  if (!proxy) return put_error(error, std::move(proxy).error());
  return new rotor_proxy_t{std::move(*proxy)};
}
void rotor_proxy_delete(rotor_proxy_t* proxy) { delete proxy; }
rotor_error_t* rotor_proxy_call(rotor_proxy_t* proxy, const char* name, const rotor_arg_t* args, size_t arg_count,
                                rotor_reply_t** reply) {
  if (reply) *reply = nullptr;
  if (!proxy) return new_error(missing("proxy"));
  return call_for_reply(name, args, arg_count, reply,
                        [&](std::span<const Arg> given) { return proxy->proxy.call(name, given); });
}
rotor_error_t* rotor_proxy_prepare(rotor_proxy_t* proxy) {
  return proxy ? error_or_null(proxy->proxy.prepare()) : new_error(missing("proxy"));
}
rotor_error_t* rotor_proxy_rotate(rotor_proxy_t* proxy) {
  return proxy ? error_or_null(proxy->proxy.rotate()) : new_error(missing("proxy"));
}
rotor_error_t* rotor_proxy_checkpoint(rotor_proxy_t* proxy) {
  return proxy ? error_or_null(proxy->proxy.checkpoint()) : new_error(missing("proxy"));
}
void rotor_proxy_metrics(const rotor_proxy_t* proxy, const char* labels, wasm_byte_vec_t* out) {
  make_bytes(out, proxy ? prometheus_text(proxy->proxy.counters(), labels ? labels : "") : std::string());
}
bool rotor_proxy_counter(const rotor_proxy_t* proxy, const char* name, uint64_t* out) {
  if (!proxy || !name || !out) return false;
  for (const Counter& counter : kCounters) {
    if (std::string_view(counter.name) != name) continue;
    *out = proxy->proxy.counters().*counter.value;
    return true;
  }
  return false;
}

// ---- leases

rotor_lease_t* rotor_proxy_acquire(rotor_proxy_t* proxy, rotor_error_t** error) {
  if (error) *error = nullptr;
  if (!proxy) return put_error(error, missing("proxy"));
  auto lease = proxy->proxy.acquire();
  if (!lease) return put_error(error, std::move(lease).error());
  auto* made = new rotor_lease_t{nullptr, std::move(*lease)};
  made->lease = &*made->own;
  return made;
}
void rotor_lease_delete(rotor_lease_t* lease) {
  if (lease && lease->own) delete lease;
}
rotor_error_t* rotor_lease_call(rotor_lease_t* lease, const char* name, const rotor_arg_t* args, size_t arg_count,
                                rotor_reply_t** reply) {
  if (reply) *reply = nullptr;
  if (!lease) return new_error(missing("lease"));
  return call_for_reply(name, args, arg_count, reply,
                        [&](std::span<const Arg> given) { return lease->lease->call(name, given); });
}
rotor_error_t* rotor_lease_raw(rotor_lease_t* lease, const char* name, const wasm_val_vec_t* args,
                               wasm_val_vec_t* results) {
  if (!lease || !name) return new_error(missing("lease or name"));
  return error_or_null(call_with_values(
      nullptr, args, results, [&](std::span<const Value> values) { return lease->lease->raw(name, values); }));
}
rotor_error_t* rotor_lease_keep(rotor_lease_t* lease, uint32_t token) {
  return lease ? error_or_null(lease->lease->keep(token)) : new_error(missing("lease"));
}
rotor_error_t* rotor_lease_drop(rotor_lease_t* lease, uint64_t number) {
  return lease ? error_or_null(lease->lease->drop(number)) : new_error(missing("lease"));
}
byte_t* rotor_lease_memory(rotor_lease_t* lease, size_t* size) {
  if (size) *size = 0;
  auto memory = lease ? lease->lease->memory() : Result<Memory>(Memory());
  if (!memory) return nullptr;
  if (size) *size = memory->size_bytes();
  return reinterpret_cast<byte_t*>(memory->data());
}
rotor_error_t* rotor_lease_set_deadline(rotor_lease_t* lease, uint64_t ms) {
  return lease ? error_or_null(lease->lease->set_deadline(time_in(ms))) : new_error(missing("lease"));
}
rotor_error_t* rotor_proxy_with_lease(rotor_proxy_t* proxy, rotor_error_t* (*work)(void*, rotor_lease_t*), void* env) {
  if (!proxy || !work) return new_error(missing("proxy or work"));
  return error_or_null(proxy->proxy.with_lease([&](Lease& lease) -> Result<void> {
    rotor_lease_t handle{&lease, std::nullopt};
    rotor_error_t* error = work(env, &handle);
    if (!error) return {};
    Error taken = std::move(error->error);
    delete error;
    return std::unexpected(std::move(taken));
  }));
}

// ---- replies

void rotor_reply_delete(rotor_reply_t* reply) { delete reply; }
const wasm_val_vec_t* rotor_reply_values(const rotor_reply_t* reply) { return reply ? &reply->view : nullptr; }
const byte_t* rotor_reply_bytes(const rotor_reply_t* reply, size_t* size) {
  if (size) *size = reply ? reply->reply.bytes.size() : 0;
  return reply ? reinterpret_cast<const byte_t*>(reply->reply.bytes.data()) : nullptr;
}
const uint32_t* rotor_reply_vector(const rotor_reply_t* reply, size_t* count) {
  if (count) *count = reply ? reply->reply.vector.size() : 0;
  return reply ? reply->reply.vector.data() : nullptr;
}

}  // extern "C"
