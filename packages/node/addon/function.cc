#include "packages/node/addon/function.h"

#include <algorithm>
#include <array>

#include "packages/node/addon/values.h"

namespace rotor::node {

namespace {

/// Room for a call's values: on the stack for those of ordinary functions.
template <class T, size_t kInline>
class Room {
 public:
  explicit Room(size_t count) {
    if (count > kInline) more_.resize(count);
  }
  T* data() { return more_.empty() ? some_.data() : more_.data(); }
  T& operator[](size_t index) { return data()[index]; }

 private:
  std::array<T, kInline> some_;  // not cleared, which would take longer than to enter the guest
  std::vector<T> more_;
};

constexpr size_t kUsualCount = 16;
constexpr size_t kFewCount = 5;  // Node writes each that it is asked for

bool all_plain(const FuncType& type) {
  return std::ranges::all_of(type.params, is_plain) && std::ranges::all_of(type.results, is_plain);
}

uint64_t key_of(const Func& func) { return Value(func).bits(); }

}  // namespace

// ---- functions of guests ----

Function::Function(Environment& environment, Func func)
    : environment_(environment.shared_from_this()),
      func_(std::move(func)),
      type_(func_.type()),
      key_(key_of(func_)),
      plain_(all_plain(type_)),
      slots_(std::max({type_.params.size(), type_.results.size(), size_t{1}})) {}

Function::~Function() {
  forget_key();
  if (guest_) guest_->forget(*this);
}

void Function::register_key() { environment_->functions[key_] = this; }

void Function::forget_key() {
  if (auto found = environment_->functions.find(key_); found != environment_->functions.end() && found->second == this)
    environment_->functions.erase(found);
}

napi_value Function::make(Environment& environment, Func func, const Origin& origin, Function*& made) {
  napi_env env = environment.env;
  if (auto found = environment.functions.find(key_of(func));
      found != environment.functions.end() && found->second->func_ == func)
    if (napi_value same = found->second->holder(env)) {
      made = found->second;
      return same;
    }
  auto index = func.index();
  if (!index) {
    environment.raise(index.error());
    return nullptr;
  }
  std::unique_ptr<Function> function(new Function(environment, std::move(func)));
  Function* data = function.get();
  napi_value value = nullptr;
  if (napi_create_function(env, nullptr, 0, &Function::call, data, &value) != napi_ok) return nullptr;
  // The JS API has a function's index as its name.
  auto constant = [](const char* name, napi_value what) {
    return napi_property_descriptor{name, nullptr, nullptr, nullptr, nullptr, what, napi_configurable, nullptr};
  };
  const napi_property_descriptor properties[] = {
      constant("length", js_number(env, static_cast<double>(data->type_.params.size()))),
      constant("name", js_string(env, std::to_string(*index)))};
  napi_define_properties(env, value, std::size(properties), properties);
  if (!bind(env, value, std::move(function))) return nullptr;
  if (origin.keeper) environment.call(Helper::keep, value, origin.keeper);
  data->register_key();
  made = data;
  return value;
}

napi_value Function::of(Environment& environment, Func func, const Origin& origin) {
  Function* made = nullptr;
  napi_value value = make(environment, std::move(func), origin, made);
  // A call of what is no export may change anything, too.
  if (value && !made->guest_ && origin.guest && origin.guest->is_rotating()) made->belong_to(*origin.guest, {});
  return value;
}

napi_value Function::of_export(Environment& environment, Func func, const Origin& origin, const std::string& name) {
  Function* made = nullptr;
  napi_value value = make(environment, std::move(func), origin, made);
  if (value && (!made->guest_ || made->name_.empty())) made->belong_to(*origin.guest, name);
  return value;
}

void Function::belong_to(FunctionOwner& guest, const std::string& name) {
  guest_ = &guest;
  name_ = name;
  effect_ = guest.effect_of(name);
  guest.add(*this);
}

void Function::rebind(Func func) {
  forget_key();
  func_ = std::move(func);
  key_ = key_of(func_);
  register_key();
}

napi_value Function::call(napi_env env, napi_callback_info info) {
  napi_value few[kFewCount];
  size_t count = kFewCount;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, few, nullptr, &data);
  auto& function = *static_cast<Function*>(data);
  if (size_t params = function.type_.params.size(); params > kFewCount) {
    Room<napi_value, kUsualCount> all(params);
    napi_get_cb_info(env, info, &params, all.data(), nullptr, nullptr);
    return function.plain_ ? function.call_plain(all.data()) : function.call_any(all.data());
  }
  return function.plain_ ? function.call_plain(few) : function.call_any(few);
}

napi_value Function::call_plain(napi_value* arguments) {
  Environment& environment = *environment_;
  Room<Slot, kUsualCount> slots(slots_);
  slots[0] = 0;  // the result, where there is none
  CallScope inside(environment);
  for (size_t i = 0; i < type_.params.size(); ++i)
    if (!to_slot(environment, type_.params[i], arguments[i], slots[i])) return nullptr;
  if (guest_ && !guest_->enter(*this, slots.data(), type_.params)) return nullptr;
  Result<void> called = func_.call_raw(slots.data());
  inside.end();
  if (!environment.buffered.empty()) environment.refresh_buffers();
  napi_value result = nullptr;
  if (!called) {
    if (guest_) guest_->failed(called.error());
  } else if (type_.results.size() == 1) {
    result = from_slot(environment, type_.results[0], slots[0]);
  } else if (!type_.results.empty()) {
    napi_create_array_with_length(environment.env, type_.results.size(), &result);
    for (uint32_t i = 0; i < type_.results.size(); ++i)
      napi_set_element(environment.env, result, i, from_slot(environment, type_.results[i], slots[i]));
  }
  finish(called, slots[0]);
  return result;
}

napi_value Function::call_any(napi_value* arguments) {
  Environment& environment = *environment_;
  if (std::ranges::count(type_.params, ValType::v128) + std::ranges::count(type_.results, ValType::v128)) {
    environment.raise_type_error("JavaScript has no v128");
    return nullptr;
  }
  napi_value self = holder(environment.env);
  CallScope inside(environment);
  std::vector<Value> values;
  for (size_t i = 0; i < type_.params.size(); ++i) {
    std::optional<Value> value = to_value(environment, type_.params[i], arguments[i], self);
    if (!value) return nullptr;
    values.push_back(std::move(*value));
  }
  if (guest_ && !guest_->enter(*this, nullptr, {})) return nullptr;
  auto called = func_.call(values);
  inside.end();
  if (!environment.buffered.empty()) environment.refresh_buffers();
  napi_value result = nullptr;
  if (!called) {
    if (guest_) guest_->failed(called.error());
  } else {
    const Origin origin{self, guest_};
    if (called->size() == 1) {
      result = from_value(environment, (*called)[0], origin);
    } else if (!called->empty()) {
      napi_create_array_with_length(environment.env, called->size(), &result);
      for (uint32_t i = 0; i < called->size(); ++i)
        napi_set_element(environment.env, result, i, from_value(environment, (*called)[i], origin));
    }
  }
  finish(called, 0);
  return result;
}

template <class T>
void Function::finish(const Result<T>& called, Slot first_result) {
  if (environment_->depth == 0) {
    environment_->references.sweep_if_due();
    if (guest_) guest_->left(*this, called.has_value(), first_result);
  }
  if (!called) environment_->raise(called.error());
}

// ---- values of any type ----

std::optional<Value> to_value(Environment& environment, ValType type, napi_value value, napi_value receiver) {
  if (type.is_func_ref()) {
    napi_valuetype kind = napi_undefined;
    napi_typeof(environment.env, value, &kind);
    if (kind == napi_null && type.nullable()) return Value::null(type);
    if (const auto* function = as<Function>(environment.env, value)) {
      if (receiver) environment.call(Helper::link, receiver, value);
      return Value(function->func());
    }
    environment.raise_type_error("not a function of WebAssembly's" + std::string(type.nullable() ? ", nor null" : ""));
    return std::nullopt;
  }
  if (!has_form(type)) {
    environment.raise_type_error("JavaScript has no " + to_string(type));
    return std::nullopt;
  }
  Slot slot = 0;
  if (!to_slot(environment, type, value, slot)) return std::nullopt;
  if (type.is_ref()) return slot ? Value(ExternRef{slot}) : Value::null(type);
  return Value::from_bits(type, slot);
}

napi_value from_value(Environment& environment, const Value& value, const Origin& origin) {
  if (!has_form(value.type())) {
    environment.raise_type_error("JavaScript has no " + to_string(value.type()));
    return nullptr;
  }
  if (!value.type().is_func_ref()) return from_slot(environment, value.type(), value.bits());
  if (!value.is_null()) return Function::of(environment, value.func(), origin);
  napi_value null = nullptr;
  napi_get_null(environment.env, &null);
  return null;
}

// ---- functions of JavaScript ----

HostFunctions::~HostFunctions() {
  for (napi_ref function : functions_) environment_->drop(function);
}

bool HostFunctions::take(uint32_t index, napi_value function) {
  if (functions_.size() <= index) functions_.resize(index + 1);
  return napi_create_reference(environment_->env, function, 0, &functions_[index]) == napi_ok;
}

Result<void> HostFunctions::call(uint32_t index, const FuncType& type, Caller& caller, Slot* slots) {
  Environment& environment = *environment_;
  napi_env env = environment.env;
  Scope scope(env);
  if (!environment.buffered.empty()) environment.refresh_buffers();
  napi_value function = nullptr;
  napi_get_reference_value(env, functions_[index], &function);
  if (!function) return fail(ErrorKind::stale_handle, "the instance's imports are gone");
  if (std::ranges::count(type.params, ValType::v128) + std::ranges::count(type.results, ValType::v128)) {
    environment.raise_type_error("JavaScript has no v128");
    return std::unexpected(environment.keep_exception());
  }
  Room<napi_value, kUsualCount> arguments(type.params.size());
  for (size_t i = 0; i < type.params.size(); ++i) {
    arguments[i] = is_plain(type.params[i])
                       ? from_slot(environment, type.params[i], slots[i])
                       : from_value(environment, caller.value_from_slot(type.params[i], slots[i]), origin());
    if (!arguments[i]) return std::unexpected(environment.keep_exception());
  }
  napi_value result = nullptr;
  if (napi_call_function(env, js_undefined(env), function, type.params.size(), arguments.data(), &result) != napi_ok ||
      !store(type, result, slots))
    return std::unexpected(environment.keep_exception());
  return {};
}

Origin HostFunctions::origin() const { return guest_ ? Origin{guest_->owner_holder(), guest_} : Origin{}; }

bool HostFunctions::store(const FuncType& type, napi_value result, Slot* slots) {
  Environment& environment = *environment_;
  auto convert = [&](ValType wanted, napi_value value, Slot& slot) {
    if (is_plain(wanted)) return to_slot(environment, wanted, value, slot);
    std::optional<Value> converted = to_value(environment, wanted, value, origin().keeper);
    if (converted) slot = converted->bits();
    return converted.has_value();
  };
  if (type.results.empty()) return true;
  if (type.results.size() == 1) return convert(type.results[0], result, slots[0]);
  napi_env env = environment.env;
  napi_value list = nullptr;
  napi_value arguments[] = {result, js_number(env, static_cast<double>(type.results.size()))};
  if (napi_call_function(env, js_undefined(env), environment.helper(Helper::to_list), 2, arguments, &list) != napi_ok)
    return false;
  for (uint32_t i = 0; i < type.results.size(); ++i) {
    napi_value element = nullptr;
    if (napi_get_element(env, list, i, &element) != napi_ok || !convert(type.results[i], element, slots[i]))
      return false;
  }
  return true;
}

}  // namespace rotor::node
