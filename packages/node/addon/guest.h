// An instance as JavaScript sees it. One that rotates goes through generations: its exports stay the same objects.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "hosts/wasm_bindgen/worker_pool.h"
#include "packages/node/addon/environment.h"
#include "packages/node/addon/function.h"
#include "packages/node/addon/memory.h"
#include "packages/node/addon/table.h"
#include "rotor/rotor.h"
#include "rotor/snapshot.h"

namespace rotor::node {

/// Used by its environment's thread only; the workers of its pool are threads of their own.
class Guest final : public Object, public FunctionOwner, public ReferenceHolder {
 public:
  static constexpr Kind kKind = Kind::instance;
  Kind kind() const override { return kKind; }
  /// Makes an instance. `values`: an array with what the module imports, in order; `options`: undefined, or what a
  /// rotating guest is made with. nullptr, with a JavaScript exception pending, if that can't be.
  static napi_value create(Environment& environment, const Module& module, napi_value values, napi_value options);
  ~Guest() override;

  /// Returns [name, kind, value] of each export: the same array each time, which the JavaScript object keeps.
  napi_value exports();

  // ---- FunctionOwner ----
  Effect effect_of(const std::string& name) const override;
  bool is_rotating() const override { return rotating_; }
  void add(Function& function) override { functions_.insert(&function); }
  void forget(Function& function) override { functions_.erase(&function); }
  bool enter(const Function& function, const Slot* slots, std::span<const ValType> params) override;
  void failed(Error& error) override;
  void left(const Function& function, bool returned, Slot result) override;
  napi_value owner_holder() const override { return holder(environment_->env); }

  // ---- rotation ----
  /// Takes a checkpoint. `pointers`: those that JavaScript holds into the state. Returns an object with its figures, or
  /// nullptr, with a JavaScript exception pending.
  napi_value checkpoint(std::span<const uint32_t> pointers);
  /// Makes the next generation from the checkpoint, and retires this one.
  napi_value rewind();
  /// Forgets a pointer of the checkpoint's that JavaScript let go: what is there later is something newer.
  void release(uint32_t pointer) { held_.erase(pointer); }
  bool start_worker(uint32_t receiver);
  /// Ends the pool. Returns false if a worker had to be interrupted.
  bool join_workers(uint64_t deadline_ms);
  /// Sets the size from which on JavaScript is told, once.
  void notify_at(uint64_t bytes) { notify_at_ = bytes; }
  napi_value state() const;
  /// Marks what external references the instance, or its checkpoint, still names. Returns false if it can't be asked.
  bool mark_references(const std::function<void(ExternRef)>& mark) const override;

 private:
  struct Import {
    std::string module;
    std::string name;
    ExternType type;
    Extern value;                    ///< but for a function of JavaScript's
    MemoryObject* memory = nullptr;  ///< JavaScript's object of it, which the imports keep alive
  };
  /// What the first worker that failed said, from its thread to this one.
  class WorkerFailure {
   public:
    void set(const std::string& text) {
      std::lock_guard lock(mutex_);
      if (text_.empty()) text_ = text;
    }
    std::string take() {
      std::lock_guard lock(mutex_);
      return std::exchange(text_, {});
    }

   private:
    std::mutex mutex_;
    std::string text_;
  };
  Guest(Environment& environment, Module module);
  bool take_options(napi_value holder, napi_value options);
  bool take_imports(napi_value holder, napi_value values);
  bool take_import(napi_value holder, Import& import, uint32_t index, napi_value value);
  /// Instantiates, from the checkpoint if `snapshot` is given.
  Result<void> instantiate(const Snapshot* snapshot);
  Result<void> prepare_pool();
  Result<void> rebind();
  void mark_stale(const std::string& by);
  /// Tells V8's collector what the instance takes, or it would not see why to collect dropped ones.
  void report_bytes(int64_t bytes);
  void tell(const char* what);

  std::shared_ptr<Environment> environment_;
  Module module_;
  std::vector<Import> imports_;
  std::shared_ptr<HostFunctions> host_functions_;
  Instance instance_;
  Memory memory0_;
  bool started_ = false;        ///< or it tried to, and its functions may be in tables of others
  int64_t reported_bytes_ = 0;  ///< that V8's collector was told of
  std::unordered_set<Function*> functions_;
  std::vector<std::pair<std::string, MemoryObject*>> memories_;  ///< exported, and defined by the instance
  std::vector<std::pair<std::string, TableObject*>> tables_;
  std::vector<std::pair<std::string, GlobalObject*>> globals_;

  // ---- of one that rotates ----
  bool rotating_ = false;
  Limits limits_;
  std::unordered_map<std::string, Effect> effects_;
  napi_ref tell_ = nullptr;  ///< weak: the JavaScript object keeps it
  std::shared_ptr<wasm_bindgen::GuestShared> shared_;
  const std::shared_ptr<WorkerFailure> worker_failure_ = std::make_shared<WorkerFailure>();
  std::unique_ptr<wasm_bindgen::WorkerPool> pool_;
  std::optional<Snapshot> checkpoint_;
  std::vector<ExternRef> checkpoint_references_;
  std::unordered_set<uint32_t> held_;      ///< pointers that JavaScript had at the checkpoint
  std::unordered_set<uint32_t> unpassed_;  ///< allocated by JavaScript, and not passed on yet
  std::string stale_by_ = "there is none yet";
  bool stale_ = true;
  bool told_stale_ = false;
  bool trapped_ = false;
  std::string trap_;
  uint64_t notify_at_ = UINT64_MAX;
  uint64_t generation_ = 1;
  uint64_t calls_ = 0;
};

/// Defines the functions of instances on the addon's exports.
void define_guests(napi_env env, napi_value exports);

}  // namespace rotor::node
