// Functions: those of guests that JavaScript calls, and those of JavaScript that guests call.
#pragma once

#include <node_api.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "packages/node/addon/environment.h"
#include "rotor/rotor.h"

namespace rotor::node {

class Function;

/// What a call of an export leaves behind, as the rotation's policy says.
enum class Effect : uint8_t {
  lasting,   ///< it may change anything: the checkpoint is stale
  method,    ///< it changes at most what its first argument points to
  passing,   ///< nothing that was there before
  allocate,  ///< it returns memory that JavaScript fills and passes on
  release,   ///< it frees the memory that its first argument points to
};

/// Whose functions they are: a guest, which is told of their calls.
class FunctionOwner {
 public:
  virtual bool is_rotating() const = 0;
  virtual Effect effect_of(const std::string& name) const = 0;
  virtual void add(Function& function) = 0;
  virtual void forget(Function& function) = 0;
  /// Takes note of a call that begins. Returns false, with a JavaScript exception pending, if it may not.
  virtual bool enter(const Function& function, const Slot* slots, std::span<const ValType> params) = 0;
  /// Takes note of a call that failed, and may add to what is said of it.
  virtual void failed(Error& error) = 0;
  /// Takes note that the outermost call is left, and tells JavaScript if there is something to do.
  virtual void left(const Function& function, bool returned, Slot result) = 0;
  /// Returns the JavaScript object that stands for it; nullptr if that is gone.
  virtual napi_value owner_holder() const = 0;

 protected:
  ~FunctionOwner() = default;
};

/// Where JavaScript got a function from.
struct Origin {
  napi_value keeper = nullptr;     ///< what the function keeps alive, so that its instance lives; nullptr: nothing
  FunctionOwner* guest = nullptr;  ///< whose function it is, if that may rotate
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
  void belong_to(FunctionOwner& guest, const std::string& name);
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
  FunctionOwner* guest_ = nullptr;
  std::string name_;
  Effect effect_ = Effect::lasting;
};

/// Convert values of any type, functions among them: a v128 is a TypeError. A function and `receiver`, unless that is
/// null, keep each other alive from then on: it is where the value goes.
std::optional<Value> to_value(Environment& environment, ValType type, napi_value value, napi_value receiver);
/// Returns nullptr, with a JavaScript exception pending, if that can't be.
napi_value from_value(Environment& environment, const Value& value, const Origin& origin);

/// The JavaScript functions that one instance imports. It does not keep them alive, since they often close over the
/// instance, and nothing would tell a collector so: who may call the instance keeps what it imports (Helper::link).
class HostFunctions {
 public:
  HostFunctions(Environment& environment, FunctionOwner& guest)
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
  FunctionOwner* guest_;
  std::vector<napi_ref> functions_;  ///< by the import's index
};

}  // namespace rotor::node
