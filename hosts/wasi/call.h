// What each function is given: who calls, the environment, and the guest's memory.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "hosts/wasi/environment.h"
#include "hosts/wasi/limits.h"
#include "hosts/wasi/types.h"
#include "rotor/func.h"

namespace rotor::wasi {

/// The pieces of a read or write, where they lie in the guest's memory. Many of them lie on the heap: a guest may call
/// with little stack left (Limits::host_stack_reserve_bytes), and what it asks for must not take more.
struct Pieces {
  static constexpr uint32_t kFew = 16;
  std::array<iovec, kFew> few;  // not initialised
  std::vector<iovec> many;      ///< in place of `few`, unless empty
  uint32_t count = 0;
  uint64_t bytes = 0;  ///< of all, at most kMaxTransferBytes

  /// Makes room for so many.
  void reserve(uint32_t most) {
    if (most > kFew) many.resize(most);
  }
  iovec* all() { return many.empty() ? few.data() : many.data(); }
  const iovec* all() const { return many.empty() ? few.data() : many.data(); }

  /// Takes bytes off the beginning. Pre: there are as many.
  void drop(uint64_t size_bytes) {
    bytes -= size_bytes;
    uint32_t whole = 0;
    while (whole < count && size_bytes >= all()[whole].iov_len) size_bytes -= all()[whole++].iov_len;
    std::copy(all() + whole, all() + count, all());
    count -= whole;
    if (count == 0) return;
    all()[0].iov_base = static_cast<uint8_t*>(all()[0].iov_base) + size_bytes;
    all()[0].iov_len -= size_bytes;
  }
};

class Call {
 public:
  Call(Caller& caller, EnvironmentImpl& environment) : caller_(caller), environment_(environment) {}
  Caller& caller() { return caller_; }
  EnvironmentImpl& environment() { return environment_; }
  Table& table() { return environment_.table; }

  // The guest's memory. Errors of these: fault. What another thread may change meanwhile is copied before it is looked
  // at.

  Outcome<std::span<const uint8_t>> view(uint32_t address, uint64_t size_bytes) {
    auto bytes = caller_.view(address, size_bytes);
    if (!bytes) return fail(Errno::fault);
    return *bytes;
  }
  Outcome<std::span<uint8_t>> edit(uint32_t address, uint64_t size_bytes) {
    auto bytes = caller_.edit(address, size_bytes);
    if (!bytes) return fail(Errno::fault);
    return *bytes;
  }
  template <class T>
  Outcome<T> load(uint64_t address) {
    static_assert(std::is_trivially_copyable_v<T>);
    auto bytes = caller_.view(address, sizeof(T));
    if (!bytes) return fail(Errno::fault);
    T value;
    std::memcpy(&value, bytes->data(), sizeof value);
    return value;
  }
  template <class T>
  Outcome<void> store(uint64_t address, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    auto bytes = caller_.edit(address, sizeof(T));
    if (!bytes) return fail(Errno::fault);
    std::memcpy(bytes->data(), &value, sizeof value);
    caller_.edited(address, sizeof value);
    return {};
  }
  /// Returns a path, checked. Errors: those of check_path as well.
  Outcome<std::string> path(uint32_t address, uint32_t size_bytes) {
    if (size_bytes > kMaxPathBytes) return fail(Errno::nametoolong);
    ROTOR_TRY(auto bytes, view(address, size_bytes));
    std::string path(bytes.begin(), bytes.end());
    ROTOR_CHECK(check_path(path));
    return path;
  }
  /// Fills in the pieces of a read (`for_edit`) or write. Errors: inval (too many) as well.
  Outcome<void> pieces(uint32_t address, uint32_t count, Pieces& out) {
    if (count > kMaxIovecs) return fail(Errno::inval);
    ROTOR_TRY(auto list, view(address, uint64_t{count} * sizeof(GuestIovec)));
    out.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      GuestIovec piece;
      std::memcpy(&piece, list.data() + i * sizeof piece, sizeof piece);
      ROTOR_TRY(auto bytes, edit(piece.address, piece.size_bytes));
      const uint64_t size = std::min<uint64_t>(bytes.size(), kMaxTransferBytes - out.bytes);
      if (size == 0) continue;
      out.all()[out.count++] = {bytes.data(), size};
      out.bytes += size;
    }
    return {};
  }
  /// Says that what is read goes to the pieces whose list lies there. Pre: `pieces` was called with the same.
  void follow(uint32_t address, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) caller_.follows(address + uint64_t{i} * sizeof(GuestIovec));
  }
  /// Says that the first `size_bytes` of the pieces were written to.
  void edited(const Pieces& pieces, uint64_t size_bytes) {
    auto memory = caller_.view(0, 0);
    if (!memory) return;
    for (uint32_t i = 0; i < pieces.count && size_bytes > 0; ++i) {
      const uint64_t size = std::min<uint64_t>(pieces.all()[i].iov_len, size_bytes);
      caller_.edited(static_cast<uint64_t>(static_cast<uint8_t*>(pieces.all()[i].iov_base) - memory->data()), size);
      size_bytes -= size;
    }
  }

 private:
  Caller& caller_;
  EnvironmentImpl& environment_;
};

}  // namespace rotor::wasi
