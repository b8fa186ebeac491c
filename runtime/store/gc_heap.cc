#include "runtime/store/gc_heap.h"

#include <algorithm>
#include <cstring>

namespace rotor::runtime {

using memory::HeapRef;

namespace {

// What follows code::kInternalExtern is an i31 as it is, or the place of an object among the internals, doubled.
bool is_i31(uint64_t ref) { return ref & 1; }
constexpr uint32_t kUnboxedExtern = 2;  ///< of a reference below any, modulo 4

}  // namespace

Result<std::unique_ptr<GcHeap>> GcHeap::create(GcHeapOwner& group, const memory::HeapOptions& options,
                                               std::shared_ptr<const memory::Image> image) {
  std::unique_ptr<GcHeap> made(new GcHeap(group));
  ROTOR_TRY(made->heap_, memory::Heap::create(options, *made, std::move(image)));
  memory::HeapShape box;
  box.bytes = code::kBoxBytes;
  ROTOR_CHECK(made->heap_->define(code::kBoxType, box));
  return made;
}

Result<void> GcHeap::define(std::span<const CanonicalType* const> types) {
  for (const CanonicalType* type : types) {
    if (!type->number || heap_->knows(type->number)) continue;
    ROTOR_CHECK(heap_->define(type->number, type->heap_shape()));
    if (types_.size() <= type->number) types_.resize(type->number + 1);
    types_[type->number] = type;
  }
  return {};
}

void GcHeap::belong_to(GcHeapOwner& group) {
  group_ = &group;
  group.activation().functions = functions_.data();
}

uint32_t GcHeap::function_number(uint64_t function) {
  if (function == 0) return 0;
  auto [known, fresh] = number_of_function_.try_emplace(function, static_cast<uint32_t>(functions_.size()));
  if (fresh) {
    functions_.push_back(reinterpret_cast<const code::FuncRef*>(function));
    group_->activation().functions = functions_.data();
  }
  return known->second;
}

Result<uint64_t> GcHeap::any_of_extern(uint64_t bits) {
  if (bits == 0) return 0;
  if (code::is_internal_extern(bits))
    if (const uint64_t ref = internal(bits)) return ref;
  if (bits < code::kUnboxedExterns) return bits << 2 | kUnboxedExtern;
  ROTOR_TRY(HeapRef box, heap_->allocate_structure(code::kBoxType));
  std::memcpy(bytes(box) + memory::kHeapHeaderBytes, &bits, sizeof bits);
  return box;
}

Result<uint64_t> GcHeap::extern_of_any(uint64_t ref) {
  if (ref == 0) return 0;
  if (is_i31(ref)) return code::kInternalExtern | ref;
  if (ref % 4 == kUnboxedExtern) return ref >> 2;
  if (is_box(ref)) return in_box(ref);
  auto [known, fresh] = internal_of_.try_emplace(static_cast<HeapRef>(ref), 0);
  if (fresh) {
    if (free_internals_.empty()) {
      known->second = static_cast<uint32_t>(internals_.size());
      internals_.emplace_back();
    } else {
      known->second = free_internals_.back();
      free_internals_.pop_back();
    }
    internals_[known->second].ref = static_cast<HeapRef>(ref);
  }
  return code::kInternalExtern | uint64_t{known->second} << 1;
}

uint64_t GcHeap::in_box(uint64_t ref) const {
  uint64_t bits;
  std::memcpy(&bits, bytes(ref) + memory::kHeapHeaderBytes, sizeof bits);
  return bits;
}

uint64_t GcHeap::internal(uint64_t bits) const {
  if (!code::is_internal_extern(bits)) return 0;
  const auto word = static_cast<uint32_t>(bits);
  if (is_i31(word)) return word;
  return word / 2 < internals_.size() ? internals_[word / 2].ref : 0;
}

HeapRef GcHeap::mark_internal(uint64_t bits) {
  const uint64_t ref = internal(bits);
  if (ref == 0 || is_i31(ref)) return 0;
  internals_[static_cast<uint32_t>(bits) / 2].is_marked = true;
  return static_cast<HeapRef>(ref);
}

void GcHeap::sweep_internals() {
  for (uint32_t i = 0; i < internals_.size(); ++i) {
    Internal& internal = internals_[i];
    if (internal.ref == 0 || std::exchange(internal.is_marked, false)) continue;
    internal_of_.erase(internal.ref);
    internal.ref = 0;
    free_internals_.push_back(i);
  }
}

GcHeapState GcHeap::state() const {
  GcHeapState state;
  for (const code::FuncRef* function : functions_) state.functions.push_back(reinterpret_cast<uint64_t>(function));
  for (const Internal& internal : internals_) state.internals.push_back(internal.ref);
  state.limit_bytes = heap_->counters().limit_bytes;
  state.reserved_bytes = heap_->reserved_bytes();
  return state;
}

void GcHeap::set_state(const GcHeapState& state) {
  functions_.clear();
  for (uint64_t function : state.functions) {
    if (function) number_of_function_.emplace(function, static_cast<uint32_t>(functions_.size()));
    functions_.push_back(reinterpret_cast<const code::FuncRef*>(function));
  }
  group_->activation().functions = functions_.data();
  for (uint32_t i = 0; i < state.internals.size(); ++i) {
    internals_.push_back({state.internals[i], false});
    if (state.internals[i])
      internal_of_.emplace(state.internals[i], i);
    else
      free_internals_.push_back(i);
  }
}

void GcHeap::add_hold(HeldObject& hold) {
  std::lock_guard lock(holds_mutex_);
  hold.at = holds_.size();
  holds_.push_back(&hold);
}

void GcHeap::remove_hold(HeldObject& hold) {
  std::lock_guard lock(holds_mutex_);
  holds_[hold.at] = holds_.back();
  holds_[hold.at]->at = hold.at;
  holds_.pop_back();
}

void GcHeap::add_root(memory::ExactRoots& roots, ValType type, uint64_t word) {
  if (type.is_any_ref())
    roots.add(static_cast<HeapRef>(word));
  else if (type.is_extern_ref())
    roots.add(mark_internal(word));
}

bool GcHeap::are_known() { return group_->knows_stack(); }

// The frames of compiled code, and those of ours and the host's between them.
[[gnu::no_sanitize("address", "undefined")]] void GcHeap::add_stack(memory::AmbiguousRoots& roots, uintptr_t low,
                                                                    uintptr_t high) {
  roots.add_range(reinterpret_cast<const void*>(low), reinterpret_cast<const void*>(high));
  if (internals_.empty()) return;
  for (uintptr_t at = low; at + sizeof(uint64_t) <= high; at += 4) {
    uint64_t word;
    __builtin_memcpy(&word, reinterpret_cast<const void*>(at), sizeof word);
    if (code::is_internal_extern(word)) roots.add(mark_internal(word));
  }
}

void GcHeap::visit_ambiguous(memory::AmbiguousRoots& roots) {
  group_->scan_stack([&](uintptr_t low, uintptr_t high) { add_stack(roots, low, high); });
  const auto add = [&](uint64_t word) {
    roots.add(word);
    roots.add(mark_internal(word));
  };
  for (const std::vector<uint64_t>* words : evaluated_) std::ranges::for_each(*words, add);
  // What is thrown is in a buffer until a clause takes it.
  group_->visit_thrown(add);
  if (const ExceptionHeap* exceptions = group_->made_exceptions()) std::ranges::for_each(exceptions->host_payload, add);
}

void GcHeap::visit_exact(memory::ExactRoots& roots) {
  group_->add_roots(roots);
  {
    std::lock_guard lock(holds_mutex_);
    for (const HeldObject* hold : holds_) {
      roots.add(hold->ref);
      if (const auto known = internal_of_.find(hold->ref); known != internal_of_.end())
        internals_[known->second].is_marked = true;
    }
  }
  if (group_->made_exceptions()) group_->mark_exceptions();
}

HeapRef GcHeap::foreign(uint64_t word) {
  if (code::is_internal_extern(word)) return mark_internal(word);
  if (ExceptionHeap* exceptions = group_->made_exceptions()) ExceptionHeap::Marker(*exceptions).word(word);
  return 0;
}

bool GcHeap::visit_pending(memory::ExactRoots& roots) {
  ExceptionHeap* exceptions = group_->made_exceptions();
  bool found = false;
  if (exceptions)
    exceptions->drain([&](ExceptionObject& exception) {
      const uint64_t* word = exception.payload();
      for (ValType type : exception.tag->type.type.params) {
        add_root(roots, type, *word);
        word += code::kResultStride / sizeof(uint64_t);
      }
      found = true;
    });
  if (found) return true;
  if (exceptions) exceptions->sweep();
  sweep_internals();
  return false;
}

void GcHeap::adopt(GcHeap& other) {
  std::scoped_lock lock(holds_mutex_, other.holds_mutex_);
  for (HeldObject* hold : other.holds_) {
    hold->at = holds_.size();
    holds_.push_back(hold);
  }
  other.holds_.clear();
}

}  // namespace rotor::runtime
