// Functions: those of guests that JavaScript calls, and those of JavaScript that guests call.
#pragma once

#include <node_api.h>

#include <memory>
#include <string>
#include <vector>

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

/// Where JavaScript got a function from.
struct Origin {
  napi_value keeper = nullptr;  ///< what the function keeps alive, so that its instance lives; nullptr: nothing
  Guest* guest = nullptr;       ///< whose function it is, if that may rotate
};

/// A function of a guest as a JavaScript function.
class Function final : public Object {
 public:
  static constexpr Kind kKind = Kind::function;
  Kind kind() const override { return kKind; }
  /// Returns the JavaScript function of a guest's function: one object as long as JavaScript has it. nullptr, with a
  /// JavaScript exception pending, if the system refused.
  static napi_value of(Environment& environment, Func func, const Origin& origin);
  /// Does the same for an export, which it goes on to be when the guest rotates.
  static napi_value of_export(Environment& environment, Func func, const Origin& origin, const std::string& name);
  ~Function() override;

  const Func& func() const { return func_; }
  /// Returns the name of the export that it is; empty if it is none.
  const std::string& name() const { return name_; }
  Effect effect() const { return effect_; }
  /// Becomes the function of the guest's next generation.
  void rebind(Func func);
  /// Forgets the guest, which is gone.
  void forget_guest() { guest_ = nullptr; }

 private:
  Function(Environment& environment, Func func);
  static napi_value make(Environment& environment, Func func, const Origin& origin, Function*& made);
  void belong_to(Guest& guest, const std::string& name);
  void register_key();
  void forget_key();
  static napi_value call(napi_env env, napi_callback_info info);
  napi_value call_plain(napi_value* arguments);
  napi_value call_any(napi_value* arguments);
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

/// The JavaScript functions that one instance imports. It does not keep them alive, since they often close over the
/// instance, and nothing would tell a collector so: who may call the instance keeps what it imports (Helper::link).
class HostFunctions {
 public:
  HostFunctions(Environment& environment, Guest& guest)
      : environment_(environment.shared_from_this()), guest_(&guest) {}
  ~HostFunctions();
  HostFunctions(const HostFunctions&) = delete;
  /// Takes import `index`, a function of JavaScript's. Returns false if the system refused.
  bool take(uint32_t index, napi_value function);
  /// Calls function `index`, of that type.
  Result<void> call(uint32_t index, const FuncType& type, Caller& caller, Slot* slots);
  /// Forgets the guest, which is gone.
  void forget_guest() { guest_ = nullptr; }

 private:
  /// Stores what the function returned. Returns false, with a JavaScript exception pending, if it does not fit.
  bool store(const FuncType& type, napi_value result, Slot* slots);
  Origin origin() const;

  std::shared_ptr<Environment> environment_;
  Guest* guest_;
  std::vector<napi_ref> functions_;  ///< by the import's index
};

}  // namespace rotor::node
