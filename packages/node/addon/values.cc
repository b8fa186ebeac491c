#include "packages/node/addon/values.h"

#include <bit>

namespace rotor::node {

namespace {

/// Returns the number that a value converts to. Returns nullopt, with a JavaScript exception pending, if it does to
/// none.
std::optional<napi_value> to_number(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  if (type == napi_number) return value;
  napi_value number = nullptr;
  if (napi_coerce_to_number(env, value, &number) != napi_ok) {
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (!pending) napi_throw_type_error(env, nullptr, "can't convert to a number");
    return std::nullopt;
  }
  return number;
}

bool to_int64(Environment& environment, napi_value value, int64_t& out) {
  napi_env env = environment.env;
  bool lossless = false;
  if (napi_get_value_bigint_int64(env, value, &out, &lossless) == napi_ok) return true;
  napi_value big = nullptr;
  if (napi_call_function(env, js_undefined(env), environment.helper(Helper::to_big_int_64), 1, &value, &big) != napi_ok)
    return false;
  return napi_get_value_bigint_int64(env, big, &out, &lossless) == napi_ok;
}

}  // namespace

bool to_slot(Environment& environment, ValType type, napi_value value, Slot& slot) {
  napi_env env = environment.env;
  switch (type.kind()) {
    case ValType::Kind::i32: {
      int32_t number = 0;
      if (napi_get_value_int32(env, value, &number) != napi_ok) {
        auto converted = to_number(env, value);
        if (!converted || napi_get_value_int32(env, *converted, &number) != napi_ok) return false;
      }
      slot = static_cast<uint32_t>(number);
      return true;
    }
    case ValType::Kind::i64: {
      int64_t number = 0;
      if (!to_int64(environment, value, number)) return false;
      slot = static_cast<uint64_t>(number);
      return true;
    }
    case ValType::Kind::f32:
    case ValType::Kind::f64: {
      auto converted = to_number(env, value);
      double number = 0;
      if (!converted || napi_get_value_double(env, *converted, &number) != napi_ok) return false;
      slot =
          type == ValType::f32 ? std::bit_cast<uint32_t>(static_cast<float>(number)) : std::bit_cast<uint64_t>(number);
      return true;
    }
    default: break;
  }
  if (!type.is_extern_ref()) {
    environment.raise_type_error("a value of type " + to_string(type) + " can't come from JavaScript");
    return false;
  }
  slot = environment.references.add(value).bits;
  if (slot == 0 && !type.nullable()) {
    environment.raise_type_error("null is no value of type " + to_string(type));
    return false;
  }
  return true;
}

napi_value from_slot(Environment& environment, ValType type, Slot slot) {
  napi_env env = environment.env;
  napi_value value = nullptr;
  switch (type.kind()) {
    case ValType::Kind::i32: napi_create_int32(env, static_cast<int32_t>(slot), &value); return value;
    case ValType::Kind::i64: napi_create_bigint_int64(env, static_cast<int64_t>(slot), &value); return value;
    case ValType::Kind::f32:
      napi_create_double(env, std::bit_cast<float>(static_cast<uint32_t>(slot)), &value);
      return value;
    case ValType::Kind::f64: napi_create_double(env, std::bit_cast<double>(slot), &value); return value;
    default: return environment.references.get({slot});
  }
}

double number_property(napi_env env, napi_value object, const char* name, double otherwise) {
  napi_value value = property(env, object, name);
  double number = otherwise;
  if (value) napi_get_value_double(env, value, &number);
  return number;
}

bool flag_property(napi_env env, napi_value object, const char* name) {
  napi_value value = property(env, object, name);
  bool flag = false;
  if (value) napi_get_value_bool(env, value, &flag);
  return flag;
}

}  // namespace rotor::node
