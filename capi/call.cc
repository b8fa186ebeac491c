#include "capi/call.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "capi/types.h"
#include "rotor/guard.h"

namespace rotor::capi {
namespace {

/// Values and slots of a call that has no more of them lie on the stack.
constexpr size_t kFew = 8;

/// An array of zero elements, on the stack if there are few.
template <class T>
class Few {
 public:
  explicit Few(size_t size) : many_(size > kFew ? std::make_unique<T[]>(size) : nullptr), size_(size) {}
  T* data() { return many_ ? many_.get() : few_; }
  std::span<T> all() { return {data(), size_}; }

 private:
  T few_[kFew] = {};
  std::unique_ptr<T[]> many_;
  size_t size_;
};

std::string text_of(const wasm_val_t& value) {
  auto type = type_of_kind(value.kind);
  return type ? to_string(*type) : "a value of kind " + std::to_string(value.kind);
}

std::unexpected<Error> mismatch(const std::string& found, ValType wanted) {
  return fail(ErrorKind::type_mismatch, found + " for " + to_string(wanted));
}

/// Writes a value to the slots that it takes, and returns their number.
size_t store_slots(Slot* slots, const Value& value) {
  slots[0] = value.bits();
  if (value.type() != ValType::v128) return 1;
  detail::store_slots(slots, value.v128());
  return 2;
}

/// Returns the value that begins at a slot, and goes on to the next one.
Value take_value(const Slot*& slots, ValType type) {
  if (type == ValType::v128) return Value(detail::load_slots<V128>(std::exchange(slots, slots + 2)));
  return Caller(nullptr).value_from_slot(type, *slots++);
}

std::string at(std::string_view what, size_t index) { return std::string(what) + " " + std::to_string(index) + ": "; }

Result<void> run(Callback& callback, Caller& caller, Slot* slots) {
  const FuncType& type = callback.type;
  wasm_store_t* store = callback.store ? callback.store : static_cast<wasm_store_t*>(caller.host_data());
  Few<wasm_val_t> args(type.params.size()), results(type.results.size());
  const Slot* next = slots;
  for (size_t i = 0; i < type.params.size(); ++i) args.data()[i] = to_c(store, take_value(next, type.params[i]));
  for (size_t i = 0; i < type.results.size(); ++i) results.data()[i] = zero_of(type.results[i]);
  const wasm_val_vec_t arg_vec{type.params.size(), args.data()};
  wasm_val_vec_t result_vec{type.results.size(), results.data()};
  auto trap = detail::guarded("a host function", [&]() -> wasm_trap_t* {
    if (callback.plain) return callback.plain(&arg_vec, &result_vec);
    if (callback.with_env) return callback.with_env(callback.env, &arg_vec, &result_vec);
    rotor_caller_t handle{&caller, store};
    return callback.with_caller(callback.env, &handle, &arg_vec, &result_vec);
  });
  Result<void> outcome;
  if (!trap)
    outcome = std::unexpected(std::move(trap).error());
  else if (*trap)
    outcome = std::unexpected(error_of(store, *trap));
  for (size_t i = 0; i < type.results.size(); ++i) {
    wasm_val_t& result = results.data()[i];
    if (outcome) {
      if (auto value = from_c(store, result, type.results[i]))
        slots += store_slots(slots, *value);
      else
        outcome = fail(value.error().kind, at("a host function's result", i) + value.error().message);
    }
    wasm_val_delete(&result);
  }
  for (wasm_val_t& arg : args.all()) wasm_val_delete(&arg);
  return outcome;
}

V128 v128_from_c(const wasm_val_t& value) {
  rotor_v128_t bytes{};
  rotor_val_v128(&value, &bytes);
  return std::bit_cast<V128>(bytes);
}
wasm_val_t v128_to_c(const V128& vector) {
  const auto bytes = std::bit_cast<rotor_v128_t>(vector);
  wasm_val_t made;
  rotor_val_new_v128(&made, &bytes);
  return made;
}

/// Returns the byte of a value type that names no other type; 0 if it has none.
uint8_t byte_of(ValType type) {
  if (type == ValType::i32) return 0x7f;
  if (type == ValType::i64) return 0x7e;
  if (type == ValType::f32) return 0x7d;
  if (type == ValType::f64) return 0x7c;
  if (type == ValType::v128) return 0x7b;
  if (type == ValType::funcref) return 0x70;
  return type == ValType::externref ? 0x6f : 0;
}

void append_leb(std::string& bytes, size_t value) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
}

void append_section(std::string& bytes, char id, const std::string& contents) {
  bytes.push_back(id);
  append_leb(bytes, contents.size());
  bytes += contents;
}

/// Returns a module that exports the function it imports: (import "" "" (func …)) (export "" (func 0)).
Result<std::string> reexporting_module(const FuncType& type) {
  std::string types("\1\x60", 2);
  for (const std::vector<ValType>* list : {&type.params, &type.results}) {
    append_leb(types, list->size());
    for (ValType value : *list) {
      if (!byte_of(value))
        return fail(ErrorKind::unsupported, "a host function of type " + to_string(type) + ", which is not only of " +
                                                "numbers, vectors, funcref and externref");
      types.push_back(static_cast<char>(byte_of(value)));
    }
  }
  std::string bytes("\0asm\1\0\0\0", 8);
  append_section(bytes, 1, types);
  append_section(bytes, 2, std::string("\1\0\0\0\0", 5));
  append_section(bytes, 7, std::string("\1\0\0\0", 4));
  return bytes;
}

}  // namespace

wasm_val_t zero_of(ValType type) { return {kind_of(type), {.i64 = 0}}; }

rotor_v128_t* vector_of(const wasm_val_t& value) { return reinterpret_cast<rotor_v128_t*>(value.of.ref); }

Result<Value> ref_from_c(wasm_store_t* store, wasm_ref_t* ref, ValType type) {
  if (!ref) return type.nullable() ? Result<Value>(Value::null(type)) : mismatch("a null reference", type);
  if (!store || ref->store != store)
    return fail(ErrorKind::invalid_argument,
                store ? "a reference of another store" : "a reference, where there is no store (docs/c-api.md)");
  if (type.is_extern_ref()) return Value(ExternRef{store->extern_id(*ref)});
  auto* func = ref->as<FuncPart>();
  if (!type.is_func_ref() || !func) return mismatch("a reference to something else", type);
  ref->may_be_called = true;
  return Value(func->func);
}

Result<Value> from_c(wasm_store_t* store, const wasm_val_t& value, ValType type) {
  const bool is_ref = wasm_valkind_is_ref(value.kind);
  if (type.is_ref() && is_ref) return ref_from_c(store, value.of.ref, type);
  if (type.is_ref() || is_ref || kind_of(type) != value.kind) return mismatch(text_of(value), type);
  switch (type.kind()) {
    case ValType::Kind::i32: return Value(value.of.i32);
    case ValType::Kind::i64: return Value(value.of.i64);
    case ValType::Kind::f32: return Value::from_bits(type, static_cast<uint32_t>(value.of.i32));
    case ValType::Kind::f64: return Value::from_bits(type, static_cast<uint64_t>(value.of.i64));
    default: return Value(v128_from_c(value));
  }
}

wasm_ref_t* ref_to_c(wasm_store_t* store, const Value& value) {
  if (!store || value.is_null()) return nullptr;
  if (value.type().is_extern_ref()) return store->own_extern(value.externref().bits);
  return value.type().is_func_ref() ? store->own(value.func()) : nullptr;
}

wasm_val_t to_c(wasm_store_t* store, const Value& value) {
  wasm_val_t made = zero_of(value.type());
  if (value.type() == ValType::v128) return v128_to_c(value.v128());
  if (value.type().is_ref())
    made.of.ref = ref_to_c(store, value);
  else
    made.of.i64 = static_cast<int64_t>(value.bits());  // of an i32 and f32 these are the low half
  return made;
}

Result<void> call(wasm_store_t* store, const Func& func, const FuncType& type, const wasm_val_vec_t* args,
                  wasm_val_vec_t* results) {
  const size_t given = args && args->data ? args->size : 0;
  if (given != type.params.size())
    return fail(ErrorKind::type_mismatch,
                std::to_string(given) + " arguments for a function of type " + to_string(type));
  Few<Slot> slots(std::max(slot_count(type.params), slot_count(type.results)));
  Slot* next = slots.data();
  for (size_t i = 0; i < given; ++i) {
    auto value = from_c(store, args->data[i], type.params[i]);
    if (!value) return fail(value.error().kind, at("argument", i) + value.error().message);
    next += store_slots(next, *value);
  }
  ROTOR_CHECK(func.call_raw(slots.data()));
  const Slot* result = slots.data();
  for (size_t i = 0; results && results->data && i < std::min(results->size, type.results.size()); ++i)
    results->data[i] = to_c(store, take_value(result, type.results[i]));
  return {};
}

Result<void> call_with_values(wasm_store_t* store, const wasm_val_vec_t* args, wasm_val_vec_t* results,
                              const std::function<Result<std::vector<Value>>(std::span<const Value>)>& call) {
  std::vector<Value> values;
  for (size_t i = 0; args && args->data && i < args->size; ++i) {
    auto type = type_of_kind(args->data[i].kind);
    if (!type) return mismatch(at("argument", i) + text_of(args->data[i]), ValType::i32);
    ROTOR_TRY(Value value, from_c(store, args->data[i], *type));
    values.push_back(value);
  }
  ROTOR_TRY(std::vector<Value> returned, call(values));
  for (size_t i = 0; results && results->data && i < std::min(results->size, returned.size()); ++i)
    results->data[i] = to_c(store, returned[i]);
  return {};
}

Callback::~Callback() {
  if (finalizer) finalizer(env);
  if (store) store->drop_user();
}

HostFunction host_function(std::shared_ptr<Callback> callback) {
  return [callback = std::move(callback)](Caller& caller, Slot* slots) { return run(*callback, caller, slots); };
}

Error error_of(wasm_store_t* store, wasm_trap_t* trap) {
  wasm_ref_t* ref = ref_of(trap);
  auto* part = ref->as<TrapPart>();
  Error error = part ? part->error : Error(ErrorKind::host, "a host function returned what is no trap");
  if (part && store && ref->store == store)
    release(std::exchange(store->pending_trap, ref));
  else
    release(ref);
  return error;
}

Result<FuncPart> make_func(wasm_store_t& store, const FuncType& type, HostFunction function) {
  ROTOR_TRY(std::string bytes, reexporting_module(type));
  auto known = store.host_modules.find(bytes);
  if (known == store.host_modules.end()) {
    ROTOR_TRY(Module module,
              Module::compile(store.engine, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
    known = store.host_modules.emplace(std::move(bytes), std::move(module)).first;
  }
  Linker linker(store.engine);
  linker.define_func("", "", type, std::move(function));
  FuncPart part;
  ROTOR_TRY(part.own, linker.instantiate(known->second));
  ROTOR_TRY(part.func, part.own.get_func(""));
  part.type = type;
  return part;
}

}  // namespace rotor::capi
