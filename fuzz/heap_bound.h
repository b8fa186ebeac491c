// A bound on the heap that an input may use: it finds inputs of a few bytes that ask for much. The bytes asked for in
// all stand for time, and do not depend on the machine.
#pragma once

#include <sanitizer/allocator_interface.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace rotor::fuzz {

/// Checks that from its construction to its destruction the process does not use more than `constant + a_byte * input`
/// bytes beyond what it used before, nor ask for more than eight times that in all; else aborts the process. There may
/// be one at a time.
class HeapBound {
 public:
  HeapBound(const char* what, size_t input, int64_t a_byte, int64_t constant)
      : what_(what), input_(input), bound_bytes_(constant + a_byte * static_cast<int64_t>(input)) {
    [[maybe_unused]] static const int installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    used_before_ = used_bytes;
    asked_before_ = asked_bytes;
    peak_bytes = used_before_;
  }
  HeapBound(const HeapBound&) = delete;
  ~HeapBound() {
    const int64_t peak = peak_bytes - used_before_, asked = asked_bytes - asked_before_;
    if (peak <= bound_bytes_ && asked <= 8 * bound_bytes_) return;
    std::fprintf(stderr, "%s: %zu bytes took %lld at once and %lld in all, where %lld and eight times that are allowed\n",
                 what_, input_, static_cast<long long>(peak), static_cast<long long>(asked),
                 static_cast<long long>(bound_bytes_));
    std::abort();
  }

 private:
  static void on_malloc(const volatile void*, size_t size) {
    asked_bytes += static_cast<int64_t>(size);
    const int64_t used = used_bytes += static_cast<int64_t>(size);
    for (int64_t peak = peak_bytes; used > peak && !peak_bytes.compare_exchange_weak(peak, used);) {
    }
  }
  static void on_free(const volatile void* memory) {
    used_bytes -= static_cast<int64_t>(__sanitizer_get_allocated_size(const_cast<const void*>(memory)));
  }

  static inline std::atomic<int64_t> used_bytes, peak_bytes, asked_bytes;

  const char* what_;
  size_t input_;
  int64_t bound_bytes_, used_before_, asked_before_;
};

}  // namespace rotor::fuzz
