// An instance: its context block, and what it shares or owns.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "code/abi.h"
#include "rotor/instance.h"
#include "runtime/access.h"
#include "runtime/enter/host_function.h"
#include "runtime/module.h"
#include "runtime/store/budget.h"
#include "runtime/store/global.h"
#include "runtime/store/link_group.h"
#include "runtime/store/memory.h"
#include "runtime/store/spare_instances.h"
#include "runtime/store/table.h"
#include "runtime/store/tag.h"

namespace rotor::runtime {

/// Owned by its link group, which deletes it.
class InstanceImpl final : public GroupMember {
 public:
  /// Makes an instance with a context, empty lists and a group of its own, of which it is not yet a member, or takes a
  /// spare one. Errors: io (no memory).
  static Result<std::unique_ptr<InstanceImpl>> allocate(const std::shared_ptr<SpareInstances>& spares,
                                                        const InstanceOptions& options);
  ~InstanceImpl() override;
  /// Becomes a spare one, or is freed.
  void retire() override;
  InstanceImpl(const InstanceImpl&) = delete;

  bool interruptible() const override { return module_impl().interruptible(); }
  bool uses_floats() const override { return module_impl().uses_floats(); }
  void use(code::Activation& activation) override { context->activation = &activation; }
  bool has_memory_at(uintptr_t address) const override;
  void mark_exceptions(ExceptionHeap::Marker& marker) const override;
  uint64_t exception_places() const override;
  Result<void> use_heap(GcHeap& heap) override;
  void add_roots(GcHeap& heap, memory::ExactRoots& roots) const override;

  const ModuleImpl& module_impl() const { return impl_of(module); }
  template <class T>
  T* at(uint32_t context_offset) const {
    return reinterpret_cast<T*>(reinterpret_cast<uint8_t*>(context) + context_offset);
  }
  /// Returns the reference to a function that is imported or declared as a reference.
  const code::FuncRef* func_ref(uint32_t func_index) const {
    return at<code::FuncRef>(module_impl().layout().func_ref(module_impl().wasm(), func_index));
  }
  /// Returns the index of a function by a reference to it, which may be another instance's copy of this one's. Pre: it
  /// is this instance's, or of the host and called as this instance's import; it is declared as a reference, or
  /// imported.
  uint32_t func_index(const code::FuncRef& ref) const;
  code::GlobalCell* global_cell(uint32_t index) const;
  /// Returns the host's view of a global; those of globals defined here are made at the first call.
  std::shared_ptr<GlobalImpl> global(uint32_t index);

  Result<Extern> get(std::string_view name);
  Extern extern_of(const wasm::Export& item);
  Result<Func> get_func(std::string_view name) const;
  Result<Table> get_table(std::string_view name) const;
  Result<Memory> get_memory(std::string_view name) const;
  Result<Global> get_global(std::string_view name);
  Result<Tag> get_tag(std::string_view name) const;
  Result<Memory> memory0() const;
  std::vector<Memory> all_memories() const;
  InstanceUsage usage() const;
  /// Do what Instance's functions do.
  Result<uint64_t> fuel() const;
  Result<void> set_fuel(uint64_t units) const;
  Result<void> add_fuel(uint64_t units) const;
  InterruptHandle interrupt_handle() const { return {group, module_impl().engine().watchdog}; }

  /// Run table.init and memory.init, also for active segments. Return false if that is out of bounds, and nothing was
  /// written.
  bool table_init(uint32_t table, uint32_t segment, uint64_t dst, uint64_t src, uint64_t size);
  bool memory_init(uint32_t memory, uint32_t segment, uint64_t dst, uint64_t src, uint64_t size);
  /// Lets go of the memories. Pre: none of its functions can be called any more.
  void release_memories();
  /// Returns the bytes of a data segment from `offset` on; null if there are not `size` of them, as of one that was
  /// dropped.
  const uint8_t* data_bytes(uint32_t segment, uint64_t offset, uint64_t size) const;
  /// Returns whether an element segment has `size` elements from `offset` on; one that was dropped has none.
  bool has_elements(uint32_t segment, uint64_t offset, uint64_t size) const;
  /// Returns an element of a segment, which is not dropped, as a slot.
  uint64_t element(uint32_t segment, uint64_t index) const;
  void drop_elements(uint32_t segment);
  /// Evaluates the elements of a segment that makes objects: each is made once. Errors: limit, io.
  Result<void> evaluate_elements(uint32_t segment);
  /// Returns the value of a constant expression of the module's that makes no objects, as a slot's 64 bits.
  uint64_t evaluate(const wasm::ConstExpr& expr) const;
  /// Returns the value of a constant expression of any type, as a global holds it.
  Result<code::GlobalCell> initial_value(const wasm::ConstExpr& expr) const;

  std::shared_ptr<SpareInstances> home;  ///< null while it is spare
  const Module& module;                  ///< home's
  std::shared_ptr<LinkGroup> group;      ///< the one that it was made with: see LinkGroup::root
  code::Context* context = nullptr;
  std::vector<std::shared_ptr<MemoryImpl>> memories;
  std::vector<std::shared_ptr<TableImpl>> tables;
  std::vector<std::shared_ptr<const TagImpl>> tags;
  std::shared_ptr<InstanceBudget> budget;  ///< of the memories and tables that it defines
  std::vector<bool> dropped_data;
  std::vector<bool> dropped_elements;
  /// By segment: what was evaluated at once, since it makes objects. Empty if no segment does.
  std::vector<std::vector<uint64_t>> evaluated_elements;
  std::unique_ptr<HostImport[]> host_imports;
  /// Whether the context refers to the host's functions and the module's own, which never change.
  bool has_func_refs = false;
  InstanceOptions options;
  /// Imported globals, then those defined here that the host has asked for.
  std::vector<std::shared_ptr<GlobalImpl>> globals;

 private:
  explicit InstanceImpl(const std::shared_ptr<SpareInstances>& spares) : home(spares), module(spares->module) {}
  /// Returns the index of an export of that kind. Errors: not_found (no such export, or of another kind, which the
  /// message names).
  Result<uint32_t> export_of_kind(std::string_view name, wasm::ExternKind kind) const;
  Func func_at(uint32_t index) const;
  /// Lets the thread in, to the account of metered code. Errors: invalid_argument (the code is none); those of
  /// entering.
  Result<GroupEntry> enter_account() const;

  memory::ForkMutex globals_mutex_;
};

}  // namespace rotor::runtime
