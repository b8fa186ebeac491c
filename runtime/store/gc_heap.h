// The heap of a link group: structures, arrays and boxes that its guests refer to by 32 bits (code/gc_layout.h), who
// holds them, and how its objects go out to the host and come back.
//
// What is in use is found as exceptions are (runtime/store/exceptions.h): between calls exactly, by tables, globals and
// the host's handles, and within a call by the guest's stack as well. Exceptions carry references and objects may have
// fields that are exceptions, so a group that has both collects both at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "code/gc_layout.h"
#include "memory/fork.h"
#include "memory/heap.h"
#include "rotor/value.h"
#include "runtime/enter/canonical_type.h"
#include "runtime/store/exceptions.h"
#include "runtime/store/gc_heap_state.h"
#include "wasm/keyed_hash.h"

namespace rotor::runtime {

class GcHeap;

/// An object that the host holds.
struct HeldObject {
  memory::HeapRef ref = 0;
  size_t at = 0;  ///< among those that the heap knows; guarded by its mutex
};

/// What a heap has to know of the group that it belongs to.
class GcHeapOwner {
 public:
  /// Returns whether it is known where the stack of all of the group's calls is. Where a call left one stack for
  /// another, it is not known how far down the first one goes.
  virtual bool knows_stack() = 0;
  /// Calls `scan` with the part of the stack that the group's calls lie on, from here to the outermost entry, with what
  /// callers have in registers; not at all if no call is under way. Pre: it is known.
  virtual void scan_stack(const std::function<void(uintptr_t low, uintptr_t high)>& scan) = 0;
  /// Adds what the group's tables, globals and element segments refer to (GcHeap::add_root).
  virtual void add_roots(memory::ExactRoots& roots) = 0;
  /// Returns the group's exceptions; null if there never was one.
  virtual ExceptionHeap* made_exceptions() = 0;
  /// Marks the exceptions that the group refers to, but for what objects of its heap do.
  virtual void mark_exceptions() = 0;
  /// Calls `visit` with each word of what an exception on its way carries.
  virtual void visit_thrown(const std::function<void(uint64_t word)>& visit) = 0;
  virtual code::Activation& activation() = 0;

 protected:
  ~GcHeapOwner() = default;
};

/// Not thread-safe but for the holds: who uses it is inside the group.
class GcHeap final : private memory::HeapRoots {
 public:
  /// Makes a heap for a group, which outlives it or hands it over (`belong_to`). Errors: io, limit (address space).
  /// `image`: what it holds first, with the state that belongs to it; may be null. Errors: also invalid_argument (the
  /// image is of a heap with another limit).
  static Result<std::unique_ptr<GcHeap>> create(GcHeapOwner& group, const memory::HeapOptions& options,
                                                std::shared_ptr<const memory::Image> image = nullptr);
  ~GcHeap() override = default;
  GcHeap(const GcHeap&) = delete;
  /// Becomes another group's, whose activation gets to know the functions.
  void belong_to(GcHeapOwner& group);

  /// Makes the heap know the structures and arrays among these types, which live as long as the group. Errors: limit.
  Result<void> define(std::span<const CanonicalType* const> types);
  uint8_t* base() const { return heap_->base(); }
  /// Returns whether nothing was ever allocated in it.
  bool is_untouched() const { return heap_->counters().allocated_bytes == 0; }

  /// Allocate objects of defined types, whose fields are zero. May collect. Errors: limit, io.
  Result<uint64_t> new_structure(const CanonicalType& type) { return heap_->allocate_structure(type.number); }
  Result<uint64_t> new_array(const CanonicalType& type, uint32_t length) {
    return heap_->allocate_array(type.number, length);
  }
  uint8_t* bytes(uint64_t ref) const { return heap_->bytes(static_cast<memory::HeapRef>(ref)); }
  /// Returns whether a word is a reference to an object. Pre for those below: it is.
  bool has(uint64_t ref) const { return heap_->resolve(ref) == ref; }
  const CanonicalType& type_of(uint64_t ref) const { return *types_[type_number(ref)]; }
  /// Returns whether it is a box of a reference of the host's, and what is in that.
  bool is_box(uint64_t ref) const { return type_number(ref) == code::kBoxType; }
  uint64_t in_box(uint64_t ref) const;
  uint32_t type_number(uint64_t ref) const { return heap_->header(static_cast<memory::HeapRef>(ref)).type; }
  uint32_t length(uint64_t ref) const { return heap_->header(static_cast<memory::HeapRef>(ref)).length; }

  /// Returns the number by which objects keep a function, or null.
  uint32_t function_number(uint64_t function);
  const code::FuncRef* function(uint64_t number) const { return functions_[number]; }
  /// Convert between an external reference and one below `any` (code/gc_layout.h). Errors: limit, io.
  Result<uint64_t> any_of_extern(uint64_t bits);
  Result<uint64_t> extern_of_any(uint64_t ref);
  /// Returns the reference that an external one, which is no host's, stands for; 0 if it stands for none.
  uint64_t internal(uint64_t bits) const;

  /// Returns what is not in the heap's region; functions as they are: addresses of code::FuncRef.
  GcHeapState state() const;
  /// Takes that over, where the heap is of an image.
  void set_state(const GcHeapState& state);
  /// Returns an image of the heap. Errors: as of memory::Heap::seal.
  Result<std::shared_ptr<const memory::Image>> seal(memory::LinearMemory::Copy copy) { return heap_->seal(copy); }
  /// Frees what nobody refers to, and exceptions too.
  void collect() { heap_->collect(); }
  memory::HeapCounters counters() const { return heap_->counters(); }

  /// Words that are references, or may be, while a constant expression is evaluated: its operands are on no stack.
  class Evaluation {
   public:
    Evaluation(GcHeap& heap, const std::vector<uint64_t>& words) : heap_(heap) { heap_.evaluated_.push_back(&words); }
    Evaluation(const Evaluation&) = delete;
    ~Evaluation() { heap_.evaluated_.pop_back(); }

   private:
    GcHeap& heap_;
  };

  void add_hold(HeldObject& hold);
  void remove_hold(HeldObject& hold);
  /// Takes over the holds of another heap, which has no objects.
  void adopt(GcHeap& other);

  /// Adds what a word refers to that may be a reference of any kind, while roots are visited.
  void add_root(memory::ExactRoots& roots, ValType type, uint64_t word);

 private:
  explicit GcHeap(GcHeapOwner& group) : group_(&group) {}
  bool are_known() override;
  void visit_ambiguous(memory::AmbiguousRoots& roots) override;
  void add_stack(memory::AmbiguousRoots& roots, uintptr_t low, uintptr_t high);
  void visit_exact(memory::ExactRoots& roots) override;
  memory::HeapRef foreign(uint64_t word) override;
  bool visit_pending(memory::ExactRoots& roots) override;
  memory::HeapRef mark_internal(uint64_t bits);
  /// Forgets the external references that nobody has any more.
  void sweep_internals();

  GcHeapOwner* group_;
  std::unique_ptr<memory::Heap> heap_;
  std::vector<const code::FuncRef*> functions_{nullptr};  ///< by number; none is ever forgotten
  wasm::KeyedMap<uint64_t, uint32_t> number_of_function_;
  std::vector<const CanonicalType*> types_;  ///< by number
  std::vector<const std::vector<uint64_t>*> evaluated_;

  /// Objects that have an external reference, by what that says of them: so the host can make none that is not one.
  struct Internal {
    memory::HeapRef ref = 0;  ///< 0: free
    bool is_marked = false;
  };
  std::vector<Internal> internals_;
  wasm::KeyedMap<uint64_t, uint32_t> internal_of_;
  std::vector<uint32_t> free_internals_;

  memory::ForkMutex holds_mutex_;
  std::vector<HeldObject*> holds_;
};

}  // namespace rotor::runtime
