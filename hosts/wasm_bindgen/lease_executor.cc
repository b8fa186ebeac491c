#include "hosts/wasm_bindgen/lease_executor.h"

#include <fmt/format.h>

#include "rotor/detail/did_you_mean.h"
#include "rotor/printable.h"

namespace rotor::wasm_bindgen {

namespace {

Result<Arg> number_arg(ValType type, const TraceNumber& number) {
  if (auto* value = std::get_if<int64_t>(&number)) {
    if (type == ValType::i32) return Arg(static_cast<int32_t>(*value));
    if (type == ValType::i64) return Arg(*value);
  }
  double value = std::visit([](auto v) { return static_cast<double>(v); }, number);
  if (type == ValType::f32) return Arg(static_cast<float>(value));
  if (type == ValType::f64) return Arg(value);
  return fail(ErrorKind::type_mismatch, fmt::format("{} is no {}", value, to_string(type)));
}

/// Returns "; did you mean …" for the nearest exported function.
std::string nearest_function(const Module& module, std::string_view name) {
  std::vector<std::string_view> names;
  for (const ExportInfo& info : module.exports())
    if (std::holds_alternative<FuncType>(info.type)) names.push_back(info.name);
  return detail::did_you_mean(name, names);
}

TraceNumber to_number(const Value& value) {
  if (value.type() == ValType::i32) return int64_t{value.i32()};
  if (value.type() == ValType::f32) return double{value.f32()};
  if (value.type() == ValType::f64) return value.f64();
  return value.i64();
}

}  // namespace

void LeaseExecutor::begin(Lease& lease, const Trace* compare_with) {
  lease_ = &lease;
  compare_with_ = compare_with;
  first_ = nullptr;
  if (compare_with) {
    auto [first, is_new] = firsts_.try_emplace(compare_with);
    first_ = &first->second;
    is_first_ = is_new;
  }
  call_ = 0;
  differing_ = 0;
  returned_.clear();
}

void LeaseExecutor::drop_returned() {
  for (uint32_t handle : returned_) (void)lease_->drop(handle);  // a released one is not found
  returned_.clear();
}

Result<void> LeaseExecutor::prepare(std::span<const std::string> names) {
  targets_.clear();
  for (const std::string& name : names) {
    const ExternType* type = module_.export_type(name);
    if (!type || !std::holds_alternative<FuncType>(*type))
      return fail(ErrorKind::not_found,
                  fmt::format("no exported function \"{}\"{}", printable_name(name), nearest_function(module_, name)));
    targets_.push_back({name, std::get<FuncType>(*type)});
  }
  return {};
}

Result<void> LeaseExecutor::convert(const Target& target, std::span<const ReplayArg> args) {
  args_.clear();
  size_t next = 0;  // wasm parameter
  for (const ReplayArg& arg : args) {
    const bool is_pair = arg.kind != ReplayArg::Kind::number && arg.kind != ReplayArg::Kind::handle;
    if (next + is_pair >= target.type.params.size())
      return fail(ErrorKind::type_mismatch, "more arguments than the export takes");
    switch (arg.kind) {
      case ReplayArg::Kind::number: {
        ROTOR_TRY(Arg number, number_arg(target.type.params[next], arg.number));
        args_.push_back(number);
        break;
      }
      case ReplayArg::Kind::handle: args_.emplace_back(arg.handle); break;
      case ReplayArg::Kind::bytes: args_.push_back(Arg::bytes(arg.bytes)); break;
      default: args_.push_back(Arg::vector(arg.elements)); break;
    }
    next += is_pair ? 2 : 1;
  }
  return {};
}

Result<void> LeaseExecutor::call(uint32_t name, std::span<const ReplayArg> args, TraceResult result,
                                 ReplayReply& reply) {
  const Target& target = targets_[name];
  ROTOR_CHECK(convert(target, args));
  ROTOR_TRY(Reply got, lease_->call(target.name, args_));
  ROTOR_CHECK(take(target, got, result, reply));
  if (result == TraceResult::handle) returned_.push_back(reply.handle);
  if (result == TraceResult::handles) returned_.insert(returned_.end(), reply.handles.begin(), reply.handles.end());
  if (compare_with_) compare(result, reply);
  return {};
}

Result<void> LeaseExecutor::take(const Target& target, Reply& from, TraceResult result, ReplayReply& reply) {
  // A raw pointer that is taken for a handle would be wild after the next rotation.
  auto is_token = [&](uint32_t handle) { return !rotating_ || lease_->resolve(handle).has_value(); };
  auto wrong = [&](const char* what) {
    return fail(ErrorKind::type_mismatch,
                fmt::format("the policy does not say that {} returns {}", printable_name(target.name), what));
  };
  switch (result) {
    case TraceResult::none: return {};
    case TraceResult::integer:
      if (from.values.size() != 1) return wrong("one scalar");
      reply.number = to_number(from.values[0]);
      return {};
    case TraceResult::handle:
      if (from.values.size() != 1 || !is_token(from.handle())) return wrong("a handle");
      reply.handle = from.handle();
      return {};
    case TraceResult::data:
      if (!from.values.empty()) return wrong("bytes");
      reply.data = std::move(from.bytes);
      return {};
    case TraceResult::handles:
      if (!from.values.empty() || (!from.vector.empty() && !is_token(from.vector[0]))) return wrong("handles");
      reply.handles = std::move(from.vector);
      return {};
  }
  return {};
}

void LeaseExecutor::compare(TraceResult result, const ReplayReply& reply) {
  Seen seen;
  if (result == TraceResult::integer) seen.number = reply.number;
  if (result == TraceResult::handles) seen.number = static_cast<int64_t>(reply.handles.size());
  if (result == TraceResult::data) {
    const auto* expected = std::get_if<ExpectedData>(&compare_with_->calls[call_].expected);
    if (expected && expected->hex.empty())
      seen.number = static_cast<int64_t>(reply.data.size());
    else
      seen.data = reply.data;
  }
  if (is_first_) {
    first_->push_back(std::move(seen));
  } else if (call_ >= first_->size() || (*first_)[call_] != seen) {
    differing_++;
  }
  call_++;
}

}  // namespace rotor::wasm_bindgen
