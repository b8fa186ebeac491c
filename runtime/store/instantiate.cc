#include "runtime/store/instantiate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "code/abi.h"
#include "rotor/guard.h"
#include "runtime/access.h"
#include "runtime/enter/call.h"
#include "runtime/enter/func.h"
#include "runtime/enter/trap.h"
#include "runtime/store/extern_type.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

namespace {

/// Does the spec's steps, in order. After an error, what was written to imported memories and tables stays; an instance
/// whose functions may have been put in a table has joined that table's group by then, and lives as long as the group.
class Instantiation {
 public:
  Instantiation(const InstancePreImpl& pre, InstanceImpl& instance)
      : pre_(pre),
        instance_(instance),
        module_(instance.module_impl()),
        wasm_(module_.wasm()),
        layout_(module_.layout()) {}

  Result<void> restore(const SnapshotImpl& snapshot) {
    ROTOR_CHECK(set_budget());
    ROTOR_CHECK(bind_imports());
    ROTOR_CHECK(check_imported_memories(snapshot));
    ROTOR_CHECK(restore_heap(snapshot));
    ROTOR_CHECK(restore_memories(snapshot));
    fill_func_refs();
    restore_globals(snapshot);
    ROTOR_CHECK(restore_tables(snapshot));
    instance_.dropped_data = snapshot.dropped_data;
    instance_.dropped_elements = snapshot.dropped_elements;
    // Imported memories are restored last, so that after an error they are as they were.
    return restore_imported_memories(snapshot);
  }

  Result<void> run() {
    ROTOR_CHECK(set_budget());
    ROTOR_CHECK(bind_imports());
    // The group is that of all it imports by now.
    if (module_.uses_heap())
      ROTOR_CHECK(instance_.group->use_heap(instance_, heap_options(instance_.options.limits.heap_bytes)));
    ROTOR_CHECK(allocate_memories());
    fill_func_refs();
    ROTOR_CHECK(initialise_globals());
    ROTOR_CHECK(allocate_tables());
    if (module_.uses_heap())
      for (uint32_t i = 0; i < wasm_.elements.size(); ++i) ROTOR_CHECK(instance_.evaluate_elements(i));
    ROTOR_CHECK(initialise_tables());
    ROTOR_CHECK(initialise_memories());
    return start();
  }

 private:
  Result<void> check_count(size_t count, uint32_t limit, const char* what) const {
    if (count <= limit) return {};
    return fail(ErrorKind::limit,
                fmt::format("the module defines {} {}, over the limit {} = {}", count, what, what, limit));
  }
  /// Sets the budget of the memories and tables that the module defines. Errors: limit.
  Result<void> set_budget() {
    const Limits& limits = instance_.options.limits;
    ROTOR_CHECK(check_count(wasm_.memories.size() - wasm_.imported_memories, limits.memories, "memories"));
    ROTOR_CHECK(check_count(wasm_.tables.size() - wasm_.imported_tables, limits.tables, "tables"));
    uint64_t reach = 0;
    for (size_t i = wasm_.imported_memories; i < wasm_.memories.size(); ++i)
      reach += MemoryImpl::reach_bytes(wasm_.memories[i], limits.memory.limit_bytes);
    uint64_t limit_bytes = std::min(limits.memory.limit_bytes, reach);
    // That of a spare instance is new again, unless a memory or table outlived that.
    if (instance_.budget.use_count() == 1)
      instance_.budget->renew(limit_bytes, limits.table_elements);
    else
      instance_.budget = std::make_shared<InstanceBudget>(limit_bytes, limits.table_elements);
    return {};
  }
  std::shared_ptr<Budget> memory_budget() const { return {instance_.budget, &instance_.budget->memory_bytes}; }
  std::shared_ptr<Budget> table_budget() const { return {instance_.budget, &instance_.budget->table_elements}; }

  Result<void> bind_imports() {
    instance_.memories.resize(wasm_.memories.size());
    instance_.tables.resize(wasm_.tables.size());
    instance_.tags.resize(wasm_.tags.size());
    for (uint32_t i = wasm_.imported_tags; i < wasm_.tags.size(); ++i)
      set_tag(i, std::make_shared<const TagImpl>(module_.canonical_type(wasm_.tags[i]), module_.keep()));
    if (wasm_.imported_globals) instance_.globals.resize(wasm_.globals.size());
    // A spare instance has its host functions, and imports nothing else but memories.
    const bool is_spare = instance_.has_func_refs;
    if (is_spare && wasm_.imported_memories == 0) return {};
    auto is_host = [](const Definition& d) { return std::holds_alternative<std::shared_ptr<const HostDefinition>>(d); };
    auto hosts = static_cast<size_t>(std::ranges::count_if(pre_.imports, is_host));
    if (hosts && !is_spare) instance_.host_imports = std::make_unique<HostImport[]>(hosts);
    for (size_t i = 0; i < pre_.imports.size(); ++i) {
      const Definition& definition = pre_.imports[i];
      if (auto* host = std::get_if<std::shared_ptr<const HostDefinition>>(&definition)) {
        if (is_spare) continue;
        HostImport& import = instance_.host_imports[next_host_++];
        const CanonicalType& type = module_.canonical_type(std::get<wasm::TypeIndex>(wasm_.imports[i].desc));
        import.bind(&instance_, *host, type, static_cast<uint32_t>(i));
        next_func_slot() = import.ref();
      } else if (auto* factory = std::get_if<std::shared_ptr<const PerInstance>>(&definition)) {
        auto make = [&] { return (*factory)->make(instance_.options); };
        ROTOR_TRY(Extern item, detail::guarded("what makes an import per instance", make));
        ROTOR_CHECK(check_import(item, module_, static_cast<uint32_t>(i)));
        ROTOR_CHECK(bind(item, module_.imports()[i]));
      } else {
        ROTOR_CHECK(bind(std::get<Extern>(definition), module_.imports()[i]));
      }
    }
    return {};
  }

  code::FuncRef& next_func_slot() { return *instance_.at<code::FuncRef>(layout_.imported_func(next_func_++)); }

  Result<void> bind(const Extern& item, const ImportInfo& import) {
    auto stale = [&] {
      return fail(ErrorKind::stale_handle,
                  fmt::format("import {}: what it was defined as is gone", import_text(import)));
    };
    if (auto* func = std::get_if<Func>(&item)) {
      // Merging fails if the function's instance is gone, so the reference is read only after it.
      ROTOR_CHECK(LinkGroup::merge(*instance_.group, *group_of(*func)));
      next_func_slot() = *func_ref_of(*func);
      return {};
    }
    if (auto* memory = std::get_if<Memory>(&item)) {
      auto impl = detail::Access::lock(*memory);
      if (!impl) return stale();
      set_memory(next_memory_++, std::move(impl));
      return {};
    }
    if (auto* table = std::get_if<Table>(&item)) {
      auto impl = detail::Access::lock(*table);
      if (!impl) return stale();
      if (belongs_to_group(impl->element()) || impl->tie.group()) ROTOR_CHECK(impl->tie.join(*instance_.group));
      set_table(next_table_++, impl->shared_from_this());
      return {};
    }
    if (auto* tag = std::get_if<Tag>(&item)) {
      set_tag(next_tag_++, detail::Access::impl(*tag));
      return {};
    }
    auto impl = detail::Access::lock(std::get<Global>(item));
    if (!impl) return stale();
    if (belongs_to_group(impl->type().value) || impl->tie.group()) ROTOR_CHECK(impl->tie.join(*instance_.group));
    *instance_.at<code::GlobalCell*>(layout_.imported_global(next_global_)) = impl->cell();
    instance_.globals[next_global_++] = impl->shared_from_this();
    return {};
  }

  /// Returns whether what holds values of the type is of the instance's group: they may be functions, exceptions, or
  /// objects of its heap.
  bool belongs_to_group(ValType type) const {
    return type.is_func_ref() || type.is_exn_ref() || type.is_any_ref() ||
           (type.is_extern_ref() && module_.uses_heap());
  }
  /// Returns the engine for a type that has to keep it alive, else null: its reference count is shared by all threads,
  /// so it is not taken without need.
  std::shared_ptr<const EngineImpl> type_owner(ValType type) const {
    return type.is_concrete_ref() ? module_.shared_engine() : nullptr;
  }

  void set_memory(uint32_t index, std::shared_ptr<MemoryImpl> memory) {
    memory->add_user();
    instance_.memories[index] = std::move(memory);
    refer_to_memory(index);
  }
  void refer_to_memory(uint32_t index) {
    MemoryImpl& memory = *instance_.memories[index];
    *instance_.at<code::ContextMemory>(layout_.memory(index)) = {memory.base(), memory.def()};
  }
  /// Sets a table, given as the object itself and not as a host's handle to it (HostHold): instances don't keep those.
  void set_table(uint32_t index, std::shared_ptr<TableImpl> table) {
    *instance_.at<code::TableDef*>(layout_.table(index)) = table->def();
    instance_.tables[index] = std::move(table);
  }

  void set_tag(uint32_t index, std::shared_ptr<const TagImpl> tag) {
    *instance_.at<const TagImpl*>(layout_.tag(index)) = tag.get();
    instance_.tags[index] = std::move(tag);
  }

  Result<void> allocate_memories() {
    const DataImages::Made& data = module_.data_images();
    for (uint32_t i = wasm_.imported_memories; i < wasm_.memories.size(); ++i) {
      ROTOR_TRY(auto memory, MemoryImpl::create(wasm_.memories[i], instance_.options.limits.memory, memory_budget(),
                                                data.contents[i], module_.on_slab(i)));
      set_memory(i, std::move(memory));
    }
    return {};
  }

  Result<void> check_imported_memories(const SnapshotImpl& snapshot) {
    for (uint32_t i = 0; i < wasm_.imported_memories; ++i) {
      if (instance_.memories[i]->users() == 1) continue;
      return fail(ErrorKind::invalid_argument, "the memory to be restored is in use by another instance");
    }
    return {};
  }
  Result<void> restore_memories(const SnapshotImpl& snapshot) {
    for (uint32_t i = wasm_.imported_memories; i < wasm_.memories.size(); ++i) {
      ROTOR_TRY(auto memory, MemoryImpl::create(wasm_.memories[i], instance_.options.limits.memory, memory_budget(),
                                                snapshot.memories[i], module_.on_slab(i)));
      set_memory(i, std::move(memory));
    }
    return {};
  }
  Result<void> restore_imported_memories(const SnapshotImpl& snapshot) {
    for (uint32_t i = 0; i < wasm_.imported_memories; ++i) {
      ROTOR_CHECK(instance_.memories[i]->restore(snapshot.memories[i]));
      refer_to_memory(i);  // it may have another base
    }
    return {};
  }

  memory::HeapOptions heap_options(uint64_t limit_bytes) const {
    memory::HeapOptions options;
    options.limit_bytes = std::max<uint64_t>(limit_bytes, memory::kHeapBlockBytes);
    options.nothing = module_.engine().empty_heaps;
    options.stress = module_.engine().config.gc_stress;
    return options;
  }
  Result<void> restore_heap(const SnapshotImpl& snapshot) {
    if (!snapshot.heap) return {};
    ROTOR_CHECK(instance_.group->use_heap(instance_, heap_options(snapshot.heap_state.limit_bytes), snapshot.heap));
    GcHeapState state = snapshot.heap_state;
    for (uint64_t& function : state.functions) function = func_slot(function);
    instance_.group->gc_heap()->set_state(state);
    instance_.evaluated_elements = snapshot.evaluated_elements;
    return {};
  }

  void restore_globals(const SnapshotImpl& snapshot) {
    const uint64_t* words = snapshot.globals.data();
    for (uint32_t i = wasm_.imported_globals; i < wasm_.globals.size(); ++i) {
      const ValType type = engine_type(wasm_.globals[i].type.value, module_.types());
      uint64_t* cell = instance_.global_cell(i)->bits;
      cell[0] = type.is_func_ref() ? func_slot(*words) : *words;
      ++words;
      if (type == ValType::v128) cell[1] = *words++;
    }
  }

  Result<void> restore_tables(const SnapshotImpl& snapshot) {
    assert(wasm_.imported_tables == 0);
    for (uint32_t i = 0; i < wasm_.tables.size(); ++i) {
      const std::vector<uint64_t>& elements = snapshot.tables[i];
      TableType type = engine_type(wasm_.tables[i].type, module_.types());
      type.limits.min = elements.size();
      ROTOR_TRY(auto impl, TableImpl::create(type_owner(type.element), type, 0, table_budget()));
      impl->tie.belong_to(instance_.group);
      uint64_t* slots = impl->slots(0);
      const bool holds_funcs = type.element.is_func_ref();
      // Null elements are there already, and may lie in pages that were never touched.
      for (size_t k = 0; k < elements.size(); ++k)
        if (elements[k]) slots[k] = holds_funcs ? func_slot(elements[k]) : elements[k];
      set_table(i, std::move(impl));
    }
    return {};
  }
  /// Returns the slot of a function as a snapshot keeps it.
  uint64_t func_slot(uint64_t context_offset) const {
    return context_offset ? reinterpret_cast<uint64_t>(instance_.context) + context_offset : 0;
  }

  void fill_func_refs() {
    if (instance_.has_func_refs) return;
    for (uint32_t i = 0; i < layout_.func_ref_slot.size(); ++i) {
      if (layout_.func_ref_slot[i] == UINT32_MAX) continue;
      uint32_t index = i + wasm_.imported_funcs;
      *instance_.at<code::FuncRef>(layout_.func_ref(wasm_, index)) = defined_func(index);
    }
    instance_.has_func_refs = true;
  }
  code::FuncRef defined_func(uint32_t index) const {
    return {module_.canonical_type(wasm::FuncIndex{index}).id(), module_.entry(index - wasm_.imported_funcs),
            instance_.context};
  }

  Result<void> initialise_globals() {
    // Late ones are zeroes until they are evaluated: they hold no references that a collection would follow.
    const Preformed& preformed = module_.preformed();
    std::ranges::copy(preformed.globals, instance_.at<code::GlobalCell>(layout_.globals));
    for (uint32_t i : preformed.late_globals) {
      ROTOR_TRY(*instance_.global_cell(i), instance_.initial_value(wasm_.globals[i].init));
    }
    return {};
  }

  Result<void> allocate_tables() {
    for (uint32_t i = wasm_.imported_tables; i < wasm_.tables.size(); ++i) {
      const wasm::Table& table = wasm_.tables[i];
      uint64_t init = 0;
      if (table.init) {
        ROTOR_TRY(const code::GlobalCell cell, instance_.initial_value(*table.init));
        init = cell.bits[0];
      }
      TableType type = engine_type(table.type, module_.types());
      ROTOR_TRY(auto impl, TableImpl::create(type_owner(type.element), type, init, table_budget()));
      impl->tie.belong_to(instance_.group);
      set_table(i, std::move(impl));
    }
    return {};
  }

  /// Returns the offset of a segment. An i32 that comes from a global may have garbage in its upper half.
  uint64_t offset_of(const wasm::ConstExpr& expr, bool is64) const {
    uint64_t offset = instance_.evaluate(expr);
    return is64 ? offset : static_cast<uint32_t>(offset);
  }

  Result<void> initialise_tables() {
    const Preformed& preformed = module_.preformed();
    if (preformed.has_elements) {
      for (uint32_t i = wasm_.imported_tables; i < preformed.tables.size(); ++i)
        instance_.tables[i]->write_places(preformed.tables[i], instance_.context);
      instance_.dropped_elements = preformed.dropped_elements;
      for (uint32_t i = 0; i < instance_.evaluated_elements.size(); ++i)
        if (instance_.dropped_elements[i]) instance_.evaluated_elements[i] = {};
      return {};
    }
    instance_.dropped_elements.assign(wasm_.elements.size(), false);
    for (uint32_t i = 0; i < wasm_.elements.size(); ++i) {
      const wasm::ElementSegment& segment = wasm_.elements[i];
      if (segment.mode == wasm::SegmentMode::passive) continue;
      if (segment.mode == wasm::SegmentMode::active) {
        uint64_t offset = offset_of(segment.table_offset, wasm_.tables[raw(segment.table)].type.is64);
        if (!instance_.table_init(raw(segment.table), i, offset, 0, segment.size()))
          return std::unexpected(trap_error(TrapKind::out_of_bounds_table));
      }
      instance_.drop_elements(i);
    }
    return {};
  }

  Result<void> initialise_memories() {
    instance_.dropped_data.assign(wasm_.data.size(), false);
    const DataImages::Made& data = module_.data_images();
    for (uint32_t i = 0; i < wasm_.data.size(); ++i) {
      const wasm::DataSegment& segment = wasm_.data[i];
      if (segment.mode != wasm::SegmentMode::active) continue;
      if (data.have_data) {
        instance_.dropped_data[i] = true;
        continue;
      }
      uint64_t offset = offset_of(segment.memory_offset, wasm_.memories[raw(segment.memory)].is64);
      if (!instance_.memory_init(raw(segment.memory), i, offset, 0, segment.size))
        return std::unexpected(trap_error(TrapKind::out_of_bounds_memory));
      instance_.dropped_data[i] = true;
    }
    return {};
  }

  Result<void> start() {
    if (!wasm_.start) return {};
    uint32_t index = raw(*wasm_.start);
    code::FuncRef ref = index < wasm_.imported_funcs ? *instance_.func_ref(index) : defined_func(index);
    Slot none[1] = {};
    return invoke(*instance_.group, ref, none);
  }

  const InstancePreImpl& pre_;
  InstanceImpl& instance_;
  const ModuleImpl& module_;
  const wasm::Module& wasm_;
  const code::ContextLayout& layout_;
  uint32_t next_func_ = 0, next_host_ = 0, next_memory_ = 0, next_table_ = 0, next_global_ = 0, next_tag_ = 0;
};

}  // namespace

Result<Instance> instantiate(const InstancePreImpl& pre, const InstanceOptions& options, const SnapshotImpl* snapshot) {
  ROTOR_TRY(auto allocated, InstanceImpl::allocate(pre.spares, options));
  LinkGroup* group = allocated->group.get();
  // The thread stays inside the group until the end: a drop in between takes effect when it leaves.
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group));
  InstanceImpl* instance = allocated.release();
  group->add_member(instance);
  auto handle = detail::Access::handle<Instance>(instance);  // the group's first owner
  if (options.deadline) ROTOR_CHECK(handle.set_deadline(*options.deadline));
  if (options.on_interrupt_handle) {
    const InterruptHandle interrupt_handle = handle.interrupt_handle();  // guarded() cleans up nothing made inside it
    auto tell = [&] { options.on_interrupt_handle(interrupt_handle); };
    ROTOR_CHECK(detail::guarded("on_interrupt_handle", tell));
  }
  Instantiation steps(pre, *instance);
  if (!snapshot) {
    ROTOR_CHECK(steps.run());
  } else if (auto restored = steps.restore(*snapshot); !restored) {
    // The instance may live on, linked to what it imports from, but nobody has a handle to it: its memories can be used
    // by others.
    instance->release_memories();
    return std::unexpected(std::move(restored).error());
  }
  return handle;
}

}  // namespace rotor::runtime

namespace rotor {

Result<Instance> InstancePre::instantiate(const InstanceOptions& options) const {
  return runtime::instantiate(*impl_, options);
}
Result<Instance> InstancePre::instantiate(const Snapshot& snapshot, const InstanceOptions& options) const {
  if (!snapshot || &runtime::impl_of(snapshot.module()) != &runtime::impl_of(module()))
    return fail(ErrorKind::invalid_argument, "the snapshot is of another module");
  return runtime::instantiate(*impl_, options, runtime::impl_of(snapshot));
}

}  // namespace rotor
