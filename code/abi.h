// THE contract with compiled code. Every struct that compiled code reads or writes is stated here and nowhere else; the
// emitters take offsets from these structs, the runtime fills them. A change here changes kAbiVersion, which code files
// carry.
//
// Registers. Every function is `swiftcc` with the callee's Context as swiftself (r13). Integer arguments in rdi rsi rdx
// rcx r8 r9, floats and vectors in xmm0-7, the rest on the stack, 8 bytes each; a vector takes 16, at a multiple of 16.
// Up to 4 results in registers, as members of a struct: integers in rax rdx rcx r8, floats and vectors in xmm0-3, each
// list counted on its own. With more than 4, the function
// returns nothing and writes them to `Context::results` of its own context, kResultStride bytes apart.
// i32 and f32 arguments may have garbage above bit 31, floats above their width in an xmm register. References are
// 64-bit integers here: an externref is the host's bits, a funcref a `const FuncRef*`, one below `any` what
// code/gc_layout.h says; 0 is null. rbp is a frame
// pointer in every function. r13 is callee-saved.
//
// Tail calls. The callee's arguments take the caller's place, registers and stack words alike, and it is jumped to:
// this needs no common signature. Where they do not fit, because the callee has more stack words, or where its context
// is another, which a return has to undo, the jump goes to the runtime's rotor_tail_call (RunPageLayout::tail_call),
// with register arguments in place and the rest in Activation::tail. It keeps one frame for a whole chain of tail
// calls.
//
// Exceptions (docs/decisions/exceptions.md). What throws puts the exception into Activation::thrown, and the runtime
// walks the frames by their frame pointers. A frame's callee-saved registers lie right below its saved frame pointer,
// in the order r15 r14 r13 r12 rbx, those that the function saves (FunctionCode::saved). A call whose return address
// has a landing pad (CodeImage::pads) goes on there, with all of those registers as they were at the call; no other
// register holds anything. The code at the pad asks for the tag, takes the exception or has it go on.
//
// Run page. Code is position-independent and holds no absolute address. What is absolute lies in the module's run page,
// which code reaches RIP-relative, at a fixed distance behind the code (code/run_page.h, code/code_image.h).
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "rotor/trap.h"
#include "wasm/module.h"

namespace rotor::code {

inline constexpr uint32_t kAbiVersion = 11;
inline constexpr uint32_t kMaxRegisterResults = 4;
inline constexpr uint32_t kResultStride = 16;
/// How compiled code keeps a memory's accesses inside it. Of a memory that any module can come to use it is a property
/// of the type alone, so that a module's import of one type never meets a memory that was made for another kind of
/// code.
enum class MemoryCheck : uint8_t {
  /// For 32-bit memories in pages of 64 KiB. The whole reach of an index is reserved, and what is not backed faults.
  guard,
  /// For 64-bit memories in pages of 64 KiB. The index is compared with the size; the guard catches what offset and
  /// access size add to it.
  index,
  /// For memories in pages of one byte. Their size need not be a multiple of the system's page, behind which a guard
  /// could lie, so the end of an access is compared with it.
  end,
  /// For memories that may be parts of a slab (memory/slab.h), where nothing faults: the end of each access is
  /// compared.
  /// No other module's code ever gets such a memory (memory_checks, runtime::check_import).
  slab,
};
constexpr MemoryCheck memory_check(const MemoryType& type) {
  if (type.page_size_log2 != 16) return MemoryCheck::end;
  return type.is64 ? MemoryCheck::index : MemoryCheck::guard;
}
/// The most bytes that a memory on a slab may declare.
inline constexpr uint64_t kMostSlabBytes = UINT64_C(1) << 20;
/// Returns how a module's code checks accesses, by index of the memory. `slab_memories`: the Config::slab_memories that
/// it is compiled with, by which what the module has for itself is on slabs: small memories that are neither imported
/// nor exported nor shared between threads.
std::vector<MemoryCheck> memory_checks(const wasm::Module& module, bool slab_memories);
/// Bytes that are reserved behind a memory's reach. A static offset of up to this needs no check of its own: index +
/// offset + access size stays inside the reservation, whose unbacked part faults.
inline constexpr uint64_t kGuardBytes = 32 << 20;
/// Bytes that are reserved for a memory whose check is `guard`: what a 32-bit index can reach, and the guard.
inline constexpr uint64_t kReservedBytes = (UINT64_C(4) << 30) + kGuardBytes;
/// Largest access in bytes; offsets above kGuardBytes - kMaxAccessBytes take an explicit check.
inline constexpr uint64_t kMaxAccessBytes = 16;
/// Bytes that no memory exceeds, so that a sum of a size and what a guest adds to it can be kept from wrapping.
inline constexpr uint64_t kMaxMemoryBytes = UINT64_C(1) << 44;

struct Context;

/// The call that rotor_tail_call is to make. Valid only from the jump to rotor_tail_call until that reads it: nothing
/// runs in between.
struct TailCall {
  const void* code;
  Context* context;
  uint64_t stack_words;   ///< of arguments; they are in the `results` of the caller's context
  uint64_t result_words;  ///< in the `results` of the callee's context, for the caller's; 0: results are in registers
};

/// The exception that is on its way: from what throws it to the clause that takes it, between which no code of the
/// guest runs but that of clauses.
struct Thrown {
  const void* tag;          ///< runtime::TagImpl: contexts name tags by the same address
  const uint64_t* payload;  ///< what it carries, kResultStride bytes apart
  uint64_t ref;             ///< the exception as a value, if it is one already; else 0
};

/// What compiled code needs to know of the entry from the host. There is one per link group; contexts point to it.
struct Activation {
  /// Functions whose frame would reach below it trap with stack_overflow, before they write to it. Any thread may raise
  /// it to kInterruptLimit, which loop heads of interruptible code compare with, too.
  std::atomic<uint64_t> stack_limit = 0;
  TailCall tail{};
  Thrown thrown{};
  /// The functions that objects of the group's heap refer to, by the numbers that they are kept as; the first is null.
  /// Null if the group has no heap.
  const struct FuncRef* const* functions = nullptr;
};
static_assert(sizeof(Activation) == 72 && offsetof(Activation, functions) == 64 &&
              offsetof(Activation, stack_limit) == 0 && offsetof(Activation, tail) == 8 &&
              offsetof(Activation, thrown) == 40 && offsetof(Thrown, tag) == 0 && offsetof(Thrown, payload) == 8 &&
              offsetof(TailCall, code) == 0 && offsetof(TailCall, context) == 8 &&
              offsetof(TailCall, stack_words) == 16 && offsetof(TailCall, result_words) == 24);

/// Bytes of stack that a function which calls nothing may take without a compare: below every limit that much is free.
inline constexpr uint64_t kUncheckedFrameBytes = 1024;

/// The stack limit of a group that has to stop: no frame lies above it, so every compare fails.
inline constexpr uint64_t kInterruptLimit = UINT64_MAX;
/// The result of a wait that was interrupted, on which the code traps; the guest sees only 0 to 2.
inline constexpr uint32_t kWaitInterrupted = 3;

/// What the id of a function type is the address of. A type that is not final has subtypes, so functions of it are
/// found by the entry of its depth; deeper down than that the runtime is asked.
struct FunctionTypeDisplay {
  uint64_t supertypes[8];  ///< the ids of the types at depths 0 to 7 above it and itself; 0 beyond
};
/// A function as a value: what a funcref points to, what an import slot holds.
struct FuncRef {
  uint64_t type;     ///< the engine's canonical type id
  const void* code;  ///< a swiftcc entry
  Context* context;  ///< its swiftself
};
static_assert(sizeof(FuncRef) == 24 && offsetof(FuncRef, type) == 0 && offsetof(FuncRef, code) == 8 &&
              offsetof(FuncRef, context) == 16);

/// The part of a memory that compiled code reads; `size_bytes` is at most kMaxMemoryBytes. Size grows while other
/// threads run, if the memory is shared.
struct MemoryDef {
  uint8_t* base;  ///< never changes
  std::atomic<uint64_t> size_bytes;
};
static_assert(sizeof(MemoryDef) == 16 && offsetof(MemoryDef, base) == 0 && offsetof(MemoryDef, size_bytes) == 8);

/// The part of a table that compiled code reads. Elements are slots (funcref: const FuncRef*; externref: bits).
struct TableDef {
  uint64_t* elements;  ///< changes when the table grows
  uint64_t size;       ///< in elements
};
static_assert(sizeof(TableDef) == 16 && offsetof(TableDef, elements) == 0 && offsetof(TableDef, size) == 8);

/// An entry of the context's memory list. The base is a copy, so that an access needs one load.
struct ContextMemory {
  uint8_t* base;
  MemoryDef* def;
};

/// A mutable or immutable global's storage: 16 bytes, so that v128 fits.
struct alignas(16) GlobalCell {
  uint64_t bits[2];
};

/// Assigns a function's arguments, one after another, to registers and stack words.
class ArgumentPlaces {
 public:
  static constexpr uint32_t kGprs = 6;
  static constexpr uint32_t kXmms = 8;
  struct Place {
    enum class Kind : uint8_t { gpr, xmm, stack } kind;
    uint32_t index;  ///< of the register among its kind, or of the stack word
  };
  Place next(ValType type) {
    bool vector = type == ValType::f32 || type == ValType::f64 || type == ValType::v128;
    if (vector && xmms_ < kXmms) return {Place::Kind::xmm, xmms_++};
    if (!vector && gprs_ < kGprs) return {Place::Kind::gpr, gprs_++};
    uint32_t words = type == ValType::v128 ? 2 : 1;
    uint32_t word = (stack_words_ + words - 1) / words * words;
    stack_words_ = word + words;
    return {Place::Kind::stack, word};
  }
  uint32_t stack_words() const { return stack_words_; }
  static uint32_t stack_words(const FuncType& type) {
    ArgumentPlaces places;
    for (ValType param : type.params) places.next(param);
    return places.stack_words();
  }

 private:
  uint32_t gprs_ = 0, xmms_ = 0, stack_words_ = 0;
};

/// The instance context. This fixed part is followed by the arrays that ContextLayout places.
struct alignas(16) Context {
  Activation* activation;  ///< of the link group; not invariant: groups merge
  /// More than kMaxRegisterResults results of this context's functions; a tail call's words; what an exception carries.
  uint64_t* results;
  void* instance;  ///< runtime::InstanceImpl; not for compiled code
  void* host;      ///< runtime::HostImport, if this is a host function's context
  /// 1: what the memories hold that the module defines may have changed. Each function that stores to one sets it at
  /// its entry, so that an instance none of whose calls came there leaves its memories as they were, which is found
  /// without a look at their pages.
  uint8_t may_have_written;
  uint8_t* heap;  ///< the base of the group's heap (code/gc_layout.h); null if no code of the instance uses one
};
static_assert(sizeof(Context) == 48 && offsetof(Context, activation) == 0 && offsetof(Context, results) == 8 &&
              offsetof(Context, instance) == 16 && offsetof(Context, may_have_written) == 32 &&
              offsetof(Context, heap) == 40);

/// The layout of a context, as byte offsets. It depends on the module alone.
struct ContextLayout {
  uint32_t memories = 0;          ///< ContextMemory[memories]
  uint32_t tables = 0;            ///< TableDef*[tables]
  uint32_t imported_globals = 0;  ///< GlobalCell*[imported globals]
  uint32_t globals = 0;           ///< GlobalCell[defined globals]
  uint32_t imported_funcs = 0;    ///< FuncRef[imported functions]
  uint32_t func_refs = 0;         ///< FuncRef[declared functions that are defined here]
  uint32_t tags = 0;              ///< const void*[tags]: runtime::TagImpl
  uint32_t size_bytes = 0;

  /// Index among `func_refs` of each defined function; UINT32_MAX: it has none.
  std::vector<uint32_t> func_ref_slot;

  explicit ContextLayout(const wasm::Module& module);
  ContextLayout() = default;

  uint32_t memory(uint32_t index) const { return memories + index * uint32_t{sizeof(ContextMemory)}; }
  uint32_t table(uint32_t index) const { return tables + index * uint32_t{sizeof(void*)}; }
  /// Returns the offset of the pointer to an imported global's cell.
  uint32_t imported_global(uint32_t index) const { return imported_globals + index * uint32_t{sizeof(void*)}; }
  /// Returns the offset of a defined global's cell; `index` counts defined globals only.
  uint32_t global(uint32_t index) const { return globals + index * uint32_t{sizeof(GlobalCell)}; }
  uint32_t imported_func(uint32_t index) const { return imported_funcs + index * uint32_t{sizeof(FuncRef)}; }
  uint32_t tag(uint32_t index) const { return tags + index * uint32_t{sizeof(void*)}; }
  /// Returns the offset of the FuncRef of a function of the module, which must be imported or declared.
  uint32_t func_ref(const wasm::Module& module, uint32_t func_index) const {
    if (func_index < module.imported_funcs) return imported_func(func_index);
    uint32_t slot = func_ref_slot[func_index - module.imported_funcs];
    assert(slot != UINT32_MAX && "the function was not declared as a reference");
    return func_refs + slot * uint32_t{sizeof(FuncRef)};
  }
};

/// A trap site is `int kTrapVector + kind`. No program may raise these vectors, so the kernel gets a general protection
/// fault of it: a SIGSEGV. (An undefined instruction does the same, but a virtual machine's host looks at each first,
/// which takes another 3 us.)
inline constexpr uint8_t kTrapOpcode = 0xcd;
inline constexpr uint8_t kTrapVector = 0x40;
inline constexpr uint32_t kTrapSiteBytes = 2;
static_assert(kTrapVector + kTrapKindCount <= 0x80);  // Linux serves 0x80

}  // namespace rotor::code
