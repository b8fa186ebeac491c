#include "packages/node/addon/guest.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <type_traits>
#include <utility>

#include "packages/node/addon/engine.h"
#include "packages/node/addon/values.h"
#include "rotor/trap.h"

namespace rotor::node {

namespace {

namespace wb = wasm_bindgen;

/// Time since it was made, in milliseconds.
class Stopwatch {
 public:
  double ms() const { return std::chrono::duration<double, std::milli>(Clock::now() - begin_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
};

/// Returns the strings of an array.
std::vector<std::string> texts_of(napi_env env, napi_value array) {
  std::vector<std::string> texts;
  uint32_t count = 0;
  if (!array || napi_get_array_length(env, array, &count) != napi_ok) return texts;
  for (uint32_t i = 0; i < count; ++i) {
    napi_value element = nullptr;
    napi_get_element(env, array, i, &element);
    texts.push_back(text_of(env, element));
  }
  return texts;
}

/// The instances of all environments, so that one thread can end what the others run.
class Running {
 public:
  void set(const Guest& guest, const Environment& environment, InterruptHandle handle) {
    std::lock_guard lock(mutex_);
    if (!all_) all_ = new All;
    (*all_)[&guest] = {&environment, std::move(handle)};
  }
  void forget(const Guest& guest) {
    std::lock_guard lock(mutex_);
    if (all_) all_->erase(&guest);
  }
  void stop_others(const Environment& environment) {
    std::lock_guard lock(mutex_);
    if (!all_) return;
    for (const auto& [guest, entry] : *all_)
      if (entry.environment != &environment) (void)entry.handle.interrupt_best_effort();
  }

 private:
  struct Entry {
    const Environment* environment;
    InterruptHandle handle;
  };
  using All = std::unordered_map<const Guest*, Entry>;
  std::mutex mutex_;
  All* all_ = nullptr;  // never freed: threads may run until the process ends
};

constinit Running running;

}  // namespace

Guest::Guest(Environment& environment, Module module)
    : environment_(environment.shared_from_this()),
      module_(std::move(module)),
      host_functions_(std::make_shared<HostFunctions>(environment, *this)) {
  environment.references.add(*this);
}

Guest::~Guest() {
  running.forget(*this);
  environment_->references.remove(*this);
  for (Function* function : functions_) function->forget_guest();
  host_functions_->forget_guest();  // other instances may go on to call the instance's functions
  environment_->drop(tell_);
  report_bytes(0);
}

void Guest::report_bytes(int64_t bytes) {
  int64_t all = 0;
  napi_adjust_external_memory(environment_->env, bytes - reported_bytes_, &all);
  reported_bytes_ = bytes;
}

napi_value Guest::create(Environment& environment, const Module& module, napi_value values, napi_value options) {
  auto* guest = new Guest(environment, module);
  napi_value holder = Object::wrap(environment.env, std::unique_ptr<Guest>(guest));
  if (!holder) return nullptr;
  // Whoever has the instance has what it imports: also while it starts, and if that fails, for its functions may be in
  // tables of others by then.
  put(environment.env, holder, "imports", values);
  if (!guest->take_options(holder, options) || !guest->take_imports(holder, values)) return nullptr;
  guest->started_ = true;
  CallScope inside(environment);  // the start function may call JavaScript
  Result<void> made = guest->instantiate(nullptr);
  inside.end();
  environment.refresh_buffers();
  if (!made) {
    environment.raise(made.error());
    return nullptr;
  }
  constexpr int64_t kInstanceBytes = 64 << 10;
  guest->report_bytes(kInstanceBytes + static_cast<int64_t>(guest->instance_.usage().memory_bytes));
  return holder;
}

bool Guest::take_options(napi_value holder, napi_value options) {
  napi_env env = environment_->env;
  napi_valuetype type = napi_undefined;
  if (options) napi_typeof(env, options, &type);
  if (type != napi_object) return true;
  limits_.stack_bytes =
      static_cast<uint64_t>(number_property(env, options, "stackBytes", static_cast<double>(limits_.stack_bytes)));
  limits_.memory.limit_bytes = static_cast<uint64_t>(
      number_property(env, options, "limitBytes", static_cast<double>(limits_.memory.limit_bytes)));
  rotating_ = flag_property(env, options, "rotating");
  if (!rotating_) return true;
  limits_.memory.imageable = true;
  for (std::string& name : texts_of(env, property(env, options, "passing")))
    effects_[std::move(name)] = Effect::passing;
  for (std::string& name : texts_of(env, property(env, options, "methods"))) effects_[std::move(name)] = Effect::method;
  for (std::string& name : texts_of(env, property(env, options, "allocate")))
    effects_[std::move(name)] = Effect::allocate;
  for (std::string& name : texts_of(env, property(env, options, "release")))
    effects_[std::move(name)] = Effect::release;
  if (napi_value tell = property(env, options, "tell")) {
    napi_create_reference(env, tell, 0, &tell_);
    put(env, holder, "tell", tell);
  }
  return true;
}

// ---- imports ----

bool Guest::take_imports(napi_value holder, napi_value values) {
  napi_env env = environment_->env;
  uint32_t index = 0;
  for (const ImportInfo& info : module_.imports()) {
    napi_value value = nullptr;
    napi_get_element(env, values, index, &value);
    Import& import = imports_.emplace_back(info.module, info.name, info.type);
    if (!take_import(holder, import, index++, value)) {
      bool pending = false;
      napi_is_exception_pending(env, &pending);
      if (!pending)
        environment_->raise(
            Error(ErrorKind::link, "import " + info.module + "." + info.name + " must be a " + kind_name(info.type)));
      return false;
    }
  }
  return true;
}

bool Guest::take_import(napi_value holder, Import& import, uint32_t index, napi_value value) {
  napi_env env = environment_->env;
  // What functions go through may bring those of this instance to the other one, which then may call them. (That this
  // one keeps the other, what it imports sees to.)
  auto link_if = [&](bool has_functions) {
    if (has_functions) environment_->call(Helper::link, holder, value);
  };
  if (const auto* func_type = std::get_if<FuncType>(&import.type)) {
    if (const auto* function = as<Function>(env, value)) {
      import.value = function->func();
      link_if(std::ranges::any_of(func_type->params, &ValType::is_func_ref) ||
              std::ranges::any_of(func_type->results, &ValType::is_func_ref));
      return true;
    }
    napi_valuetype type = napi_undefined;
    napi_typeof(env, value, &type);
    return type == napi_function && host_functions_->take(index, value);
  }
  if (std::holds_alternative<MemoryType>(import.type)) {
    import.memory = as<MemoryObject>(env, value);
    if (!import.memory) return false;
    import.value = import.memory->memory();
    // The next generation's begins as this one began.
    if (rotating_) import.type = import.memory->memory().type();
    return true;
  }
  if (const auto* table_type = std::get_if<TableType>(&import.type)) {
    const auto* table = as<TableObject>(env, value);
    if (!table) return false;
    import.value = table->table();
    link_if(table_type->element.is_func_ref());
    return true;
  }
  if (const auto* global = as<GlobalObject>(env, value)) {
    import.value = global->global();
    link_if(global->global().type().value.is_func_ref());
    return true;
  }
  if (std::holds_alternative<TagType>(import.type)) return false;  // JavaScript has none yet
  const auto& type = std::get<GlobalType>(import.type);
  napi_valuetype kind = napi_undefined;
  napi_typeof(env, value, &kind);
  const bool fits = type.value == ValType::i64   ? kind == napi_bigint
                    : type.value.is_numeric()    ? kind == napi_number
                    : type.value.is_extern_ref() ? true
                    : type.value.is_func_ref()   ? kind == napi_null || as<Function>(env, value)
                                                 : false;
  if (type.is_mutable || !fits) return false;
  std::optional<Value> init = to_value(*environment_, type.value, value, holder);
  std::optional<Engine> engine = init ? engine_of_process(*environment_) : std::nullopt;
  if (!engine) return false;
  auto global = Global::create(*engine, type, *init);
  if (global) import.value = *global;
  return global.has_value();
}

// ---- generations ----

Result<void> Guest::instantiate(const Snapshot* snapshot) {
  const Engine& engine = *engine_of_process(*environment_);
  Linker linker(engine);
  for (uint32_t index = 0; index < imports_.size(); ++index) {
    Import& import = imports_[index];
    if (auto* memory = std::get_if<MemoryType>(&import.type); memory && snapshot) {
      MemoryLimits limits;
      limits.limit_bytes = limits_.memory.limit_bytes;
      ROTOR_TRY(Memory fresh, Memory::create(engine, *memory, limits));
      import.value = fresh;
    }
    const auto* func = std::get_if<Func>(&import.value);
    if (const auto* type = std::get_if<FuncType>(&import.type); type && func && !*func) {
      // The context of an instance holds the closure: the functions must outlive it, and the type with them.
      linker.define_func(import.module, import.name, *type,
                         [functions = host_functions_, index, type = *type](Caller& caller, Slot* slots) {
                           return functions->call(index, type, caller, slots);
                         });
    } else {
      linker.define(import.module, import.name, import.value);
    }
  }
  ROTOR_TRY(InstancePre pre, linker.instantiate_pre(module_));
  InstanceOptions options;
  options.limits = limits_;
  if (snapshot) {
    options.limits.memory.imageable = false;
    ROTOR_TRY(instance_, pre.instantiate(*snapshot, options));
  } else {
    ROTOR_TRY(instance_, pre.instantiate(options));
  }
  memory0_ = instance_.memory0().value_or(Memory()).pinned();
  running.set(*this, *environment_, instance_.interrupt_handle());
  return {};
}

Result<void> Guest::rebind() {
  for (const Import& import : imports_)
    if (import.memory) import.memory->exchange(std::get<Memory>(import.value));
  for (auto& [name, memory] : memories_) {
    ROTOR_TRY(Memory next, instance_.get_memory(name));
    memory->exchange(next);
  }
  for (auto& [name, table] : tables_) {
    ROTOR_TRY(Table next, instance_.get_table(name));
    table->exchange(next);
  }
  for (auto& [name, global] : globals_) {
    ROTOR_TRY(Global next, instance_.get_global(name));
    global->exchange(next);
  }
  // What is no export stays a function of the generation that is gone: a call of it is refused as stale.
  std::erase_if(functions_, [](Function* function) {
    if (!function->name().empty()) return false;
    function->forget_guest();
    return true;
  });
  for (Function* function : functions_) {
    ROTOR_TRY(Func next, instance_.get_func(function->name()));
    function->rebind(std::move(next));
  }
  return {};
}

napi_value Guest::exports() {
  Environment& environment = *environment_;
  napi_env env = environment.env;
  napi_value self = holder(env);
  napi_value list = property(env, self, "exports");
  if (list) return list;
  napi_create_array(env, &list);
  uint32_t count = 0;
  // Takes the object that JavaScript imported the same thing by, or that an earlier export has, or makes one, which
  // keeps the instance. `known`: those of exports; `is_same`: whether an object of its kind stands for the thing.
  auto object_of = [&](const std::string& name, auto& known, auto is_same, auto make) -> napi_value {
    using T = std::remove_pointer_t<typename std::decay_t<decltype(known)>::value_type::second_type>;
    napi_value given = property(env, self, "imports");
    for (uint32_t i = 0; i < imports_.size(); ++i) {
      napi_value value = nullptr;
      napi_get_element(env, given, i, &value);
      if (const auto* object = as<T>(env, value); object && is_same(*object)) return value;
    }
    for (auto& [export_name, object] : known)
      if (is_same(*object)) return object->holder(env);
    std::unique_ptr<T> object = make();
    known.emplace_back(name, object.get());
    napi_value value = wrap(env, std::move(object));
    if (value) environment.call(Helper::keep, value, self);
    return value;
  };
  for (const ExportInfo& info : module_.exports()) {
    if (std::holds_alternative<TagType>(info.type)) continue;
    auto item = instance_.get(info.name);
    if (!item) {
      environment.raise(item.error());
      return nullptr;
    }
    napi_value value = nullptr;
    const char* kind = kind_name(info.type);
    if (auto* func = std::get_if<Func>(&*item)) {
      kind = "function";
      value = Function::of_export(environment, *func, {self, this}, info.name);
    } else if (auto* memory = std::get_if<Memory>(&*item)) {
      value = object_of(
          info.name, memories_, [&](const MemoryObject& object) { return object.memory() == *memory; },
          [&] { return std::make_unique<MemoryObject>(environment, *memory); });
    } else if (auto* table = std::get_if<Table>(&*item)) {
      value = object_of(
          info.name, tables_, [&](const TableObject& object) { return object.table() == *table; },
          [&] { return std::make_unique<TableObject>(environment, *table, this); });
    } else if (auto* global = std::get_if<Global>(&*item)) {
      value = object_of(
          info.name, globals_, [&](const GlobalObject& object) { return object.global() == *global; },
          [&] { return std::make_unique<GlobalObject>(environment, *global, this); });
    }
    if (!value) return nullptr;
    napi_value entry = nullptr;
    napi_create_array_with_length(env, 3, &entry);
    napi_set_element(env, entry, 0, js_string(env, info.name));
    napi_set_element(env, entry, 1, js_string(env, kind));
    napi_set_element(env, entry, 2, value);
    napi_set_element(env, list, count++, entry);
  }
  put(env, self, "exports", list);
  return list;
}

// ---- calls ----

Effect Guest::effect_of(const std::string& name) const {
  auto found = effects_.find(name);
  return found == effects_.end() ? Effect::lasting : found->second;
}

void Guest::mark_stale(const std::string& by) {
  if (stale_) return;
  stale_ = true;
  stale_by_ = by;
}

bool Guest::enter(const Function& function, const Slot* slots, std::span<const ValType> params) {
  ++calls_;
  if (!rotating_) return true;
  if (trapped_ && checkpoint_) {
    environment_->raise(Error(ErrorKind::stale_handle,
                              "the guest trapped (" + trap_ + ") and is restored in a later turn of the event loop"));
    return false;
  }
  const Effect effect = function.effect();
  if (effect == Effect::lasting) mark_stale(function.name().empty() ? "a function that is no export" : function.name());
  if (effect == Effect::method && !params.empty() && held_.contains(static_cast<uint32_t>(slots[0])))
    mark_stale(function.name());
  if (unpassed_.empty() || params.empty()) return true;
  // What is allocated again is passed by its first argument; the others are sizes.
  const size_t count = effect == Effect::allocate ? 1 : params.size();
  for (size_t i = 0; i < count; ++i)
    if (params[i] == ValType::i32) unpassed_.erase(static_cast<uint32_t>(slots[i]));
  return true;
}

void Guest::failed(Error& error) {
  if (!rotating_ || error.kind != ErrorKind::trap) return;
  if (std::string failure = worker_failure_->take(); !failure.empty())
    error.message += ", since a worker of the guest's pool failed: " + failure;
  trapped_ = true;
  trap_ = error.message;
}

void Guest::left(const Function& function, bool returned, Slot result) {
  if (!rotating_) return;
  if (returned && function.effect() == Effect::allocate) unpassed_.insert(static_cast<uint32_t>(result));
  if (memory0_.size_bytes() >= notify_at_) {
    notify_at_ = UINT64_MAX;
    tell("memory");
  }
  if (stale_ && !told_stale_) {
    told_stale_ = true;
    tell("stale");
  }
  if (trapped_ && !returned) tell("trap");
}

void Guest::tell(const char* what) {
  if (!tell_) return;
  napi_env env = environment_->env;
  Scope scope(env);
  napi_value function = nullptr;
  napi_value argument = js_string(env, what);
  napi_value ignored = nullptr;
  napi_get_reference_value(env, tell_, &function);
  // The call that was left may have failed by an exception, which is still on its way.
  napi_ref under_way = environment_->exchange_exception(nullptr);
  if (napi_call_function(env, js_undefined(env), function, 1, &argument, &ignored) != napi_ok)
    napi_get_and_clear_last_exception(env, &ignored);  // the call that was left is not to blame
  environment_->drop(environment_->exchange_exception(under_way));
}

// ---- the pool ----

Result<void> Guest::prepare_pool() {
  if (pool_) return {};
  shared_ = std::make_shared<wb::GuestShared>();
  shared_->random = wb::SharedRandom::of_system();
  for (const ExportInfo& info : module_.exports())
    if (const auto* table = std::get_if<TableType>(&info.type); table && table->element.is_extern_ref())
      shared_->externref_table = info.name;
  // What the guest says by console.error.
  shared_->on_guest_error = [](std::string_view text) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  };
  // Whoever waits for the worker would wait for ever.
  shared_->on_worker_error = [handle = instance_.interrupt_handle(), failure = worker_failure_](const Error& error) {
    failure->set(error.message);
    (void)handle.interrupt_best_effort();
  };
  Linker linker(*engine_of_process(*environment_));
  wb::define_imports(linker, module_);
  for (const Import& import : imports_)
    if (import.memory) linker.define(import.module, import.name, import.value);
  ROTOR_TRY(InstancePre pre, linker.instantiate_pre(module_));
  pool_ = std::make_unique<wb::WorkerPool>(std::move(pre), shared_, Limits());
  return {};
}

bool Guest::start_worker(uint32_t receiver) {
  Result<void> started = prepare_pool();
  if (started) started = pool_->start(receiver);
  if (!started) environment_->raise(started.error());
  return started.has_value();
}

bool Guest::join_workers(uint64_t deadline_ms) {
  if (!pool_) return true;
  const bool all = pool_->join(deadline_ms);
  pool_.reset();
  return all;
}

// ---- rotation ----

napi_value Guest::checkpoint(std::span<const uint32_t> pointers) {
  napi_env env = environment_->env;
  Stopwatch time;
  auto snapshot = instance_.snapshot(SnapshotCopy::changes);
  if (!snapshot) {
    environment_->raise(snapshot.error());
    return nullptr;
  }
  checkpoint_ = std::move(*snapshot);
  checkpoint_references_.clear();
  (void)instance_.each_extern_ref([&](ExternRef reference) { checkpoint_references_.push_back(reference); });
  held_.clear();
  held_.insert(pointers.begin(), pointers.end());
  stale_ = false;
  told_stale_ = false;
  napi_value figures = nullptr;
  napi_create_object(env, &figures);
  put(env, figures, "ms", js_number(env, time.ms()));
  put(env, figures, "bytes", js_number(env, static_cast<double>(checkpoint_->memory_bytes())));
  put(env, figures, "resident", js_number(env, static_cast<double>(checkpoint_->resident_bytes())));
  return figures;
}

napi_value Guest::rewind() {
  napi_env env = environment_->env;
  Stopwatch time;
  std::vector<Extern> before;
  for (const Import& import : imports_) before.push_back(import.value);
  Instance old = std::move(instance_);
  Result<void> made = instantiate(&*checkpoint_);
  if (made) made = rebind();
  if (!made) {
    // The guest goes on as it is.
    for (size_t i = 0; i < imports_.size(); ++i) imports_[i].value = std::move(before[i]);
    instance_ = std::move(old);
    memory0_ = instance_.memory0().value_or(Memory()).pinned();
    (void)rebind();
    environment_->raise(made.error());
    return nullptr;
  }
  ++generation_;
  trapped_ = false;
  stale_ = false;
  told_stale_ = false;
  unpassed_.clear();
  before.clear();
  old = Instance();
  return js_number(env, time.ms());
}

bool Guest::mark_references(const std::function<void(ExternRef)>& mark) const {
  if (!started_) return true;
  for (ExternRef reference : checkpoint_references_) mark(reference);
  return instance_.each_extern_ref(mark).has_value();
}

napi_value Guest::state() const {
  napi_env env = environment_->env;
  napi_value state = nullptr;
  napi_create_object(env, &state);
  auto number = [&](const char* name, double value) { put(env, state, name, js_number(env, value)); };
  auto flag = [&](const char* name, bool value) {
    napi_value made = nullptr;
    napi_get_boolean(env, value, &made);
    put(env, state, name, made);
  };
  number("generation", static_cast<double>(generation_));
  number("calls", static_cast<double>(calls_));
  number("bytes", static_cast<double>(memory0_.size_bytes()));
  number("unpassed", static_cast<double>(unpassed_.size()));
  number("workers", pool_ ? static_cast<double>(pool_->size()) : 0);
  number("references", static_cast<double>(environment_->references.size()));
  number("checkpointBytes", checkpoint_ ? static_cast<double>(checkpoint_->memory_bytes()) : 0);
  number("checkpointResident", checkpoint_ ? static_cast<double>(checkpoint_->resident_bytes()) : 0);
  flag("hasCheckpoint", checkpoint_.has_value());
  flag("stale", stale_);
  flag("trapped", trapped_);
  put(env, state, "staleBy", js_string(env, stale_ ? stale_by_ : ""));
  return state;
}

// ---- the addon's functions ----

namespace {

napi_value instantiate(napi_env env, napi_callback_info info) {
  Arguments<3> in(env, info);
  auto* module = in.get<ModuleObject>(0);
  return module ? Guest::create(Environment::of(env), module->module(), in[1], in[2]) : nullptr;
}

napi_value exports_of(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  auto* guest = in.get<Guest>(0);
  return guest ? guest->exports() : nullptr;
}

/// Returns the guest that is an argument; nullptr, with a JavaScript exception pending, if it is none, or a guest runs.
template <size_t kCount>
Guest* idle_guest(const Arguments<kCount>& in) {
  auto* guest = in.template get<Guest>(0);
  if (!guest || Environment::of(in.env).depth == 0) return guest;
  napi_throw_error(in.env, "ROTOR_INVALID_ARGUMENT", "rotor: a guest of this thread is in a call");
  return nullptr;
}

napi_value checkpoint(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  Guest* guest = idle_guest(in);
  if (!guest) return nullptr;
  napi_typedarray_type type = napi_uint32_array;
  size_t count = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  size_t offset = 0;
  if (napi_get_typedarray_info(env, in[1], &type, &count, &data, &buffer, &offset) != napi_ok ||
      type != napi_uint32_array) {
    napi_throw_type_error(env, "ROTOR_ARGUMENT", "rotor: the pointers of a checkpoint are a Uint32Array");
    return nullptr;
  }
  return guest->checkpoint({static_cast<const uint32_t*>(data), count});
}

napi_value rewind(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  Guest* guest = idle_guest(in);
  return guest ? guest->rewind() : nullptr;
}

napi_value release(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  auto* guest = in.get<Guest>(0);
  double pointer = 0;
  if (!guest || napi_get_value_double(env, in[1], &pointer) != napi_ok) return nullptr;
  guest->release(static_cast<uint32_t>(pointer));
  return nullptr;
}

napi_value start_worker(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  auto* guest = in.get<Guest>(0);
  double receiver = 0;
  if (!guest || napi_get_value_double(env, in[1], &receiver) != napi_ok) return nullptr;
  guest->start_worker(static_cast<uint32_t>(static_cast<int64_t>(receiver)));
  return nullptr;
}

napi_value join_workers(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  auto* guest = in.get<Guest>(0);
  double deadline_ms = 0;
  if (!guest || napi_get_value_double(env, in[1], &deadline_ms) != napi_ok) return nullptr;
  napi_value all = nullptr;
  napi_get_boolean(env, guest->join_workers(static_cast<uint64_t>(deadline_ms)), &all);
  return all;
}

napi_value notify_at(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  auto* guest = in.get<Guest>(0);
  double bytes = 0;
  if (!guest || napi_get_value_double(env, in[1], &bytes) != napi_ok) return nullptr;
  guest->notify_at(static_cast<uint64_t>(bytes));
  return nullptr;
}

napi_value state_of(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  auto* guest = in.get<Guest>(0);
  return guest ? guest->state() : nullptr;
}

napi_value stop_others(napi_env env, napi_callback_info) {
  running.stop_others(Environment::of(env));
  return nullptr;
}

napi_value sweep(napi_env env, napi_callback_info) {
  Environment& environment = Environment::of(env);
  if (environment.depth == 0) environment.references.sweep();
  return js_number(env, static_cast<double>(environment.references.size()));
}

}  // namespace

void define_guests(napi_env env, napi_value exports) {
  define(env, exports,
         {{"instantiate", instantiate},
          {"exportsOf", exports_of},
          {"checkpoint", checkpoint},
          {"rewind", rewind},
          {"release", release},
          {"startWorker", start_worker},
          {"joinWorkers", join_workers},
          {"notifyAt", notify_at},
          {"stateOf", state_of},
          {"stopOthers", stop_others},
          {"sweepReferences", sweep}});
}

}  // namespace rotor::node
