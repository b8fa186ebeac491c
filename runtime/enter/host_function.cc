#include "runtime/enter/host_function.h"

#include <algorithm>

#include "code/abi.h"
#include "rotor/guard.h"
#include "rotor/import_observer.h"
#include "runtime/enter/entry.h"
#include "runtime/enter/func.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

HostDefinition::HostDefinition(std::shared_ptr<EngineImpl> owner, const FuncType& func_type, HostFunction host_function,
                               const detail::DirectHost& direct_host)
    : engine(std::move(owner)), function(std::move(host_function)), direct(direct_host) {
  if (auto added = engine->types.add(func_type, uses)) type = *added;
}

void HostImport::bind(InstanceImpl* importer, std::shared_ptr<const HostDefinition> host, const CanonicalType& wanted,
                      uint32_t index) {
  instance = importer;
  import_index = index;
  direct = host->direct;
  definition = std::move(host);
  type = &wanted;
  if (wanted.result_words) results = std::make_unique<uint64_t[]>(wanted.result_words);
  context.results = results.get();
  context.instance = importer;
  context.host = this;
}

// What the header knows of the register image.
static_assert(detail::kRegisterInts == CallRegs::kGprs && detail::kRegisterInts == CallRegs::kFirstXmm &&
              detail::kRegisterFloats == CallRegs::kXmms && detail::kRegisterResults == code::kMaxRegisterResults);

code::FuncRef HostImport::ref() {
  auto* entry = direct.function && !direct.has_floats ? &rotor_host_entry_ints : &rotor_host_entry;
  return {type->id(), reinterpret_cast<const void*>(entry), &context};
}

namespace {

/// Runs a function that takes the words of registers, as run_host does. Returns false if it failed; the record then has
/// the error.
bool run_direct(HostImport& import, CallRegs& regs, EntryRecord& record) {
  const detail::DirectHost& direct = import.direct;
  HostScope host(record);
  Caller caller(import.instance);
  try {
    return direct.function(direct.callable, caller, regs.words, record.host_error);
  } catch (...) {
    record.host_error = detail::thrown_error("a host function");
    return false;
  }
}

/// Runs the embedder's code with the host's floating-point control; what it throws becomes an error.
Result<void> run_host(HostImport& import, Slot* slots) {
  HostScope host(*t_thread.top);
  Caller caller(import.instance);
  try {
    if (ImportObserver* observer = import.instance->options.import_observer) [[unlikely]]
      return observer->on_import(import.import_index, caller, slots, import.definition->function);
    return import.definition->function(caller, slots);
  } catch (...) {
    return std::unexpected(detail::thrown_error("a host function"));
  }
}

/// Keeps the exceptions and objects among the arguments while the host's function runs: where there are many, the slots
/// are not on the stack.
[[gnu::noinline, gnu::cold]] std::vector<Value> hold_owned(const CanonicalType& type, const Slot* slots,
                                                           LinkGroup& group) {
  std::vector<Value> held;
  for (ValType param : type.type.params) {
    if (param.is_exn_ref() || param.is_any_ref()) held.push_back(value_of_slot(param, *slots, &group));
    slots += param == ValType::v128 ? 2 : 1;
  }
  return held;
}

Result<void> call_host(HostImport& import, CallRegs& regs, const uint64_t* stack_args) {
  const CanonicalType& type = *import.type;
  constexpr size_t kFew = 16;
  Slot few[kFew];
  std::unique_ptr<Slot[]> many;
  size_t count = type.slot_count();
  if (count > kFew) many = std::make_unique<Slot[]>(count);
  Slot* slots = many ? many.get() : few;
  for (size_t i = 0; i < type.params.size(); ++i) {
    const ValuePlace& place = type.params[i];
    uint64_t word = place.word < CallRegs::kWords ? regs.words[place.word] : stack_args[place.word - CallRegs::kWords];
    slots[i] = place.is32 ? static_cast<uint32_t>(word) : word;
  }
  std::vector<Value> held;
  if (type.has_owned) [[unlikely]]
    held = hold_owned(type, slots, *import.instance->group);
  ROTOR_CHECK(run_host(import, slots));
  if (type.has_ref_results)
    ROTOR_CHECK(admit_references(type, type.type.results, *import.instance->group, slots, "a host function's result"));
  uint64_t* words = type.result_words ? import.results.get() : regs.words;
  for (size_t i = 0; i < type.results.size(); ++i) words[type.results[i].word] = slots[i];
  return {};
}

/// Does the same with slots.
[[gnu::noinline]] bool run_by_slots(HostImport& import, CallRegs& regs, const uint64_t* stack_args,
                                    EntryRecord& record) {
  Result<void> result = call_host(import, regs, stack_args);
  if (result) return true;
  record.host_error = std::move(result).error();
  return false;
}

}  // namespace

/// Called by rotor_host_entry. Returns false if the function failed; the entry's record then has the error
/// (runtime/enter/unwind.cc).
extern "C" [[gnu::visibility("hidden"), gnu::used]] bool rotor_host_dispatch(code::Context* context, CallRegs* regs,
                                                                             const uint64_t* stack_args) {
  HostImport& import = *static_cast<HostImport*>(context->host);
  EntryRecord& record = *t_thread.top;
  const bool is_direct = import.direct.function && !import.instance->options.import_observer;
  return is_direct ? run_direct(import, *regs, record) : run_by_slots(import, *regs, stack_args, record);
}

}  // namespace rotor::runtime
