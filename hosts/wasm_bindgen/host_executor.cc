#include "hosts/wasm_bindgen/host_executor.h"

#include <fmt/format.h>

#include <algorithm>

namespace rotor::wasm_bindgen {
namespace {

TraceNumber to_number(ValType type, Slot slot) {
  switch (type.kind()) {
    case ValType::Kind::i32: return int64_t{static_cast<int32_t>(slot)};
    case ValType::Kind::f32: return static_cast<double>(detail::from_slot<float>(slot));
    case ValType::Kind::f64: return detail::from_slot<double>(slot);
    default: return static_cast<int64_t>(slot);
  }
}

Slot to_slot(ValType type, const TraceNumber& number) {
  return std::visit(
      [&](auto value) -> Slot {
        switch (type.kind()) {
          case ValType::Kind::i32: return static_cast<uint32_t>(static_cast<int64_t>(value));
          case ValType::Kind::f32: return detail::to_slot(static_cast<float>(value));
          case ValType::Kind::f64: return detail::to_slot(static_cast<double>(value));
          default: return static_cast<uint64_t>(static_cast<int64_t>(value));
        }
      },
      number);
}

}  // namespace

Result<void> HostExecutor::prepare(std::span<const std::string> names) {
  targets_.clear();
  for (const std::string& name : names) {
    ROTOR_TRY(Func func, host_.instance().get_func(name));
    FuncType type = func.type();
    targets_.push_back({std::move(func), std::move(type), name});
  }
  return {};
}

Result<void> HostExecutor::push(const Target& target, size_t& next, const TraceNumber& number) {
  if (next == target.type.params.size()) return fail(ErrorKind::type_mismatch, "more arguments than the export takes");
  ValType type = target.type.params[next];
  if (!type.is_numeric()) return fail(ErrorKind::type_mismatch, "the export takes a " + to_string(type));
  // A number that JavaScript would convert silently is an error of the trace here.
  auto* value = std::get_if<double>(&number);
  bool is_integer = type.kind() == ValType::Kind::i32 || type.kind() == ValType::Kind::i64;
  if (value && is_integer) return fail(ErrorKind::type_mismatch, fmt::format("{} is no {}", *value, to_string(type)));
  slots_[next++] = to_slot(type, number);
  return {};
}

Result<void> HostExecutor::marshal(const Target& target, std::span<const ReplayArg> args) {
  slots_.assign(std::max({target.type.params.size(), target.type.results.size(), size_t{1}}), 0);
  passed_.clear();
  size_t next = 0;
  for (const ReplayArg& arg : args) {
    if (arg.kind == ReplayArg::Kind::number) {
      ROTOR_CHECK(push(target, next, arg.number));
    } else if (arg.kind == ReplayArg::Kind::handle) {
      ROTOR_CHECK(push(target, next, int64_t{arg.handle}));
    } else {
      bool is_bytes = arg.kind == ReplayArg::Kind::bytes;
      ROTOR_TRY(GuestSpan span, is_bytes ? host_.put(arg.bytes) : host_.put_u32s(arg.elements));
      if (host_.frees_arguments()) passed_.push_back(span);
      ROTOR_CHECK(push(target, next, int64_t{span.pointer}));
      ROTOR_CHECK(push(target, next, int64_t{span.count}));
    }
  }
  if (next == target.type.params.size()) return {};
  return fail(ErrorKind::type_mismatch,
              fmt::format("{} arguments, the export takes {}", next, target.type.params.size()));
}

Result<void> HostExecutor::unmarshal(const Target& target, TraceResult result, ReplayReply& reply) {
  const std::vector<ValType>& types = target.type.results;
  size_t wanted = result == TraceResult::none                                       ? 0
                  : result == TraceResult::integer || result == TraceResult::handle ? 1
                                                                                    : 2;
  if (types.size() < wanted)
    return fail(ErrorKind::type_mismatch, fmt::format("{} results, the trace wants {}", types.size(), wanted));
  GuestSpan span{static_cast<uint32_t>(slots_[0]), wanted == 2 ? static_cast<uint32_t>(slots_[1]) : 0};
  switch (result) {
    case TraceResult::none: return {};
    case TraceResult::integer: reply.number = to_number(types[0], slots_[0]); return {};
    case TraceResult::handle:
      // The results are (handle, error, is_error).
      if (types.size() >= 3 && static_cast<uint32_t>(slots_[types.size() - 1]))
        return fail(ErrorKind::host, "the guest returned an error: " +
                                         host_.describe_error(static_cast<uint32_t>(slots_[types.size() - 2])));
      reply.handle = span.pointer;
      return {};
    case TraceResult::data: {
      reply.data.clear();
      if (static_cast<int32_t>(span.count) <= 0) return {};
      ROTOR_TRY(reply.data, host_.take(span));
      return {};
    }
    case TraceResult::handles: {
      ROTOR_TRY(reply.handles, host_.take_u32s(span));
      return {};
    }
  }
  return {};
}

Result<void> HostExecutor::call(uint32_t name, std::span<const ReplayArg> args, TraceResult result,
                                ReplayReply& reply) {
  const Target& target = targets_[name];
  ROTOR_CHECK(marshal(target, args));
  if (auto done = target.func.call_raw(slots_.data()); !done) {
    Error error = std::move(done).error();
    if (error.kind == ErrorKind::trap || error.kind == ErrorKind::host) host_.set_trapped();
    return std::unexpected(std::move(error));
  }
  ROTOR_CHECK(unmarshal(target, result, reply));
  for (GuestSpan span : passed_) ROTOR_CHECK(host_.free(span));
  return {};
}

}  // namespace rotor::wasm_bindgen
