// A host for wasm-bindgen guests: no JavaScript, none of wasm-bindgen's glue.
//
//   auto host = BindgenHost::create(engine, module);
//   (*host)->start_pool(2);                       // if the guest has a rayon pool
//   auto func = (*host)->instance().get_func("caml_fp_srs_create");
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hosts/wasm_bindgen/imports.h"
#include "hosts/wasm_bindgen/worker_pool.h"
#include "rotor/rotor.h"

namespace rotor { struct GuestRequest; }

namespace rotor::wasm_bindgen {

/// How the guest's rayon pool starts and ends: export names, as wasm-bindgen-rayon has them.
struct PoolOptions {
  std::string start = "initThreadPool";
  std::string stop = "exitThreadPool";
  /// Export that each worker calls when it has left the pool: without it each restart would leak the worker's stack.
  std::string thread_exit = "__wbindgen_thread_destroy";
  /// The time that `stop` waits for workers to leave the guest before it interrupts them.
  uint64_t stop_deadline_ms = 5000;
};

struct BindgenOptions {
  /// Most pages that the guest's memory may have, whether it imports or defines it. The module's own maximum holds too.
  uint32_t max_pages = 65536;
  /// The source of the guest's random bytes; null: a generator of its own with seed 1.
  std::shared_ptr<SharedRandom> random;
  /// Called with what the guest writes with console.error (a panic, mostly), on the thread that wrote it.
  std::function<void(std::string_view)> on_guest_error;
  /// Called with the error of a worker that failed, on its thread: whoever waits for its work may then sleep in the
  /// guest for ever.
  std::function<void(const Error&)> on_worker_error;
  Limits limits;
  PoolOptions pool;
};

/// A range in the guest's memory as the guest passes it: pointer and length, which counts bytes or u32s.
struct GuestSpan {
  uint32_t pointer = 0;
  uint32_t count = 0;
};

/// One guest: the main instance, its memory, the worker pool. Used by one thread at a time.
class BindgenHost {
 public:
  /// Instantiates and calls `__wbindgen_start` if the module has it. A guest without `__wbindgen_malloc` but with
  /// `malloc` and `free` (the plain ABI) is accepted, too. `request`: what a proxy asks of the guest, and possibly the
  /// state that it is to be in; nothing is called then, and `GuestRequest::saved` must be what `save_objects` returned.
  /// Errors: those of Memory::create, linking and instantiation.
  static Result<std::unique_ptr<BindgenHost>> create(const Engine& engine, const Module& module,
                                                     BindgenOptions options = {},
                                                     const GuestRequest* request = nullptr);
  /// Stops the pool.
  ~BindgenHost();
  BindgenHost(const BindgenHost&) = delete;

  Instance& instance() { return instance_; }
  const Module& module() const { return instance_.module(); }
  const Memory& memory() const { return memory_; }
  /// Returns the current size of the guest's memory, in bytes.
  uint64_t memory_bytes() const { return memory_.size_bytes(); }
  const SharedRandom& random() const { return *shared_->random; }

  /// Returns a copy of what external references stand for now, which is part of the guest's state as much as its
  /// memory.
  std::shared_ptr<const ObjectTable> save_objects() const;

  const PoolOptions& pool_options() const { return options_.pool; }
  /// Sets the options of pools started from now on, and of `stop`.
  void set_pool_options(PoolOptions pool) { options_.pool = std::move(pool); }
  /// Starts a rayon pool as wasm-bindgen-rayon does: `workers` instances on the same memory. Errors: not_found (the
  /// guest has no pool), and whatever starting it gives; those of `stop`, if a worker of an earlier pool is abandoned.
  Result<void> start_pool(uint32_t workers);
  /// Ends the pool: the guest's `exitThreadPool`, then each worker gives its stack back and its thread is joined. Where
  /// that can't be (the guest trapped, no such export) workers are interrupted in the guest and joined. On success no
  /// instance but the main one is left on the guest's memory. Errors: limit (a worker that was told did not leave by
  /// the deadline and was interrupted; one could not be interrupted either, now or earlier, and is abandoned until the
  /// process ends); those of exitThreadPool.
  Result<void> stop();
  /// Says that the guest trapped: its locks may be held, so `stop` calls nothing in it.
  void set_trapped() { trapped_ = true; }
  size_t workers() const { return pool_ ? pool_->size() : 0; }
  size_t interrupted_workers() const { return pool_ ? pool_->interrupted() : 0; }
  size_t abandoned_workers() const { return pool_ ? pool_->abandoned() : 0; }
  /// Returns the errors of the workers that failed.
  std::vector<Error> worker_errors() const { return pool_ ? pool_->errors() : std::vector<Error>(); }
  /// Returns, and forgets, the errors of the failed workers that `stop` has joined.
  std::vector<Error> take_worker_errors() { return pool_ ? pool_->take_errors() : std::vector<Error>(); }

  // ---- values through the guest's allocator ----
  Result<GuestSpan> put(std::span<const uint8_t> bytes);
  Result<GuestSpan> put_u32s(std::span<const uint32_t> elements);
  /// Read a value out of the guest's memory, then free it there.
  Result<std::vector<uint8_t>> take(GuestSpan bytes);
  Result<std::vector<uint32_t>> take_u32s(GuestSpan elements);
  /// Returns whether the host has to free what it passes after the call, as under the plain ABI; a wasm-bindgen guest
  /// frees it itself.
  bool frees_arguments() const { return abi_ == Abi::plain; }
  Result<void> free(GuestSpan bytes);

  /// Returns the text of the error object at an index of the guest's table, which functions return beside their
  /// results.
  std::string describe_error(uint32_t table_index);
  std::string describe(ExternRef value) const { return shared_->objects.describe(value); }
  /// Returns what the guest wrote last with console.error.
  std::string last_panic() const { return shared_->last_panic(); }

 private:
  enum class Abi { none, plain, wasm_bindgen };
  BindgenHost(std::shared_ptr<GuestShared> shared, InstancePre pre, const BindgenOptions& options);
  Result<void> instantiate(const GuestRequest* request);
  Result<void> bind();
  Result<void> start();
  Result<uint32_t> allocate(uint64_t size_bytes, uint32_t align);
  Result<void> release(uint32_t pointer, uint64_t size_bytes, uint32_t align);
  Result<Value> call(std::string_view name, std::span<const Value> args);

  std::shared_ptr<GuestShared> shared_;
  GuestContext context_;
  InstancePre pre_;
  BindgenOptions options_;
  Instance instance_;
  Memory memory_;
  Abi abi_ = Abi::none;
  Func malloc_;
  Func free_;
  std::unique_ptr<WorkerPool> pool_;
  bool trapped_ = false;
};

}  // namespace rotor::wasm_bindgen
