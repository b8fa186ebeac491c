#include "packages/node/addon/table.h"

#include <optional>
#include <utility>

#include "packages/node/addon/engine.h"
#include "packages/node/addon/memory.h"
#include "packages/node/addon/values.h"

namespace rotor::node {

TableObject::TableObject(Environment& environment, Table table, FunctionOwner* guest)
    : environment_(environment.shared_from_this()), table_(std::move(table)), guest_(guest) {
  if (!guest) environment_->references.add(*this);
}

TableObject::~TableObject() { environment_->references.remove(*this); }

bool TableObject::mark_references(const std::function<void(ExternRef)>& mark) const {
  if (!table_.type().element.is_extern_ref()) return true;
  for (uint64_t i = 0, size = table_.size(); i < size; ++i)
    if (auto value = table_.get(i); value && !value->is_null()) mark(value->externref());
  return true;
}

GlobalObject::GlobalObject(Environment& environment, Global global, FunctionOwner* guest)
    : environment_(environment.shared_from_this()), global_(std::move(global)), guest_(guest) {
  if (!guest) environment_->references.add(*this);
}

GlobalObject::~GlobalObject() { environment_->references.remove(*this); }

bool GlobalObject::mark_references(const std::function<void(ExternRef)>& mark) const {
  if (!global_.type().value.is_extern_ref()) return true;
  if (auto value = global_.get(); value && !value->is_null()) mark(value->externref());
  return true;
}

namespace {

/// Returns the value type of its name in the JS API; nullopt, with a JavaScript exception pending, if it is none.
std::optional<ValType> type_of_name(Environment& environment, napi_value name) {
  const std::string text = text_of(environment.env, name);
  if (text == "i32") return ValType::i32;
  if (text == "i64") return ValType::i64;
  if (text == "f32") return ValType::f32;
  if (text == "f64") return ValType::f64;
  if (text == "v128") return ValType::v128;
  if (text == "anyfunc" || text == "funcref") return ValType::funcref;
  if (text == "externref") return ValType::externref;
  environment.raise_type_error("no value type is named '" + text + "'");
  return std::nullopt;
}

SizeLimits limits_of(napi_env env, napi_value description) {
  SizeLimits limits;
  limits.min = static_cast<uint64_t>(number_property(env, description, "initial", 0));
  if (double maximum = number_property(env, description, "maximum", -1); maximum >= 0)
    limits.max = static_cast<uint64_t>(maximum);
  return limits;
}

/// Throws an error of growing as the JS API has it.
void raise_range_error(napi_env env, const Error& error) {
  napi_throw_range_error(env, nullptr, error.to_string().c_str());
}

napi_value create_memory(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  Environment& environment = Environment::of(env);
  MemoryType type;
  type.limits = limits_of(env, in[0]);
  type.shared = flag_property(env, in[0], "shared");
  MemoryLimits limits;
  limits.limit_bytes =
      static_cast<uint64_t>(number_property(env, in[0], "limitBytes", static_cast<double>(MemoryLimits().limit_bytes)));
  limits.imageable = flag_property(env, in[0], "imageable");
  std::optional<Engine> engine = engine_of_process(environment);
  if (!engine) return nullptr;
  auto memory = Memory::create(*engine, type, std::move(limits));
  if (!memory) {
    raise_range_error(env, memory.error());
    return nullptr;
  }
  return Object::wrap(env, std::make_unique<MemoryObject>(environment, std::move(*memory)));
}

napi_value memory_buffer(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  auto* memory = in.get<MemoryObject>(0);
  return memory ? memory->buffer() : nullptr;
}

napi_value memory_grow(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  auto* memory = in.get<MemoryObject>(0);
  double delta = 0;
  if (!memory || napi_get_value_double(env, in[1], &delta) != napi_ok) return nullptr;
  auto old_pages = memory->memory().grow(static_cast<uint64_t>(delta));
  if (!old_pages) {
    raise_range_error(env, old_pages.error());
    return nullptr;
  }
  // Growing by nothing also makes a new buffer, says the JS API; of a shared memory the old one stays.
  if (delta == 0 && !memory->memory().type().shared) memory->detach();
  Environment::of(env).refresh_buffers();
  return js_number(env, static_cast<double>(*old_pages));
}

/// Has what was just made and its initial value, if that is a function, keep each other alive. Returns the former.
napi_value keeping(Environment& environment, napi_value made, napi_value init) {
  if (made && as<Function>(environment.env, init)) environment.call(Helper::link, made, init);
  return made;
}

napi_value create_table(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  Environment& environment = Environment::of(env);
  std::optional<ValType> element = type_of_name(environment, property(env, in[0], "element"));
  if (!element) return nullptr;
  TableType type;
  type.element = *element;
  type.limits = limits_of(env, in[0]);
  std::optional<Value> init = to_value(environment, *element, in[1], nullptr);
  std::optional<Engine> engine = init ? engine_of_process(environment) : std::nullopt;
  if (!engine) return nullptr;
  auto table = Table::create(*engine, type, *init);
  if (!table) {
    raise_range_error(env, table.error());
    return nullptr;
  }
  return keeping(environment, Object::wrap(env, std::make_unique<TableObject>(environment, std::move(*table), nullptr)),
                 in[1]);
}

napi_value table_length(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  auto* table = in.get<TableObject>(0);
  return table ? js_number(env, static_cast<double>(table->table().size())) : nullptr;
}

napi_value table_get(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  auto* table = in.get<TableObject>(0);
  double index = 0;
  if (!table || napi_get_value_double(env, in[1], &index) != napi_ok) return nullptr;
  auto value = table->table().get(static_cast<uint64_t>(index));
  if (!value) {
    raise_range_error(env, value.error());
    return nullptr;
  }
  return from_value(Environment::of(env), *value, {in[0], table->guest()});
}

napi_value table_set(napi_env env, napi_callback_info info) {
  Arguments<3> in(env, info);
  auto* table = in.get<TableObject>(0);
  double index = 0;
  if (!table || napi_get_value_double(env, in[1], &index) != napi_ok) return nullptr;
  std::optional<Value> value = to_value(Environment::of(env), table->table().type().element, in[2], in[0]);
  if (!value) return nullptr;
  if (auto set = table->table().set(static_cast<uint64_t>(index), *value); !set) raise_range_error(env, set.error());
  return nullptr;
}

napi_value table_grow(napi_env env, napi_callback_info info) {
  Arguments<3> in(env, info);
  auto* table = in.get<TableObject>(0);
  double delta = 0;
  if (!table || napi_get_value_double(env, in[1], &delta) != napi_ok) return nullptr;
  std::optional<Value> value = to_value(Environment::of(env), table->table().type().element, in[2], in[0]);
  if (!value) return nullptr;
  auto old_size = table->table().grow(static_cast<uint64_t>(delta), *value);
  if (!old_size) {
    raise_range_error(env, old_size.error());
    return nullptr;
  }
  return js_number(env, static_cast<double>(*old_size));
}

/// Returns "funcref" or "externref".
napi_value table_element(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  auto* table = in.get<TableObject>(0);
  if (!table) return nullptr;
  return js_string(env, table->table().type().element.is_func_ref() ? "funcref" : "externref");
}

napi_value create_global(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  Environment& environment = Environment::of(env);
  std::optional<ValType> value_type = type_of_name(environment, property(env, in[0], "value"));
  if (!value_type) return nullptr;
  GlobalType type;
  type.value = *value_type;
  type.is_mutable = flag_property(env, in[0], "mutable");
  std::optional<Value> init;
  if (*value_type == ValType::v128 && property(env, in[0], "zero"))
    init = Value(V128());
  else
    init = to_value(environment, *value_type, in[1], nullptr);
  std::optional<Engine> engine = init ? engine_of_process(environment) : std::nullopt;
  if (!engine) return nullptr;
  auto global = Global::create(*engine, type, *init);
  if (!global) {
    environment.raise(global.error());
    return nullptr;
  }
  return keeping(environment,
                 Object::wrap(env, std::make_unique<GlobalObject>(environment, std::move(*global), nullptr)), in[1]);
}

napi_value global_get(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  Environment& environment = Environment::of(env);
  auto* global = in.get<GlobalObject>(0);
  if (!global) return nullptr;
  auto value = global->global().get();
  if (!value) {
    environment.raise(value.error());
    return nullptr;
  }
  return from_value(environment, *value, {in[0], global->guest()});
}

napi_value global_set(napi_env env, napi_callback_info info) {
  Arguments<2> in(env, info);
  Environment& environment = Environment::of(env);
  auto* global = in.get<GlobalObject>(0);
  if (!global) return nullptr;
  const GlobalType type = global->global().type();
  if (!type.is_mutable) {
    environment.raise_type_error("the global is immutable");
    return nullptr;
  }
  std::optional<Value> value = to_value(environment, type.value, in[1], in[0]);
  if (!value) return nullptr;
  if (auto set = global->global().set(*value); !set) environment.raise(set.error());
  return nullptr;
}

}  // namespace

void define_stores(napi_env env, napi_value exports) {
  define(env, exports,
         {{"createMemory", create_memory},
          {"memoryBuffer", memory_buffer},
          {"memoryGrow", memory_grow},
          {"createTable", create_table},
          {"tableLength", table_length},
          {"tableElement", table_element},
          {"tableGet", table_get},
          {"tableSet", table_set},
          {"tableGrow", table_grow},
          {"createGlobal", create_global},
          {"globalGet", global_get},
          {"globalSet", global_set}});
}

}  // namespace rotor::node
