// Functions: those of guests that JavaScript calls, and those of JavaScript that guests call.
#pragma once

#include <node_api.h>

#include <memory>
#include <string>

#include "packages/node/addon/environment.h"
#include "rotor/rotor.h"

namespace rotor::node {

class Guest;

/// What a call of an export leaves behind, as the rotation's policy says.
enum class Effect : uint8_t {
  lasting,   ///< it may change anything: the checkpoint is stale
  method,    ///< it changes at most what its first argument points to
  passing,   ///< nothing that was there before
  allocate,  ///< it returns memory that JavaScript fills and passes on
  release,   ///< it frees the memory that its first argument points to
};

/// A function of a guest as a JavaScript function.
class Function final : public Object {
 public:
  static constexpr Kind kKind = Kind::function;
  Kind kind() const override { return kKind; }
  /// Returns the JavaScript function of a guest's function: one object as long as JavaScript has it. It keeps `keeper`
  /// alive, unless that is null. nullptr, with a JavaScript exception pending, if the system refused.
  static napi_value of(Environment& environment, Func func, napi_value keeper);
  /// Does the same for an export of a guest that may rotate: it goes on to be that export.
  static napi_value of_export(Environment& environment, Func func, napi_value keeper, Guest& guest,
                              const std::string& name);
  ~Function() override;

  const Func& func() const { return func_; }
  const std::string& name() const { return name_; }
  Effect effect() const { return effect_; }
  /// Becomes the function of the guest's next generation.
  void rebind(Func func);
  /// Forgets the guest, which is gone.
  void forget_guest() { guest_ = nullptr; }

 private:
  Function(Environment& environment, Func func);
  static napi_value make(Environment& environment, Func func, napi_value keeper, Function*& made);
  static napi_value call(napi_env env, napi_callback_info info);
  napi_value call_plain(napi_value* arguments);
  napi_value call_any(napi_value* arguments);
  /// Takes note that the guest is left, and shows JavaScript where its memory is.
  void left();
  /// Does what is to be done when the results of a call are JavaScript's; throws its error.
  template <class T>
  void finish(const Result<T>& called, Slot first_result);

  std::shared_ptr<Environment> environment_;
  Func func_;
  FuncType type_;
  uint64_t key_;
  bool plain_ = true;  ///< all its types are
  size_t slots_ = 1;   ///< that a call needs, if it is plain
  Guest* guest_ = nullptr;
  std::string name_;
  Effect effect_ = Effect::lasting;
};

/// The JavaScript functions that one instance imports.
class HostFunctions {
 public:
  /// `functions`: an array; what is not a function of JavaScript's is never asked for. `strong`: it is kept alive until
  /// this is freed; else whoever may call the instance has to.
  HostFunctions(Environment& environment, napi_value functions, bool strong);
  ~HostFunctions();
  HostFunctions(const HostFunctions&) = delete;
  /// Calls function `index`, of that type.
  Result<void> call(uint32_t index, const FuncType& type, Caller& caller, Slot* slots);

 private:
  /// Stores what the function returned. Returns false, with a JavaScript exception pending, if it does not fit.
  bool store(const FuncType& type, napi_value result, Slot* slots);

  std::shared_ptr<Environment> environment_;
  napi_ref functions_ = nullptr;
};

}  // namespace rotor::node
