#include "runtime/store/instance.h"

#include <fmt/format.h>
#include <algorithm>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "code/abi.h"
#include "rotor/printable.h"
#include "runtime/access.h"
#include "runtime/enter/func.h"
#include "runtime/store/const_eval.h"
#include "runtime/store/extern_type.h"
#include "wasm/const_expr.h"

namespace rotor::runtime {

Result<std::unique_ptr<InstanceImpl>> InstanceImpl::allocate(const std::shared_ptr<SpareInstances>& spares,
                                                             const InstanceOptions& options) {
  if (std::unique_ptr<InstanceImpl> spare(static_cast<InstanceImpl*>(spares->take())); spare) {
    spare->home = spares;
    spare->options = options;
    if (!LinkGroup::renew(spare->group)) spare->group = LinkGroup::create();
    return spare;
  }
  const ModuleImpl& impl = impl_of(spares->module);
  ROTOR_CHECK(impl.check_cpu());
  std::unique_ptr<InstanceImpl> instance(new InstanceImpl(spares));
  instance->options = options;
  instance->group = LinkGroup::create();
  // The results buffer lies behind the context, in one block.
  size_t context_bytes = impl.layout().size_bytes;
  size_t bytes = (context_bytes + impl.result_words() * sizeof(uint64_t) + 63) / 64 * 64;
  void* block = std::aligned_alloc(64, bytes);
  if (!block) return fail(ErrorKind::io, fmt::format("no memory for an instance of {} bytes", bytes));
  std::memset(block, 0, bytes);
  instance->context = static_cast<code::Context*>(block);
  instance->context->results = instance->at<uint64_t>(static_cast<uint32_t>(context_bytes));
  instance->context->instance = instance.get();
  return instance;
}

bool InstanceImpl::has_memory_at(uintptr_t address) const {
  return std::ranges::any_of(memories, [&](const auto& memory) { return memory->contains(address); });
}

void InstanceImpl::mark_exceptions(ExceptionHeap::Marker& marker) const {
  for (uint32_t index : module_impl().exception_globals()) marker.word(global_cell(index)->bits[0]);
  for (const auto& table : tables) {
    if (!table || !table->element().is_exn_ref()) continue;
    for (uint64_t i = 0; i < table->size(); ++i) marker.word(*table->slots(i));
  }
}

uint64_t InstanceImpl::exception_places() const {
  uint64_t places = module_impl().exception_globals().size();
  for (const auto& table : tables)
    if (table && table->element().is_exn_ref()) places += table->size();
  return places;
}

Result<void> InstanceImpl::use_heap(GcHeap& heap) {
  ROTOR_CHECK(heap.define(module_impl().types()));
  context->heap = heap.base();
  return {};
}

void InstanceImpl::add_roots(GcHeap& heap, memory::ExactRoots& roots) const {
  // While it is instantiated, not all of it is there.
  for (const ModuleImpl::ObjectGlobal& global : module_impl().object_globals())
    if (const code::GlobalCell* cell = global_cell(global.index)) heap.add_root(roots, global.type, cell->bits[0]);
  for (const auto& table : tables) {
    if (!table || !(table->element().is_any_ref() || table->element().is_extern_ref())) continue;
    for (uint64_t i = 0; i < table->size(); ++i) heap.add_root(roots, table->element(), *table->slots(i));
  }
  for (uint32_t i = 0; i < evaluated_elements.size(); ++i) {
    const ValType type = engine_type(module_impl().wasm().elements[i].type, module_impl().types());
    for (uint64_t word : evaluated_elements[i]) heap.add_root(roots, type, word);
  }
}

// No sum wraps in these: both terms of a comparison are at most what there is.
const uint8_t* InstanceImpl::data_bytes(uint32_t segment, uint64_t offset, uint64_t size) const {
  const wasm::DataSegment& data = module_impl().wasm().data[segment];
  const uint64_t have = dropped_data[segment] ? 0 : data.size;
  if (size > have || offset > have - size) return nullptr;
  return module_impl().bytes().data() + data.begin + offset;
}

bool InstanceImpl::has_elements(uint32_t segment, uint64_t offset, uint64_t size) const {
  const uint64_t have = dropped_elements[segment] ? 0 : module_impl().wasm().elements[segment].size();
  return size <= have && offset <= have - size;
}

uint64_t InstanceImpl::element(uint32_t segment, uint64_t index) const {
  const wasm::ElementSegment& elements = module_impl().wasm().elements[segment];
  if (!elements.funcs.empty()) return reinterpret_cast<uint64_t>(func_ref(raw(elements.funcs[index])));
  if (segment < evaluated_elements.size() && !evaluated_elements[segment].empty())
    return evaluated_elements[segment][index];
  // References and immutable globals do not change: evaluating an element late gives what it gave at instantiation.
  return evaluate(elements.exprs[index]);
}

void InstanceImpl::drop_elements(uint32_t segment) {
  dropped_elements[segment] = true;
  if (segment < evaluated_elements.size()) evaluated_elements[segment] = {};
}

Result<void> InstanceImpl::evaluate_elements(uint32_t segment) {
  const wasm::ElementSegment& elements = module_impl().wasm().elements[segment];
  if (std::ranges::none_of(elements.exprs, needs_heap)) return {};
  evaluated_elements.resize(module_impl().wasm().elements.size());
  std::vector<uint64_t>& words = evaluated_elements[segment];
  words.reserve(elements.exprs.size());
  for (const wasm::ConstExpr& expr : elements.exprs) {
    ROTOR_TRY(const code::GlobalCell cell, initial_value(expr));
    words.push_back(cell.bits[0]);
  }
  return {};
}

InstanceImpl::~InstanceImpl() {
  release_memories();
  std::free(context);
}

void InstanceImpl::retire() {
  release_memories();
  tables.clear();
  tags.clear();
  globals.clear();
  evaluated_elements.clear();
  context->heap = nullptr;
  options = {};
  // What results of more values were passed through is the guest's.
  std::memset(context->results, 0, module_impl().result_words() * sizeof(uint64_t));
  // The last instance frees its home, and spare ones with that.
  const std::shared_ptr<SpareInstances> kept = std::move(home);
  if (!kept->put(this)) delete this;
}

void InstanceImpl::release_memories() {
  const uint32_t imported = module_impl().wasm().imported_memories;
  for (uint32_t i = 0; i < memories.size(); ++i)
    if (memories[i]) memories[i]->remove_user(i < imported || context->may_have_written);
  memories.clear();
  context->may_have_written = 0;
}

code::GlobalCell* InstanceImpl::global_cell(uint32_t index) const {
  const code::ContextLayout& layout = module_impl().layout();
  uint32_t imported = module_impl().wasm().imported_globals;
  if (index < imported) return *at<code::GlobalCell*>(layout.imported_global(index));
  return at<code::GlobalCell>(layout.global(index - imported));
}

std::shared_ptr<GlobalImpl> InstanceImpl::global(uint32_t index) {
  std::lock_guard lock(globals_mutex_);
  if (globals.empty()) globals.resize(module_impl().wasm().globals.size());
  std::shared_ptr<GlobalImpl>& global = globals[index];
  if (!global) {
    GlobalType type = engine_type(module_impl().wasm().globals[index].type, module_impl().types());
    global = std::make_shared<GlobalImpl>(module_impl().shared_engine(), type, global_cell(index), group);
  }
  return global;
}

Extern InstanceImpl::extern_of(const wasm::Export& item) {
  switch (item.kind) {
    case wasm::ExternKind::func: return func_at(item.index);
    case wasm::ExternKind::table: return detail::Access::handle<Table>(tables[item.index]);
    case wasm::ExternKind::memory: return detail::Access::handle<Memory>(memories[item.index]);
    case wasm::ExternKind::global: return detail::Access::handle<Global>(global(item.index));
    case wasm::ExternKind::tag: return detail::Access::handle<Tag>(tags[item.index]);
  }
  return {};
}

Result<Extern> InstanceImpl::get(std::string_view name) {
  auto index = module_impl().find_export(name);
  if (!index) return fail(ErrorKind::not_found, fmt::format("no export \"{}\"", printable_name(name)));
  return extern_of(module_impl().wasm().exports[*index]);
}

Func InstanceImpl::func_at(uint32_t index) const { return func_of_ref(func_ref(index)); }

uint32_t InstanceImpl::func_index(const code::FuncRef& ref) const {
  const code::ContextLayout& layout = module_impl().layout();
  const wasm::Module& wasm = module_impl().wasm();
  if (ref.context->host) {
    for (uint32_t i = 0; i < wasm.imported_funcs; ++i)
      if (at<code::FuncRef>(layout.imported_func(i))->context == ref.context) return i;
    std::unreachable();
  }
  // A reference of the instance's own tells its place, before which there are at least as many functions.
  const auto* refs = at<code::FuncRef>(layout.func_refs);
  const auto place = reinterpret_cast<uintptr_t>(&ref) - reinterpret_cast<uintptr_t>(refs);
  const bool is_own = place < layout.size_bytes - layout.func_refs;
  for (size_t i = is_own ? place / sizeof(code::FuncRef) : 0; i < layout.func_ref_slot.size(); ++i)
    if (uint32_t slot = layout.func_ref_slot[i]; slot != UINT32_MAX && refs[slot].code == ref.code)
      return wasm.imported_funcs + static_cast<uint32_t>(i);
  std::unreachable();
}

Result<uint32_t> InstanceImpl::export_of_kind(std::string_view name, wasm::ExternKind kind) const {
  static constexpr const char* kKinds[] = {"func", "table", "memory", "global", "tag"};
  auto index = module_impl().find_export(name);
  if (!index) return fail(ErrorKind::not_found, fmt::format("no export \"{}\"", printable_name(name)));
  const wasm::Export& item = module_impl().wasm().exports[*index];
  if (item.kind == kind) return item.index;
  return fail(ErrorKind::not_found,
              fmt::format("export \"{}\" is a {}, not a {}", printable_name(name),
                          kKinds[std::to_underlying(item.kind)], kKinds[std::to_underlying(kind)]));
}

Result<Func> InstanceImpl::get_func(std::string_view name) const {
  ROTOR_TRY(uint32_t index, export_of_kind(name, wasm::ExternKind::func));
  return func_at(index);
}
Result<Table> InstanceImpl::get_table(std::string_view name) const {
  ROTOR_TRY(uint32_t index, export_of_kind(name, wasm::ExternKind::table));
  return detail::Access::handle<Table>(tables[index]);
}
Result<Memory> InstanceImpl::get_memory(std::string_view name) const {
  ROTOR_TRY(uint32_t index, export_of_kind(name, wasm::ExternKind::memory));
  return detail::Access::handle<Memory>(memories[index]);
}
Result<Global> InstanceImpl::get_global(std::string_view name) {
  ROTOR_TRY(uint32_t index, export_of_kind(name, wasm::ExternKind::global));
  return detail::Access::handle<Global>(global(index));
}

Result<Tag> InstanceImpl::get_tag(std::string_view name) const {
  ROTOR_TRY(uint32_t index, export_of_kind(name, wasm::ExternKind::tag));
  return detail::Access::handle<Tag>(tags[index]);
}

Result<Memory> InstanceImpl::memory0() const {
  if (memories.empty()) return fail(ErrorKind::not_found, "the instance has no memory");
  return detail::Access::handle<Memory>(memories[0]);
}

std::vector<Memory> InstanceImpl::all_memories() const {
  std::vector<Memory> all;
  for (const std::shared_ptr<MemoryImpl>& memory : memories) all.push_back(detail::Access::handle<Memory>(memory));
  return all;
}

InstanceUsage InstanceImpl::usage() const {
  const wasm::Module& wasm = module_impl().wasm();
  InstanceUsage usage;
  usage.memories = static_cast<uint32_t>(wasm.memories.size() - wasm.imported_memories);
  usage.memory_bytes = budget->memory_bytes.used();
  usage.memory_limit_bytes = budget->memory_bytes.limit();
  usage.denied_memory_growths = budget->memory_bytes.denied();
  usage.tables = static_cast<uint32_t>(wasm.tables.size() - wasm.imported_tables);
  usage.table_elements = budget->table_elements.used();
  usage.table_elements_limit = budget->table_elements.limit();
  usage.denied_table_growths = budget->table_elements.denied();
  // What another thread runs may collect.
  const Result<GroupEntry> inside = GroupEntry::enter(context->heap ? group.get() : nullptr);
  if (const GcHeap* heap = inside && context->heap ? group->gc_heap() : nullptr) {
    const memory::HeapCounters counters = heap->counters();
    usage.heap_limit_bytes = counters.limit_bytes;
    usage.heap_live_bytes = counters.live_bytes;
    usage.heap_used_bytes = counters.used_bytes;
    usage.heap_allocated_bytes = counters.allocated_bytes;
    usage.heap_collections = counters.collections;
    usage.heap_imprecise_collections = counters.imprecise_collections;
    usage.heap_denied_allocations = counters.failed_allocations;
    usage.heap_pause_ns_max = counters.max_pause_ns;
    usage.heap_pause_ns_total = counters.total_pause_ns;
  }
  return usage;
}

uint64_t InstanceImpl::evaluate(const wasm::ConstExpr& expr) const {
  auto get_global = [this](wasm::GlobalIndex index) { return global_cell(raw(index))->bits[0]; };
  auto get_func = [this](wasm::FuncIndex index) { return reinterpret_cast<uint64_t>(func_ref(raw(index))); };
  return wasm::eval_const_expr(expr, get_global, get_func);
}

Result<code::GlobalCell> InstanceImpl::initial_value(const wasm::ConstExpr& expr) const {
  if (module_impl().uses_heap() && needs_heap(expr)) {
    auto cell_of = [this](uint32_t index) -> const code::GlobalCell& { return *global_cell(index); };
    auto function = [this](uint32_t index) { return func_ref(index); };
    return evaluate_const({*group->gc_heap(), module_impl().types(), cell_of, function}, expr);
  }
  // No instruction combines values of more than 64 bits, so a v128.const is the whole expression.
  const wasm::ConstInstr& first = expr.code.front();
  if (first.op == wasm::Opcode::V128Const) return code::GlobalCell{{first.bits, first.high_bits}};
  if (first.op == wasm::Opcode::GlobalGet && expr.code.size() == 1)
    return *global_cell(static_cast<uint32_t>(first.bits));
  return code::GlobalCell{{evaluate(expr), 0}};
}

bool InstanceImpl::table_init(uint32_t table, uint32_t segment, uint64_t dst, uint64_t src, uint64_t size) {
  const wasm::ElementSegment& elements = module_impl().wasm().elements[segment];
  TableImpl& to = *tables[table];
  if (!has_elements(segment, src, size) || !to.in_bounds(dst, size)) return false;
  uint64_t* slots = to.slots(dst);
  if (elements.funcs.empty()) {
    for (uint64_t i = 0; i < size; ++i) slots[i] = element(segment, src + i);
    return true;
  }
  const code::ContextLayout& layout = module_impl().layout();
  const wasm::Module& wasm = module_impl().wasm();
  const auto base = reinterpret_cast<uint64_t>(context);
  for (uint64_t i = 0; i < size; ++i) slots[i] = base + layout.func_ref(wasm, raw(elements.funcs[src + i]));
  return true;
}

bool InstanceImpl::memory_init(uint32_t memory, uint32_t segment, uint64_t dst, uint64_t src, uint64_t size) {
  const uint8_t* from = data_bytes(segment, src, size);
  uint8_t* to = memories[memory]->range(dst, size);
  if (!from || !to) return false;
  context->may_have_written = 1;
  if (size) std::memcpy(to, from, size);
  return true;
}

}  // namespace rotor::runtime

namespace rotor {

Instance::Instance(Instance&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}

Instance& Instance::operator=(Instance&& other) noexcept {
  if (this != &other) {
    Instance old(std::move(*this));
    impl_ = std::exchange(other.impl_, nullptr);
  }
  return *this;
}

Instance::~Instance() {
  if (!impl_) return;
  if (runtime::LinkGroup::drop_only_owner(impl_->group)) {
    impl_->retire();
    return;
  }
  // The group is copied: another thread that is inside may free the members, and with them their references to the
  // group.
  std::shared_ptr<runtime::LinkGroup> group = impl_->group;
  group->drop_owner();
}

namespace {
std::unexpected<Error> empty() { return fail(ErrorKind::stale_handle, "an empty instance"); }
}  // namespace

const Module& Instance::module() const { return impl_->module; }

Result<Extern> Instance::get(std::string_view name) const {
  if (!impl_) return empty();
  return impl_->get(name);
}
Result<Func> Instance::get_func(std::string_view name) const {
  if (!impl_) return empty();
  return impl_->get_func(name);
}
Result<Memory> Instance::get_memory(std::string_view name) const {
  if (!impl_) return empty();
  return impl_->get_memory(name);
}
Result<Table> Instance::get_table(std::string_view name) const {
  if (!impl_) return empty();
  return impl_->get_table(name);
}
Result<Global> Instance::get_global(std::string_view name) const {
  if (!impl_) return empty();
  return impl_->get_global(name);
}

Result<Tag> Instance::get_tag(std::string_view name) const {
  if (!impl_) return empty();
  return impl_->get_tag(name);
}

Result<Memory> Instance::memory0() const {
  if (!impl_) return empty();
  return impl_->memory0();
}

std::vector<Memory> Instance::memories() const { return impl_ ? impl_->all_memories() : std::vector<Memory>(); }

InstanceUsage Instance::usage() const { return impl_ ? impl_->usage() : InstanceUsage(); }

Result<void> Instance::collect_garbage() const {
  if (!impl_) return empty();
  ROTOR_TRY(auto inside, runtime::GroupEntry::enter(impl_->group.get()));
  impl_->group->collect();
  return {};
}

Result<void> Instance::each_extern_ref(const std::function<void(ExternRef)>& visit) const {
  if (!impl_) return empty();
  ROTOR_TRY(auto inside, runtime::GroupEntry::enter(impl_->group.get()));
  if (!impl_->group->entered_once())
    return fail(ErrorKind::invalid_argument, "a call runs in the instance or in one that it is linked to");
  // What stands for an object of the guest's is none of the host's.
  auto visit_host = [&](uint64_t bits) {
    if (bits && !code::is_internal_extern(bits)) visit(ExternRef{bits});
  };
  for (const auto& table : impl_->tables) {
    if (!table->element().is_extern_ref()) continue;
    for (uint64_t i = 0; i < table->size(); ++i) visit_host(*table->slots(i));
  }
  const wasm::Module& wasm = impl_->module_impl().wasm();
  for (uint32_t i = 0; i < wasm.globals.size(); ++i) {
    if (!wasm.globals[i].type.value.is_extern_ref()) continue;
    visit_host(impl_->global_cell(i)->bits[0]);
  }
  // Exceptions that the guest refers to carry some, and others are gone soon.
  runtime::ExceptionHeap* exceptions = impl_->group->made_exceptions();
  if (!exceptions) return {};
  exceptions->for_each([&](runtime::ExceptionObject& exception) {
    const uint64_t* word = exception.payload();
    for (ValType type : exception.tag->type.type.params) {
      if (type.is_extern_ref()) visit_host(*word);
      word += code::kResultStride / sizeof(uint64_t);
    }
  });
  return {};
}

Result<Stay> Instance::stay() const {
  if (!impl_) return empty();
  ROTOR_CHECK(impl_->group->begin_stay());
  return Stay(impl_->group.get());
}

void Stay::leave(runtime::LinkGroup* group) { group->end_stay(); }

void* Instance::host_data() const { return impl_ ? impl_->options.host_data : nullptr; }

}  // namespace rotor
