// An environment of Node's: what JavaScript of one thread (the main one or a worker) shares in this addon.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "packages/node/addon/references.h"
#include "rotor/rotor.h"

namespace rotor::node {

class Function;

/// A memory whose buffer JavaScript may have.
class BufferHolder {
 public:
  /// Detaches the buffer if there is one and the memory has grown since. Returns whether there is none now.
  virtual bool detach_if_grown() = 0;

 protected:
  ~BufferHolder() = default;
};

/// Functions and classes of JavaScript that the addon calls, by their names in the object that `init` is given.
enum class Helper : uint8_t {
  RuntimeError,   ///< a trap
  LinkError,      ///< an import that is missing or does not fit
  CompileError,   ///< a module that is refused
  to_big_int_64,  ///< converts any value to a BigInt of 64 bits, as the JS API does
  to_list,        ///< makes an array of what an iterable yields, which must be so many
  keep,           ///< makes its first argument keep its second alive
  link,           ///< makes its arguments keep each other alive: code of either may call that of the other
  count
};

/// What an error happened in: a limit that is exceeded is a CompileError of a module, and a RangeError of all else.
enum class During : uint8_t { compilation, execution };

/// The instance data of an environment, and of the objects made in it, which may outlive that. Used by its thread only.
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  static Environment& of(napi_env env);
  /// Makes it and hands it to the environment. Returns false if the system refused.
  static bool create(napi_env env);
  explicit Environment(napi_env env);
  ~Environment();
  Environment(const Environment&) = delete;

  napi_value helper(Helper which) const;
  /// Calls a helper that takes two objects and returns nothing.
  void call(Helper which, napi_value first, napi_value second) const;
  /// Deletes a reference, unless the environment is gone and with it all references.
  void drop(napi_ref reference) const;
  /// Takes the helpers from an object. Returns false, with a JavaScript exception pending, if one is missing.
  bool set_helpers(napi_value object);

  /// Throws an error of Rotor's as the class that the JS API names for it, with `code` ROTOR_ and the kind. If a
  /// JavaScript exception is on its way through the guest's frames, that is thrown instead.
  void raise(const Error& error, During during = During::execution);
  void raise_type_error(const std::string& message) const;
  /// Keeps the exception that is pending, which some JavaScript threw that the guest called, until the call that the
  /// guest was in is left. Returns the error that ends the guest's call.
  Error keep_exception();
  /// Puts the exception that is on its way, if there is one, aside, and returns it; or brings it back.
  napi_ref exchange_exception(napi_ref exception) { return std::exchange(exception_, exception); }

  /// Detaches the buffers of memories that have grown, as the JS API wants when control goes to JavaScript.
  void refresh_buffers();

  const napi_env env;
  /// Calls into guests that this thread is in. What converts their arguments counts: it may call JavaScript, while
  /// references that were converted already are named by no guest yet.
  unsigned depth = 0;
  References references;
  /// Functions of guests that JavaScript has, by the engine's reference: one function is one object.
  std::unordered_map<uint64_t, Function*> functions;
  std::vector<BufferHolder*> buffered;

 private:
  napi_ref helpers_[static_cast<size_t>(Helper::count)] = {};
  napi_ref exception_ = nullptr;  ///< an array with the exception that is on its way
  bool gone_ = false;
};

/// Counts a call into a guest.
class CallScope {
 public:
  explicit CallScope(Environment& environment) : environment_(&environment) { ++environment.depth; }
  ~CallScope() { end(); }
  CallScope(const CallScope&) = delete;
  /// Ends it before the scope does.
  void end() {
    if (Environment* environment = std::exchange(environment_, nullptr)) --environment->depth;
  }

 private:
  Environment* environment_;
};

/// Holds what JavaScript values a native function makes, and lets them go at its end.
class Scope {
 public:
  explicit Scope(napi_env env) : env_(env) { napi_open_handle_scope(env, &scope_); }
  ~Scope() { napi_close_handle_scope(env_, scope_); }
  Scope(const Scope&) = delete;

 private:
  napi_env env_;
  napi_handle_scope scope_ = nullptr;
};

napi_value js_string(napi_env env, std::string_view text);
napi_value js_number(napi_env env, double value);
napi_value js_undefined(napi_env env);
/// Sets a property of an object.
void put(napi_env env, napi_value object, const char* name, napi_value value);
/// Returns the text of a JavaScript string; empty if it is none.
std::string text_of(napi_env env, napi_value value);
/// Returns a property of an object, or nullptr if the object has none of that name or it is undefined.
napi_value property(napi_env env, napi_value object, const char* name);

/// Something of the addon's that a JavaScript object stands for, which owns it.
class Object {
 public:
  enum class Kind : uint64_t { module = 1, instance, memory, table, global, function };
  virtual ~Object() = default;
  virtual Kind kind() const = 0;
  /// Makes `holder`, an object or function, stand for `object` and own it. Returns false if the system refused.
  static bool bind(napi_env env, napi_value holder, std::unique_ptr<Object> object);
  /// Returns what a JavaScript value stands for if that is of a kind; else nullptr.
  static Object* find(napi_env env, napi_value value, Kind kind);
  /// Makes a new JavaScript object that stands for `object`.
  static napi_value wrap(napi_env env, std::unique_ptr<Object> object);

  napi_ref self = nullptr;  ///< weak: the JavaScript object, as long as there is one
  /// Returns the JavaScript object; nullptr if it is gone.
  napi_value holder(napi_env env) const;
};

template <class T>
T* as(napi_env env, napi_value value) {
  return static_cast<T*>(Object::find(env, value, T::kKind));
}

/// Arguments of a native function.
template <size_t kCount>
struct Arguments {
  Arguments(napi_env e, napi_callback_info info) : env(e) {
    size_t count = kCount;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  napi_value operator[](size_t index) const { return values[index]; }
  /// Returns what an argument stands for. If it is nothing of that kind, a TypeError is pending, and nullptr returned.
  template <class T>
  T* get(size_t index) const {
    T* object = as<T>(env, values[index]);
    if (!object) napi_throw_type_error(env, "ROTOR_ARGUMENT", "rotor: not an object of the kind that is wanted here");
    return object;
  }
  napi_env env;
  napi_value values[kCount] = {};
};

}  // namespace rotor::node
