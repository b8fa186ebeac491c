// The run page of a module's code: its one place with absolute addresses, which code reaches RIP-relative.
#pragma once

#include <cstdint>

#include "wasm/module.h"

namespace rotor::code {

/// Helpers of the runtime that compiled code calls, through the run page, with the C calling convention.
enum class Libcall : uint8_t {
#define ROTOR_LIBCALL(Name, result, params) Name,
#include "code/libcalls.def"
};
inline constexpr uint32_t kLibcallCount = 0
#define ROTOR_LIBCALL(Name, result, params) +1
#include "code/libcalls.def"
    ;

/// The first of the helpers whose addresses stand at the run page's end, so that what is before them, and code that
/// uses none of them, stays as it was.
inline constexpr Libcall kFirstLateLibcall = Libcall::throw_new;

/// The run page: libcall addresses, canonical type ids, function slots, counters.
struct RunPageLayout {
  uint32_t libcalls = 0;    ///< const void*[kFirstLateLibcall]
  uint32_t lazy_entry = 0;  ///< const void*: where a function without code goes (see Stubs)
  uint32_t types = 0;       ///< uint64_t[types]: of function types canonical ids, of others their numbers
  uint32_t slots = 0;       ///< const void*[defined functions]
  /// int32_t[defined functions]: tier-0 code that counts takes 1 off at each entry, and the turns of its loops at a
  /// return; instead of going below 0 it calls Libcall::tier_up.
  uint32_t counters = 0;
  uint32_t tail_call = 0;      ///< const void*: rotor_tail_call
  uint32_t late_libcalls = 0;  ///< const void*[kLibcallCount - kFirstLateLibcall]
  uint32_t displays = 0;       ///< const void*: the rows of code/gc_layout.h
  uint32_t size_bytes = 0;

  RunPageLayout() = default;
  explicit RunPageLayout(const wasm::Module& module);
  uint32_t libcall(Libcall call) const {
    if (call < kFirstLateLibcall) return libcalls + static_cast<uint32_t>(call) * 8;
    return late_libcalls + (static_cast<uint32_t>(call) - static_cast<uint32_t>(kFirstLateLibcall)) * 8;
  }
  uint32_t type(uint32_t index) const { return types + index * 8; }
  uint32_t slot(uint32_t defined_func) const { return slots + defined_func * 8; }
  uint32_t counter(uint32_t defined_func) const { return counters + defined_func * 4; }
};

}  // namespace rotor::code
