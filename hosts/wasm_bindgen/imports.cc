#include "hosts/wasm_bindgen/imports.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "rotor/printable.h"

namespace rotor::wasm_bindgen {

void GuestShared::set_last_panic(std::string text) {
  std::lock_guard lock(mutex_);
  last_panic_ = std::move(text);
}

std::string GuestShared::last_panic() const {
  std::lock_guard lock(mutex_);
  return last_panic_;
}

namespace {

constexpr uint32_t kMaxTextBytes = 1 << 20;

GuestContext& context(Caller& caller) { return *caller.data<GuestContext>(); }
ObjectTable& objects(Caller& caller) { return context(caller).shared->objects; }
ExternRef ref(JsKind kind) { return ObjectTable::ref(kind); }

Result<std::string> text(Caller& caller, uint32_t address, uint32_t size_bytes) {
  if (size_bytes > kMaxTextBytes) return fail(ErrorKind::limit, fmt::format("a text of {} bytes", size_bytes));
  std::string out(size_bytes, '\0');
  ROTOR_CHECK(caller.read(address, {reinterpret_cast<uint8_t*>(out.data()), out.size()}));
  return out;
}

/// Returns the export name of the table of external references, for Caller's functions on tables: a change through a
/// handle would be unseen by an ImportObserver.
Result<std::string_view> externref_table(Caller& caller) {
  const std::string& name = context(caller).shared->externref_table;
  if (name.empty()) return fail(ErrorKind::host, "the guest exports no table of external references");
  return name;
}

/// Puts a value into the guest's table; returns its index there, by which some imports return references.
Result<int32_t> table_index(Caller& caller, ExternRef value) {
  ROTOR_TRY(std::string_view table, externref_table(caller));
  ROTOR_TRY(std::vector<Value> allocated, caller.call("__externref_table_alloc"));
  if (allocated.size() != 1 || allocated[0].type() != ValType::i32)
    return fail(ErrorKind::host, "the guest's __externref_table_alloc returns no index");
  const int32_t index = allocated[0].i32();
  ROTOR_CHECK(caller.table_set(table, static_cast<uint32_t>(index), Value(value)));
  return index;
}

// ---- wasm-bindgen's own ---------------------------------------------------------------------------------------------

Result<void> init_externref_table(Caller& caller) {
  ROTOR_TRY(std::string_view table, externref_table(caller));
  ROTOR_TRY(uint64_t first, caller.table_grow(table, 4, Value(ref(JsKind::undefined))));
  ROTOR_CHECK(caller.table_set(table, 0, Value(ref(JsKind::undefined))));
  ROTOR_CHECK(caller.table_set(table, first + 1, Value(ref(JsKind::null))));
  ROTOR_CHECK(caller.table_set(table, first + 2, Value(ref(JsKind::true_))));
  return caller.table_set(table, first + 3, Value(ref(JsKind::false_)));
}

Result<void> throw_(Caller& caller, uint32_t address, uint32_t size) {
  ROTOR_TRY(std::string message, text(caller, address, size));
  return fail(ErrorKind::host, "the guest threw: " + printable(message, kShownTextBytes));
}

Result<ExternRef> error_new(Caller& caller, uint32_t address, uint32_t size) {
  ROTOR_TRY(std::string message, text(caller, address, size));
  return objects(caller).add(JsError{std::move(message)});
}

Result<ExternRef> string_new(Caller& caller, uint32_t address, uint32_t size) {
  ROTOR_TRY(std::string message, text(caller, address, size));
  return objects(caller).add(JsString{std::move(message)});
}

Result<ExternRef> number_new(Caller& caller, double value) { return objects(caller).add(JsNumber{value}); }

int32_t is_undefined(Caller& caller, ExternRef value) { return objects(caller).is_undefined(value); }
int32_t is_object(Caller& caller, ExternRef value) { return objects(caller).is_object(value); }
int32_t is_string(Caller& caller, ExternRef value) { return objects(caller).is_string(value); }
int32_t is_function(Caller& caller, ExternRef value) { return objects(caller).is_function(value); }
ExternRef memory_object(Caller&) { return ref(JsKind::memory); }

// ---- the environment: node
// --------------------------------------------------------------------------------------------

Result<int32_t> global_index(Caller& caller) { return table_index(caller, ref(JsKind::global)); }
int32_t no_index(Caller&) { return 0; }
ExternRef crypto(Caller&, ExternRef) { return ref(JsKind::crypto); }
ExternRef process(Caller&, ExternRef) { return ref(JsKind::process); }
ExternRef versions(Caller&, ExternRef) { return ref(JsKind::versions); }
ExternRef node(Caller&, ExternRef) { return ref(JsKind::node_version); }
ExternRef require(Caller&) { return ref(JsKind::require); }
ExternRef ms_crypto(Caller&, ExternRef) { return ref(JsKind::undefined); }

ExternRef called(ExternRef function) {
  return ref(ObjectTable::kind(function) == JsKind::require ? JsKind::crypto : JsKind::global);
}
ExternRef call0(Caller&, ExternRef function, ExternRef) { return called(function); }
ExternRef call1(Caller&, ExternRef function, ExternRef, ExternRef) { return called(function); }

// ---- typed arrays
// -----------------------------------------------------------------------------------------------------

ExternRef buffer(Caller&, ExternRef) { return ref(JsKind::buffer); }

Result<ExternRef> view_part(Caller& caller, ExternRef, uint32_t address, uint32_t size) {
  return objects(caller).add_view({address, size});
}

/// Does `new Uint8Array(memory.buffer)`.
Result<ExternRef> view_whole(Caller& caller, ExternRef) {
  ROTOR_TRY(uint64_t size_bytes, caller.memory_bytes());
  return objects(caller).add_view({0, size_bytes});
}

Result<ExternRef> new_with_length(Caller& caller, uint32_t size) { return objects(caller).add_bytes(size); }

Result<int32_t> length(Caller& caller, ExternRef value) {
  ROTOR_TRY(auto array, objects(caller).array(value));
  return static_cast<int32_t>(std::visit([](const auto& a) -> uint64_t { return a.size_bytes; }, array));
}

Result<ExternRef> subarray(Caller& caller, ExternRef value, uint32_t begin, uint32_t end) {
  return objects(caller).subarray(value, begin, end);
}

/// Writes to a Uint8Array from `offset` on.
Result<void> store(Caller& caller, const std::variant<GuestView, HostSlice>& to, uint64_t offset,
                   std::span<const uint8_t> bytes) {
  uint64_t size = std::visit([](const auto& a) -> uint64_t { return a.size_bytes; }, to);
  if (offset > size || bytes.size() > size - offset)
    return fail(ErrorKind::host, "a write past the end of a Uint8Array");
  if (auto* view = std::get_if<GuestView>(&to)) return caller.write(uint64_t{view->address} + offset, bytes);
  std::ranges::copy(bytes, std::get<HostSlice>(to).bytes().begin() + static_cast<ptrdiff_t>(offset));
  return {};
}

Result<void> set(Caller& caller, ExternRef target, ExternRef source, uint32_t offset) {
  ROTOR_TRY(auto to, objects(caller).array(target));
  ROTOR_TRY(auto from, objects(caller).array(source));
  std::vector<uint8_t> bytes;
  if (auto* view = std::get_if<GuestView>(&from)) {
    if (view->size_bytes > ObjectTable::kMaxBytes) return fail(ErrorKind::limit, "a copy of a very long Uint8Array");
    bytes.resize(view->size_bytes);
    ROTOR_CHECK(caller.read(view->address, bytes));
  } else {
    auto slice = std::get<HostSlice>(from).bytes();
    bytes.assign(slice.begin(), slice.end());
  }
  return store(caller, to, offset, bytes);
}

Result<void> fill_random(Caller& caller, ExternRef, ExternRef target) {
  ROTOR_TRY(auto to, objects(caller).array(target));
  SharedRandom& random = *context(caller).shared->random;
  if (auto* slice = std::get_if<HostSlice>(&to)) {
    return random.fill(slice->bytes());
  }
  const auto& view = std::get<GuestView>(to);
  if (view.size_bytes > ObjectTable::kMaxBytes) return fail(ErrorKind::limit, "very many random bytes at once");
  std::vector<uint8_t> bytes(view.size_bytes);
  ROTOR_CHECK(random.fill(bytes));
  return store(caller, to, 0, bytes);
}

// ---- console, workers
// ---------------------------------------------------------------------------------------------------

Result<void> console_error(Caller& caller, uint32_t address, uint32_t size) {
  ROTOR_TRY(std::string message, text(caller, address, size));
  GuestShared& shared = *context(caller).shared;
  if (shared.on_guest_error) shared.on_guest_error(message);
  shared.set_last_panic(std::move(message));
  return {};
}

void console_log(Caller&, uint32_t, uint32_t) {}

/// Does `new Error()`, which the panic hook asks for its stack: that is empty.
Result<ExternRef> error_for_stack(Caller& caller) { return objects(caller).add(JsError{}); }
Result<void> error_stack(Caller& caller, uint32_t result, ExternRef) {
  const uint8_t empty[8] = {1};  // (address, length); an address that the guest never frees
  return caller.write(result, empty);
}

ExternRef start_workers(Caller& caller, ExternRef, ExternRef, uint32_t builder) {
  context(caller).pool_builder = builder;
  return ref(JsKind::object);
}
ExternRef terminate_workers(Caller&) { return ref(JsKind::object); }

// ---- names
// --------------------------------------------------------------------------------------------------------------

struct Stub {
  std::string_view name;
  FuncType (*type)();
  void (*define)(Linker&, std::string_view module, std::string_view name);
};

template <auto Function>
constexpr Stub stub(std::string_view name) {
  using Traits = detail::HostTraits<decltype(Function)>;
  return {name, &Traits::type, [](Linker& linker, std::string_view module, std::string_view import) {
            linker.define(module, import, Function);
          }};
}

constexpr Stub kStubs[] = {
    stub<init_externref_table>("__wbindgen_init_externref_table"),
    stub<throw_>("__wbindgen_throw"),
    stub<error_new>("__wbindgen_error_new"),
    stub<string_new>("__wbindgen_string_new"),
    stub<number_new>("__wbindgen_number_new"),
    stub<is_undefined>("__wbindgen_is_undefined"),
    stub<is_object>("__wbindgen_is_object"),
    stub<is_string>("__wbindgen_is_string"),
    stub<is_function>("__wbindgen_is_function"),
    stub<memory_object>("__wbindgen_memory"),
    stub<global_index>("__wbg_static_accessor_GLOBAL_THIS"),
    stub<global_index>("__wbg_static_accessor_GLOBAL"),
    stub<no_index>("__wbg_static_accessor_SELF"),
    stub<no_index>("__wbg_static_accessor_WINDOW"),
    stub<crypto>("__wbg_crypto"),
    stub<process>("__wbg_process"),
    stub<versions>("__wbg_versions"),
    stub<node>("__wbg_node"),
    stub<require>("__wbg_require"),
    stub<ms_crypto>("__wbg_msCrypto"),
    stub<call0>("__wbg_call"),
    stub<call1>("__wbg_call"),
    stub<buffer>("__wbg_buffer"),
    stub<view_part>("__wbg_newwithbyteoffsetandlength"),
    stub<new_with_length>("__wbg_newwithlength"),
    stub<subarray>("__wbg_subarray"),
    stub<fill_random>("__wbg_randomFillSync"),
    stub<fill_random>("__wbg_getRandomValues"),
    stub<console_error>("__wbg_error"),
    stub<console_log>("__wbg_log"),
    stub<error_stack>("__wbg_stack"),
    stub<start_workers>("__wbg_startWorkers"),
    stub<terminate_workers>("__wbg_terminateWorkers"),
    // Several functions of JavaScript share these names: here the hash tells which is meant.
    stub<view_whole>("__wbg_new_a12002a7f91c75be"),
    stub<set>("__wbg_set_65595bdd868b3009"),
    stub<length>("__wbg_length_a446193dc22c12f8"),
    stub<error_for_stack>("__wbg_new_8a6f238a6ece86ea"),
};

std::string_view without_hash(std::string_view name) {
  constexpr size_t kHashDigits = 16;
  if (name.size() <= kHashDigits || name[name.size() - kHashDigits - 1] != '_') return name;
  bool is_hash = std::ranges::all_of(name.substr(name.size() - kHashDigits),
                                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  return is_hash ? name.substr(0, name.size() - kHashDigits - 1) : name;
}

const Stub* find_stub(std::string_view name, const FuncType& type) {
  for (std::string_view wanted : {name, without_hash(name)})
    for (const Stub& stub : kStubs)
      if (stub.name == wanted && stub.type() == type) return &stub;
  return nullptr;
}

}  // namespace

void define_imports(Linker& linker, const Module& module) {
  for (const ImportInfo& import : module.imports()) {
    auto* type = std::get_if<FuncType>(&import.type);
    if (!type) continue;
    if (const Stub* stub = find_stub(import.name, *type)) {
      stub->define(linker, import.module, import.name);
      continue;
    }
    linker.define_func(import.module, import.name, *type, [name = import.name](Caller&, Slot*) -> Result<void> {
      return fail(ErrorKind::host, "unstubbed import " + printable_name(name));
    });
  }
}

}  // namespace rotor::wasm_bindgen
