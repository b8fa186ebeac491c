// Stores and references: what stands behind wasm_store_t, wasm_ref_t and all that can be cast to a wasm_ref_t.
//
// An object of the engine has one wasm_ref_t in a store, found by its identity, so that two references to it are one
// pointer and what the host attached to it is found again. A reference goes when nobody owns it, unless it may be asked
// for again: an instance, what has the host's information, and what a guest may hold. Instances live as long as their
// store, so the engine's weak handles to what they consist of do, too.
//
// A guest holds references as numbers (ExternRef), which the store looks up: one that came out of a snapshot of another
// store is nobody's, and reads as null.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "rotor.h"
#include "rotor/rotor.h"
#include "wasm.h"

struct wasm_config_t {
  rotor::Config config;
};
struct wasm_engine_t {
  rotor::Engine engine;
};
struct wasm_shared_module_t {
  rotor::Module module;
};
struct rotor_error_t {
  rotor::Error error;
  std::string text;  ///< with frames; made when it is asked for
};
struct rotor_limits_t {
  rotor::Limits limits;
};
struct rotor_snapshot_t {
  rotor::Snapshot snapshot;
};

namespace rotor::capi {

enum class Kind : uint8_t { func, global, table, memory, tag, foreign, trap, module, instance };

struct FuncPart {
  Func func;
  FuncType type;
  wasm_ref_t* home = nullptr;  ///< the instance that it was exported by; null: not known
  Instance own;                ///< of a function of the host's: what makes it a function of the engine's
};
struct TrapPart {
  Error error;
  wasm_ref_t* entered = nullptr;  ///< the instance whose function the host called; null: not known
};
struct ModulePart {
  Module module;
  std::optional<InstancePre> without_imports;  ///< of a module that has none, once it was instantiated
};
/// What an object is. std::monostate: a foreign object, or one whose store is gone.
using Part = std::variant<std::monostate, FuncPart, Global, Table, Memory, Tag, TrapPart, ModulePart, Instance>;

}  // namespace rotor::capi

struct wasm_ref_t {
  explicit wasm_ref_t(rotor::capi::Kind of, wasm_store_t* in = nullptr, rotor::capi::Part with = {})
      : kind(of), store(in), part(std::move(with)) {}
  wasm_ref_t(const wasm_ref_t&) = delete;

  const rotor::capi::Kind kind;
  bool may_be_called = false;                       ///< a function that a guest may hold
  uint64_t extern_id = 0;                           ///< what guests that hold it as an externref call it; 0: none does
  size_t owners = 1;                                ///< of the host
  wasm_store_t* store = nullptr;                    ///< null: a trap that was made without one
  wasm_ref_t *previous = nullptr, *next = nullptr;  ///< in the store's list; null: in none
  void* host_info = nullptr;
  void (*finalizer)(void*) = nullptr;
  rotor::capi::Part part;

  template <class T>
  T* as() {
    return std::get_if<T>(&part);
  }
  bool is_extern() const { return kind <= rotor::capi::Kind::tag; }
};

/// Freed when the program has deleted it, and nothing of it is left.
struct wasm_store_t {
  explicit wasm_store_t(const rotor::Engine& of) : engine(of) {
    list.previous = list.next = &list;
    options.host_data = this;  // for host functions of linkers
  }
  wasm_store_t(const wasm_store_t&) = delete;

  /// Makes a reference to a new object, which the caller owns.
  wasm_ref_t* make(rotor::capi::Kind kind, rotor::capi::Part part);
  /// Returns the reference to an object of the engine's, which the caller owns then. `home`: the instance that exports
  /// it, if that is known.
  wasm_ref_t* own(const rotor::Extern& item, wasm_ref_t* home = nullptr);
  /// Makes the reference to a new instance.
  wasm_ref_t* own_instance(rotor::Instance instance);
  /// Returns the instance of a module: the only one in the store, or `guess` if that is one of several; null otherwise.
  wasm_ref_t* instance_of(uint64_t module_id, wasm_ref_t* guess) const;
  /// Returns the number by which guests know an object as an externref.
  uint64_t extern_id(wasm_ref_t& ref);
  /// Returns the object that a guest calls so, which the caller owns then; null if there is none.
  wasm_ref_t* own_extern(uint64_t id);

  /// Keeps an error for rotor_store_error.
  void fail(rotor::Error error) { last_error = rotor_error_t{std::move(error), {}}; }
  /// Makes a trap of an error; the one that a host function returned, if that is where the error comes from.
  wasm_trap_t* trap(rotor::Error error, wasm_ref_t* entered);

  /// The store's own call of a guest; the store may be deleted in it, which takes effect after it.
  void begin_call() {
    if (calls++ == 0 && by_extern_id.size() >= sweep_at) sweep();
  }
  void end_call();

  void add_user() { ++users; }
  /// Frees the store with its last user.
  void drop_user();
  /// Lets everything go: instances, then the finalizers of what nobody owns.
  void close();
  /// Takes a reference out of the store's list and maps.
  void forget(wasm_ref_t& ref);

  const rotor::Engine engine;
  rotor::InstanceOptions options;  ///< of instances that wasm_instance_new makes
  std::optional<rotor_error_t> last_error;
  wasm_ref_t* pending_trap = nullptr;  ///< what a host function returned, on its way to the caller of the guest
  std::unordered_map<std::string, rotor::Module> host_modules;  ///< by their bytes, which a function's type decides
  bool is_closed = false;
  bool is_deleted = false;  ///< by the program, in the middle of a call
  /// Whether all that may hold externrefs is in the list: no instance that could not be finished, and no snapshot.
  bool knows_all_holders = true;

 private:
  struct Instances {
    size_t count = 0;
    wasm_ref_t* last = nullptr;
  };
  /// Lets the objects go that nobody owns and no guest holds any more. Pre: no guest runs.
  void sweep();

  size_t users = 1;
  size_t sweep_at = 1024;  ///< objects that guests may hold, at which it is looked who still does
  uint32_t calls = 0;
  wasm_ref_t list{rotor::capi::Kind::foreign};               ///< the head of the list of all references
  std::unordered_map<const void*, wasm_ref_t*> by_identity;  ///< functions, globals, tables and memories
  std::unordered_map<uint64_t, wasm_ref_t*> by_extern_id;    ///< what guests may hold as externrefs
  std::unordered_map<uint64_t, Instances> instances;         ///< by Module::id
};

namespace rotor::capi {

/// Returns the object behind a pointer of any of the types that can be cast to wasm_ref_t.
template <class T>
wasm_ref_t* ref_of(const T* object) {
  return const_cast<wasm_ref_t*>(reinterpret_cast<const wasm_ref_t*>(object));
}
template <class T>
T* as(wasm_ref_t* ref) {
  return reinterpret_cast<T*>(ref);
}

/// Lets the owner of a reference go. Null is allowed.
void release(wasm_ref_t* ref);
/// Adds an owner. Null is allowed.
inline wasm_ref_t* retain(wasm_ref_t* ref) {
  if (ref) ++ref->owners;
  return ref;
}
/// Returns what a live object is; null if it is null, of another kind, or its store is gone.
template <class T, class Object>
T* part_of(const Object* object) {
  wasm_ref_t* ref = ref_of(object);
  return ref && !(ref->store && ref->store->is_closed) ? ref->as<T>() : nullptr;
}

/// Makes a trap of an error without a store, or with one.
wasm_trap_t* new_trap(wasm_store_t* store, Error error);
/// Makes an error of C's, which the caller owns.
inline rotor_error_t* new_error(Error error) { return new rotor_error_t{std::move(error), {}}; }
/// Returns the error of a result as C has it; null for none.
inline rotor_error_t* error_or_null(Result<void> result) {
  return result ? nullptr : new_error(std::move(result).error());
}
/// Writes an error to where C wants it, which may be nowhere, and returns null.
inline std::nullptr_t put_error(rotor_error_t** out, Error error) {
  if (out) *out = new_error(std::move(error));
  return nullptr;
}
/// Returns the error of an argument that has to be there.
inline Error missing(const char* what) { return Error(ErrorKind::invalid_argument, std::string("no ") + what); }
/// Returns the time in so many milliseconds; the end of time, where that would be after it.
inline InterruptHandle::Clock::time_point time_in(uint64_t ms) {
  using Clock = InterruptHandle::Clock;
  const auto now = Clock::now();
  const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::time_point::max() - now).count();
  return ms < static_cast<uint64_t>(most) ? now + std::chrono::milliseconds(ms) : Clock::time_point::max();
}
/// Returns a text of C's; empty if it is null.
inline std::string text_or_empty(const char* text) { return text ? text : ""; }

/// Returns the value of a result; its error is kept for rotor_store_error.
template <class T>
std::optional<T> value_or_fail(wasm_store_t& store, Result<T> result) {
  if (result) return std::move(*result);
  store.fail(std::move(result).error());
  return std::nullopt;
}
/// Returns whether it went well; if not, its error is kept for rotor_store_error.
inline bool done_or_fail(wasm_store_t& store, Result<void> result) {
  if (!result) store.fail(std::move(result).error());
  return result.has_value();
}

}  // namespace rotor::capi
