#include "hosts/wasm_bindgen/host.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "rotor/proxy.h"

namespace rotor::wasm_bindgen {
namespace {

/// Makes and defines the memory that the module imports, if it imports one.
Result<void> define_memory(Linker& linker, const Engine& engine, const Module& module, const BindgenOptions& options,
                           const GuestRequest* request) {
  for (const ImportInfo& import : module.imports()) {
    auto* wanted = std::get_if<MemoryType>(&import.type);
    if (!wanted) continue;
    MemoryType type = *wanted;
    if (options.max_pages < type.limits.min)
      return fail(ErrorKind::limit, fmt::format("the guest needs {} pages of memory, the limit is {}", type.limits.min,
                                                options.max_pages));
    type.limits.max = std::min<uint64_t>(type.limits.max, options.max_pages);
    MemoryLimits limits = options.limits.memory;
    if (request) limits = request->apply(std::move(limits));
    ROTOR_TRY(Memory memory, Memory::create(engine, type, std::move(limits)));
    linker.define(import.module, import.name, memory);
  }
  return {};
}

std::string externref_table_name(const Module& module) {
  for (const ExportInfo& item : module.exports())
    if (auto* table = std::get_if<TableType>(&item.type); table && table->element.is_extern_ref()) return item.name;
  return {};
}

}  // namespace

BindgenHost::BindgenHost(std::shared_ptr<GuestShared> shared, InstancePre pre, const BindgenOptions& options)
    : shared_(shared), context_(std::move(shared)), pre_(std::move(pre)), options_(options) {}

Result<std::unique_ptr<BindgenHost>> BindgenHost::create(const Engine& engine, const Module& module,
                                                         BindgenOptions options, const GuestRequest* request) {
  auto shared = std::make_shared<GuestShared>();
  shared->random = options.random ? options.random : std::make_shared<SharedRandom>();
  shared->externref_table = externref_table_name(module);
  shared->on_guest_error = options.on_guest_error;
  shared->on_worker_error = options.on_worker_error;
  MemoryLimits& memory_limits = options.limits.memory;
  memory_limits.limit_bytes = std::min(memory_limits.limit_bytes, options.max_pages * Memory::kPageBytes);

  Linker linker(engine);
  ROTOR_CHECK(define_memory(linker, engine, module, options, request));
  define_imports(linker, module);
  ROTOR_TRY(InstancePre pre, linker.instantiate_pre(module));
  std::unique_ptr<BindgenHost> host(new BindgenHost(std::move(shared), std::move(pre), options));
  ROTOR_CHECK(host->instantiate(request));
  ROTOR_CHECK(host->bind());
  // A restored guest was started in the life that it was saved from.
  if (!request || !request->snapshot) ROTOR_CHECK(host->start());
  return host;
}

Result<void> BindgenHost::instantiate(const GuestRequest* request) {
  InstanceOptions instance_options;
  instance_options.limits = options_.limits;
  instance_options.host_data = &context_;
  if (pre_.module().uses_fuel()) instance_options.fuel = UINT64_MAX;  // until the host sets what calls may use up
  if (!request) {
    ROTOR_TRY(instance_, pre_.instantiate(instance_options));
    return {};
  }
  if (request->snapshot) {
    if (!request->saved) return fail(ErrorKind::invalid_argument, "a snapshot without the host objects saved with it");
    // Each restored guest gets a copy of its own.
    shared_->objects = ObjectTable(*static_cast<const ObjectTable*>(request->saved.get()));
  }
  ROTOR_TRY(instance_, request->instantiate(pre_, instance_options));
  return {};
}

std::shared_ptr<const ObjectTable> BindgenHost::save_objects() const {
  return std::make_shared<const ObjectTable>(shared_->objects);
}

Result<void> BindgenHost::bind() {
  if (auto memory = instance_.memory0()) memory_ = *memory;
  if (auto malloc = instance_.get_typed<uint32_t(uint32_t, uint32_t)>("__wbindgen_malloc")) {
    ROTOR_TRY(auto free, instance_.get_typed<void(uint32_t, uint32_t, uint32_t)>("__wbindgen_free"));
    abi_ = Abi::wasm_bindgen;
    malloc_ = malloc->func();
    free_ = free.func();
  } else if (auto plain = instance_.get_typed<uint32_t(uint32_t)>("malloc")) {
    ROTOR_TRY(auto free, instance_.get_typed<void(uint32_t)>("free"));
    abi_ = Abi::plain;
    malloc_ = plain->func();
    free_ = free.func();
  }
  return {};
}

Result<void> BindgenHost::start() {
  if (!module().export_type("__wbindgen_start")) return {};
  ROTOR_TRY(Func start, instance_.get_func("__wbindgen_start"));
  // Modules without threads take no stack size.
  const Value stack_bytes(kGuestStackBytes);
  ROTOR_CHECK(start.call({&stack_bytes, start.type().params.size() == 1 ? 1u : 0u}));
  return {};
}

BindgenHost::~BindgenHost() { (void)stop(); }

Result<Value> BindgenHost::call(std::string_view name, std::span<const Value> args) {
  ROTOR_TRY(Func func, instance_.get_func(name));
  auto results = func.call(args);
  if (!results) {
    if (results.error().kind == ErrorKind::trap || results.error().kind == ErrorKind::host) trapped_ = true;
    return std::unexpected(std::move(results).error());
  }
  return results->empty() ? Value() : results->front();
}

Result<void> BindgenHost::start_pool(uint32_t workers) {
  if (pool_ && pool_->size()) return fail(ErrorKind::invalid_argument, "the guest has a pool already");
  ROTOR_CHECK(stop());
  ROTOR_TRY(ExternRef url, shared_->objects.add(JsString{}));
  const Value init[] = {Value(workers), Value(url)};
  context_.pool_builder = 0;
  ROTOR_CHECK(call(options_.pool.start, init));
  const Value builder(context_.pool_builder);
  ROTOR_TRY(Value count, call("poolbuilder_numThreads", {&builder, 1}));
  ROTOR_TRY(Value receiver, call("poolbuilder_receiver", {&builder, 1}));
  if (!pool_) pool_ = std::make_unique<WorkerPool>(pre_, shared_, options_.limits);
  for (int32_t i = 0; i < count.i32(); ++i)
    ROTOR_CHECK(pool_->start(static_cast<uint32_t>(receiver.i32()), options_.pool.thread_exit));
  // The builder outlives the workers' receiving: it is never freed here.
  ROTOR_CHECK(call("poolbuilder_build", {&builder, 1}));
  return {};
}

Result<void> BindgenHost::stop() {
  if (!pool_) return {};
  const size_t workers = pool_->size(), interrupted = pool_->interrupted();
  bool as_told = true;  // each worker left because it was told to, or could not be told
  if (!workers) {
  } else if (!trapped_ && module().export_type(options_.pool.stop)) {
    auto left = call(options_.pool.stop, {});
    as_told = pool_->join(left ? options_.pool.stop_deadline_ms : 0);
    if (!left) return std::unexpected(std::move(left).error());
  } else {
    pool_->join(0);
  }
  if (as_told && !pool_->abandoned()) return {};
  return fail(ErrorKind::limit,
              fmt::format("{} of {} workers did not leave the guest and were interrupted; {} that could "
                          "not be interrupted still use its memory",
                          pool_->interrupted() - interrupted, workers, pool_->abandoned()));
}

// ---- values through the guest's allocator -------------------------------------------------------------------------

Result<uint32_t> BindgenHost::allocate(uint64_t size_bytes, uint32_t align) {
  if (size_bytes > UINT32_MAX) return fail(ErrorKind::invalid_argument, "more bytes than the guest can address");
  Slot slots[2] = {size_bytes, align};
  if (abi_ == Abi::none) return fail(ErrorKind::not_found, "the guest exports no allocator");
  ROTOR_CHECK(malloc_.call_raw(slots));
  return static_cast<uint32_t>(slots[0]);
}

Result<void> BindgenHost::release(uint32_t pointer, uint64_t size_bytes, uint32_t align) {
  Slot slots[3] = {pointer, size_bytes, align};
  if (abi_ == Abi::none) return fail(ErrorKind::not_found, "the guest exports no allocator");
  return free_.call_raw(slots);
}

Result<GuestSpan> BindgenHost::put(std::span<const uint8_t> bytes) {
  ROTOR_TRY(uint32_t pointer, allocate(bytes.size(), 1));
  ROTOR_CHECK(memory_.write(pointer, bytes));
  return GuestSpan{pointer, static_cast<uint32_t>(bytes.size())};
}

Result<GuestSpan> BindgenHost::put_u32s(std::span<const uint32_t> elements) {
  ROTOR_TRY(uint32_t pointer, allocate(elements.size_bytes(), 4));
  ROTOR_CHECK(memory_.write(pointer, {reinterpret_cast<const uint8_t*>(elements.data()), elements.size_bytes()}));
  return GuestSpan{pointer, static_cast<uint32_t>(elements.size())};
}

Result<std::vector<uint8_t>> BindgenHost::take(GuestSpan span) {
  // The range is checked before the copy is allocated: the guest may state any length.
  if (uint64_t{span.pointer} + span.count > memory_bytes())
    return fail(ErrorKind::host, "the guest returned bytes that end past its memory");
  std::vector<uint8_t> bytes(span.count);
  ROTOR_CHECK(memory_.read(span.pointer, bytes));
  ROTOR_CHECK(release(span.pointer, span.count, 1));
  return bytes;
}

Result<std::vector<uint32_t>> BindgenHost::take_u32s(GuestSpan span) {
  if (uint64_t{span.pointer} + uint64_t{span.count} * 4 > memory_bytes())
    return fail(ErrorKind::host, "the guest returned a vector that ends past its memory");
  std::vector<uint32_t> elements(span.count);
  ROTOR_CHECK(memory_.read(span.pointer, {reinterpret_cast<uint8_t*>(elements.data()), elements.size() * 4}));
  ROTOR_CHECK(release(span.pointer, uint64_t{span.count} * 4, 4));
  return elements;
}

Result<void> BindgenHost::free(GuestSpan bytes) { return release(bytes.pointer, bytes.count, 1); }

std::string BindgenHost::describe_error(uint32_t table_index) {
  if (shared_->externref_table.empty()) return "no error object";
  auto table = instance_.get_table(shared_->externref_table);
  if (!table) return "no error object";
  auto value = table->get(table_index);
  return value ? describe(value->externref()) : "no error object";
}

}  // namespace rotor::wasm_bindgen
