// Fuzzes the C API with sequences of calls that the input decides: objects of two stores are made, mixed up, called and
// deleted in any order. Beside what the sanitizers find: a finalizer runs exactly once, and nothing of one store gets
// into the other.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "rotor.h"

namespace {

#define REQUIRE(condition)                                                         \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      __builtin_trap();                                                            \
    }                                                                              \
  } while (0)

constexpr const char* kTexts[] = {
    "(module)",
    "(global (export \"g\") (mut externref) (ref.null extern)) (global (export \"h\") (mut i64) (i64.const 1))"
    "(table (export \"t\") 2 8 externref) (table (export \"f\") 2 8 funcref) (memory (export \"m\") 1 3)"
    "(func (export \"id\") (param externref) (result externref) (local.get 0))"
    "(func (export \"fid\") (param funcref) (result funcref) (local.get 0))"
    "(func (export \"add\") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))"
    "(func (export \"u\") (unreachable))"
    "(func (export \"v\") (param v128) (result v128) (local.get 0))",
    "(import \"\" \"f\" (func $f (param i32) (result i32))) (import \"\" \"f\" (func $g (param externref) (result "
    "externref)))"
    "(func (export \"f\") (param i32) (result i32) (call $f (local.get 0)))"
    "(func (export \"g\") (param externref) (result externref) (call $g (local.get 0))) (export \"h\" (func $f))",
    "(import \"\" \"m\" (memory 1)) (import \"\" \"t\" (table $t 1 funcref)) (import \"\" \"g\" (global $g (mut "
    "externref)))"
    "(func (export \"call\") (param i32) (call_indirect $t (local.get 0)))"
    "(func (export \"get\") (result externref) (global.get $g)) (export \"t\" (table $t)) (export \"g\" (global $g))"
    "(func (export \"load\") (param i32) (result i32) (i32.load (local.get 0)))",
    "(import \"\" \"f\" (func $f)) (start $f) (table (export \"t\") 1 funcref) (elem (i32.const 0) $f)",
};
constexpr size_t kMostObjects = 48, kMostCalls = 400;

/// What the finalizers count: each place is 1 once it ran. Places stay where they are.
std::deque<int> g_finalized;
void finalize(void* place) { ++*static_cast<int*>(place); }
void* new_place() { return &g_finalized.emplace_back(0); }

struct Shared {
  wasm_engine_t* engine = wasm_engine_new();
  std::vector<wasm_shared_module_t*> modules;
  Shared() {
    for (const char* text : kTexts) {
      wasm_byte_vec_t bytes;
      REQUIRE(!rotor_wat2wasm(text, std::strlen(text), &bytes));
      modules.push_back(rotor_module_new(engine, &bytes, nullptr));
      REQUIRE(modules.back());
      wasm_byte_vec_delete(&bytes);
    }
  }
  Shared(const Shared&) = delete;
  ~Shared() {
    for (wasm_shared_module_t* module : modules) wasm_shared_module_delete(module);
    wasm_engine_delete(engine);
  }
};

class Run {
 public:
  Run(const Shared& shared, const uint8_t* data, size_t size) : shared_(shared), data_(data), end_(data + size) {
    for (auto& store : stores_) store = wasm_store_new(shared.engine);
  }
  Run(const Run&) = delete;
  ~Run() {
    // Stores and objects in an order that the input decides.
    if (byte() & 1) delete_stores();
    for (wasm_ref_t* ref : refs_) wasm_ref_delete(ref);
    for (wasm_trap_t* trap : traps_) wasm_trap_delete(trap);
    delete_stores();
  }

  void go() {
    while (data_ != end_ && ++calls_ < kMostCalls) step();
  }

 private:
  uint8_t byte() { return data_ == end_ ? 0 : *data_++; }
  size_t below(size_t count) { return count ? byte() % count : 0; }
  wasm_store_t* store() { return stores_[byte() & 1]; }
  void delete_stores() {
    for (auto& store : stores_) wasm_store_delete(std::exchange(store, nullptr));
  }
  /// An object that there is; sometimes null.
  wasm_ref_t* ref() { return refs_.empty() || byte() == 0 ? nullptr : refs_[below(refs_.size())]; }
  wasm_extern_t* external() { return wasm_ref_as_extern(ref()); }

  void keep(wasm_ref_t* made) {
    if (!made) return;
    if (refs_.size() < kMostObjects) return refs_.push_back(made);
    wasm_ref_delete(std::exchange(refs_[below(refs_.size())], made));
  }
  void keep_trap(wasm_trap_t* trap) {
    if (!trap) return;
    check(trap);
    if (traps_.size() < 8) return traps_.push_back(trap);
    wasm_trap_delete(std::exchange(traps_[below(traps_.size())], trap));
  }
  void check(const wasm_trap_t* trap) {
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    REQUIRE(message.size && message.data[message.size - 1] == 0);
    wasm_byte_vec_delete(&message);
    wasm_frame_vec_t frames;
    wasm_trap_trace(trap, &frames);
    for (size_t i = 0; i < frames.size; ++i) (void)wasm_frame_instance(frames.data[i]);
    wasm_frame_vec_delete(&frames);
    wasm_tag_t* tag = rotor_trap_exception_tag(trap);
    wasm_val_vec_t carried;
    REQUIRE(rotor_trap_exception_values(trap, &carried) == (tag != nullptr));
    wasm_val_vec_delete(&carried);
    wasm_tag_delete(tag);
  }

  /// A value that the caller owns.
  wasm_val_t value() {
    wasm_val_t made;
    std::memset(&made, byte(), sizeof made);
    made.kind = std::array<wasm_valkind_t, 8>{WASM_I32,       WASM_I64,     WASM_F32,       WASM_F64,
                                              WASM_EXTERNREF, WASM_FUNCREF, WASM_EXTERNREF, ROTOR_V128}[byte() & 7];
    if (byte() < 8) made.kind = 77;
    if (wasm_valkind_is_ref(made.kind)) made.of.ref = wasm_ref_copy(ref());
    if (made.kind == ROTOR_V128) vector(made);
    return made;
  }
  /// Makes a value a vector.
  void vector(wasm_val_t& made) {
    rotor_v128_t bytes;
    std::memset(&bytes, byte(), sizeof bytes);
    rotor_val_new_v128(&made, byte() & 1 ? &bytes : nullptr);
  }
  wasm_val_t value_of(wasm_valkind_t kind) {
    wasm_val_t made = value();
    if (byte() < 16) return made;
    const bool is_vector = kind == ROTOR_V128 || made.kind == ROTOR_V128;
    if (wasm_valkind_is_ref(kind) != wasm_valkind_is_ref(made.kind) || is_vector) {
      wasm_val_delete(&made);
      made.of.i64 = 0;
      if (wasm_valkind_is_ref(kind)) made.of.ref = wasm_ref_copy(ref());
      if (kind == ROTOR_V128) vector(made);
    }
    made.kind = kind;
    return made;
  }
  wasm_valtype_t* valtype() {
    constexpr wasm_valkind_t kKinds[] = {WASM_I32,       WASM_I64,     WASM_F32,  WASM_F64,
                                         WASM_EXTERNREF, WASM_FUNCREF, ROTOR_V128};
    return wasm_valtype_new(kKinds[below(std::size(kKinds))]);
  }
  wasm_functype_t* functype() {
    switch (byte() & 3) {
      case 0: return wasm_functype_new_0_0();
      case 1: return wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
      case 2: return wasm_functype_new_1_1(wasm_valtype_new_externref(), wasm_valtype_new_externref());
      default: break;
    }
    wasm_valtype_t* twice = valtype();
    return wasm_functype_new_2_1(twice, valtype(), twice);
  }
  wasm_limits_t limits() {
    const uint32_t min = byte() & 7, max = byte();
    return {min, max < 16 ? max : max < 128 ? min + 4 : wasm_limits_max_default};
  }

  static wasm_trap_t* call_back(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
    return static_cast<Run*>(env)->called(args, results);
  }
  wasm_trap_t* called(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
    if (++depth_ < 6)
      for (size_t steps = byte() & 3; steps; --steps)
        if (++calls_ < kMostCalls) step();
    --depth_;
    const uint8_t how = byte();
    for (size_t i = 0; i < results->size; ++i) {
      if (how < 8)
        results->data[i] = value();
      else if (how < 16)
        continue;
      else if (i < args->size && args->data[i].kind == results->data[i].kind)
        wasm_val_copy(&results->data[i], &args->data[i]);
    }
    if (how < 240) return nullptr;
    if (how < 244 && !traps_.empty()) return wasm_trap_copy(traps_[below(traps_.size())]);
    if (how < 246) return exception();
    wasm_message_t message;
    wasm_name_new_from_string(&message, "fails");
    wasm_trap_t* trap = wasm_trap_new(how & 1 ? store() : nullptr, &message);
    wasm_byte_vec_delete(&message);
    return trap;
  }

  /// Makes a trap that throws; null if the tag and the values are not fit for each other.
  wasm_trap_t* exception() {
    std::vector<wasm_val_t> values(below(3));
    for (wasm_val_t& carried : values) carried = value();
    const wasm_val_vec_t value_vec{values.size(), values.data()};
    wasm_trap_t* trap = rotor_trap_new_exception(store(), wasm_extern_as_tag(wasm_ref_as_extern(ref())), &value_vec);
    for (wasm_val_t& carried : values) wasm_val_delete(&carried);
    return trap;
  }

  void call() {
    wasm_func_t* func = wasm_ref_as_func(ref());
    wasm_functype_t* type = wasm_func_type(func);
    const wasm_valtype_vec_t* params = wasm_functype_params(type);
    std::vector<wasm_val_t> args, results(below(4));
    for (size_t i = 0; params && i < params->size; ++i) args.push_back(value_of(wasm_valtype_kind(params->data[i])));
    if (byte() < 8) args.push_back(value());
    if (!results.empty()) std::memset(results.data(), 0xaa, results.size() * sizeof(wasm_val_t));
    wasm_val_vec_t arg_vec{args.size(), args.data()}, result_vec{results.size(), results.data()};
    wasm_trap_t* trap = wasm_func_call(func, &arg_vec, &result_vec);
    const wasm_valtype_vec_t* returned = wasm_functype_results(type);
    for (size_t i = 0; !trap && returned && i < std::min(results.size(), returned->size); ++i) {
      REQUIRE(results[i].kind == wasm_valtype_kind(returned->data[i]));
      wasm_val_delete(&results[i]);
    }
    keep_trap(trap);
    for (wasm_val_t& arg : args) wasm_val_delete(&arg);
    wasm_functype_delete(type);
  }

  void instantiate() {
    wasm_store_t* in = store();
    wasm_module_t* module = wasm_module_obtain(in, shared_.modules[below(shared_.modules.size())]);
    if (byte() < 8) {
      wasm_module_delete(module);
      module = wasm_module_copy(wasm_ref_as_module(ref()));
    }
    wasm_importtype_vec_t wanted;
    wasm_module_imports(module, &wanted);
    // What fits, as often as it is there: else hardly any instance with imports would be made.
    std::vector<wasm_extern_t*> imports;
    const uint8_t begin = byte();
    for (size_t i = 0; i < wanted.size; ++i) {
      const wasm_externkind_t kind = wasm_externtype_kind(wasm_importtype_type(wanted.data[i]));
      wasm_extern_t* found = external();
      for (size_t j = 0; j < refs_.size() && !(found && wasm_extern_kind(found) == kind); ++j)
        found = wasm_ref_as_extern(refs_[(begin + j) % refs_.size()]);
      imports.push_back(found);
    }
    if (byte() < 8) imports.push_back(external());
    wasm_importtype_vec_delete(&wanted);
    wasm_extern_vec_t import_vec{imports.size(), imports.data()};
    wasm_trap_t* trap = nullptr;
    wasm_instance_t* instance = wasm_instance_new(in, module, &import_vec, byte() & 1 ? &trap : nullptr);
    REQUIRE(!instance || !trap);
    wasm_module_delete(module);
    keep_trap(trap);
    keep(wasm_instance_as_ref(instance));
  }

  void take_exports() {
    wasm_extern_vec_t exports;
    wasm_instance_exports(wasm_ref_as_instance(ref()), &exports);
    for (size_t i = 0; i < exports.size; ++i)
      if (byte() & 1) keep(wasm_extern_as_ref(wasm_extern_copy(exports.data[i])));
    wasm_extern_vec_delete(&exports);
  }

  void look_at(wasm_extern_t* object) {
    wasm_externtype_t* type = wasm_extern_type(object);
    if (type) REQUIRE(wasm_externtype_kind(type) == wasm_extern_kind(object));
    wasm_externtype_delete(wasm_externtype_copy(type));
    wasm_externtype_delete(type);
    wasm_memory_t* memory = wasm_extern_as_memory(object);
    const size_t size = wasm_memory_data_size(memory);
    if (size) wasm_memory_data(memory)[size - 1] = static_cast<byte_t>(byte());
  }

  void step() {
    switch (byte() % 24) {
      case 0:
      case 1:
      case 2: return call();
      case 3: return instantiate();
      case 4: return take_exports();
      case 5: {
        wasm_functype_t* type = functype();
        keep(wasm_func_as_ref(wasm_func_new_with_env(
            store(), type,
            [](void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
              return call_back(env, args, results);
            },
            this, nullptr)));
        return wasm_functype_delete(type);
      }
      case 6: {
        wasm_functype_t* type = functype();
        keep(wasm_func_as_ref(wasm_func_new_with_env(
            store(), type, [](void*, const wasm_val_vec_t*, wasm_val_vec_t*) -> wasm_trap_t* { return nullptr; },
            new_place(), finalize)));
        return wasm_functype_delete(type);
      }
      case 7: return keep(wasm_foreign_as_ref(wasm_foreign_new(store())));
      case 8: {
        wasm_globaltype_t* type = wasm_globaltype_new(valtype(), byte() & 1);
        wasm_val_t init = value_of(wasm_valtype_kind(wasm_globaltype_content(type)));
        keep(wasm_global_as_ref(wasm_global_new(store(), type, &init)));
        wasm_val_delete(&init);
        return wasm_globaltype_delete(type);
      }
      case 9: {
        const wasm_limits_t bounds = limits();
        wasm_tabletype_t* type = wasm_tabletype_new(valtype(), &bounds);
        keep(wasm_table_as_ref(wasm_table_new(store(), type, ref())));
        return wasm_tabletype_delete(type);
      }
      case 10: {
        const wasm_limits_t bounds = limits();
        wasm_memorytype_t* type = wasm_memorytype_new(&bounds);
        keep(wasm_memory_as_ref(wasm_memory_new(store(), type)));
        return wasm_memorytype_delete(type);
      }
      case 11: return static_cast<void>(wasm_memory_grow(wasm_ref_as_memory(ref()), byte() & 3));
      case 12: return static_cast<void>(wasm_table_grow(wasm_ref_as_table(ref()), byte() & 3, ref()));
      case 13: return static_cast<void>(wasm_table_set(wasm_ref_as_table(ref()), byte() & 7, ref()));
      case 14: return keep(wasm_table_get(wasm_ref_as_table(ref()), byte() & 7));
      case 15: {
        wasm_val_t held;
        wasm_global_get(wasm_ref_as_global(ref()), &held);
        return wasm_val_delete(&held);
      }
      case 16: {
        wasm_global_t* global = wasm_ref_as_global(ref());
        wasm_globaltype_t* type = wasm_global_type(global);
        wasm_val_t held = value_of(wasm_valtype_kind(wasm_globaltype_content(type)));
        wasm_globaltype_delete(type);
        wasm_global_set(global, &held);
        return wasm_val_delete(&held);
      }
      case 17:
        if (wasm_ref_t* with = ref()) wasm_ref_set_host_info_with_finalizer(with, new_place(), finalize);
        return;
      case 18: return keep(wasm_ref_copy(ref()));
      case 19:
        if (refs_.empty()) return;
        std::swap(refs_[below(refs_.size())], refs_.back());
        wasm_ref_delete(std::exchange(refs_.back(), nullptr));
        return refs_.pop_back();
      case 20: return look_at(external());
      case 21:
        if (!traps_.empty()) keep(wasm_trap_as_ref(wasm_trap_copy(traps_[below(traps_.size())])));
        return;
      case 22: {
        wasm_byte_vec_t bytes;
        wasm_module_t* module = wasm_ref_as_module(ref());
        wasm_module_serialize(module, &bytes);
        keep(wasm_module_as_ref(bytes.size ? wasm_module_deserialize(store(), &bytes)
                                           : wasm_module_obtain(store(), shared_.modules[0])));
        return wasm_byte_vec_delete(&bytes);
      }
      default: {
        if (byte() >= 16) return;  // or hardly anything would come of it
        auto& old = stores_[byte() & 1];
        wasm_store_t* deleted = std::exchange(old, wasm_store_new(shared_.engine));
        return wasm_store_delete(deleted);
      }
    }
  }

  const Shared& shared_;
  const uint8_t* data_;
  const uint8_t* const end_;
  std::array<wasm_store_t*, 2> stores_;
  std::vector<wasm_ref_t*> refs_;
  std::vector<wasm_trap_t*> traps_;
  size_t calls_ = 0;
  int depth_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Shared shared;
  g_finalized.clear();
  {
    Run run(shared, data, size);
    run.go();
  }
  for (int times : g_finalized) REQUIRE(times == 1);
  return 0;
}
