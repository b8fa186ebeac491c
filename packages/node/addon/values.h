// Values of WebAssembly as values of JavaScript and back, as the JS API's ToJSValue and ToWebAssemblyValue have it.
#pragma once

#include <node_api.h>

#include "packages/node/addon/environment.h"
#include "rotor/rotor.h"

namespace rotor::node {

/// Returns whether a value of the type goes in one slot that means the same at any time: not a v128, which JavaScript
/// can't hold, nor a function, which is a handle.
constexpr bool is_plain(ValType type) { return type.is_numeric() || type.is_extern_ref(); }
/// Returns whether JavaScript has values of the type: not of vectors, exceptions and objects of a guest's heap.
constexpr bool has_form(ValType type) { return is_plain(type) || type.is_func_ref(); }

/// Converts to a slot of a plain type. Returns false, with a JavaScript exception pending, if that can't be.
bool to_slot(Environment& environment, ValType type, napi_value value, Slot& slot);
/// Converts from a slot of a plain type.
napi_value from_slot(Environment& environment, ValType type, Slot slot);

/// Reads a number of 53 bits out of an object's property. Returns `otherwise` if it has none.
double number_property(napi_env env, napi_value object, const char* name, double otherwise);
bool flag_property(napi_env env, napi_value object, const char* name);

}  // namespace rotor::node
