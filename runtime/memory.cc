#include "runtime/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace rotor::runtime {

namespace {
constexpr uint64_t kMaxPages = 65536;  // what a 32-bit index reaches
}

Result<std::shared_ptr<MemoryImpl>> MemoryImpl::create(const MemoryType& type, const MemoryLimits& limits,
                                                       const std::shared_ptr<const memory::Image>& image) {
  if (type.is64) return fail(ErrorKind::unsupported, "memory64: 64-bit memories");
  uint64_t max_pages = std::min(type.limits.max, kMaxPages);
  if (type.limits.min > max_pages)
    return fail(ErrorKind::invalid_argument,
                fmt::format("a memory of {} pages, at most {}", type.limits.min, max_pages));
  if (type.shared && !type.limits.has_max())
    return fail(ErrorKind::invalid_argument, "a shared memory needs a maximum");
  std::shared_ptr<MemoryImpl> memory(new MemoryImpl(type, limits));
  uint64_t limit_pages = std::min(limits.limit_bytes / jit::kWasmPageBytes, max_pages);
  memory->limit_bytes_ = limit_pages * jit::kWasmPageBytes;
  uint64_t min_bytes = image ? image->size_bytes() : type.limits.min * jit::kWasmPageBytes;
  ROTOR_CHECK(memory->check_limit(min_bytes));
  using Space = memory::LinearMemory;
  auto kind = limits.imageable ? Space::Kind::imageable : Space::Kind::plain;
  // The whole reach of a 32-bit index and a static offset, whatever the limit: compiled code checks no bound.
  if (image && kind == Space::Kind::plain) {
    ROTOR_TRY(memory->space_, Space::of_image(image, memory->limit_bytes_, jit::kReservedBytes));
  } else {
    ROTOR_TRY(memory->space_, Space::create(image ? 0 : min_bytes, memory->limit_bytes_, jit::kReservedBytes, kind));
    if (image) ROTOR_CHECK(memory->space_->restore(image));
  }
  memory->def_.base = memory->space_->base();
  memory->space_->attach_size(&memory->def_.size_bytes);
  return memory;
}

Result<void> MemoryImpl::check_limit(uint64_t bytes) const {
  if (bytes <= limit_bytes_) return {};
  return fail(ErrorKind::limit, fmt::format("a memory of {} pages, over limit_bytes = {}", bytes / jit::kWasmPageBytes,
                                            limits_.limit_bytes));
}

Result<void> MemoryImpl::restore(const std::shared_ptr<const memory::Image>& image) {
  ROTOR_CHECK(check_limit(image->size_bytes()));
  return space_->restore(image);
}

MemoryType MemoryImpl::type() const {
  MemoryType type = type_;
  type.limits.min = size_bytes() / jit::kWasmPageBytes;
  return type;
}

bool MemoryImpl::may_grow(uint64_t old_bytes, uint64_t new_bytes) const {
  if (new_bytes > limit_bytes_) return false;
  if (!limits_.on_watermark || static_cast<double>(new_bytes) < limits_.watermark * static_cast<double>(limit_bytes_))
    return true;
  return limits_.on_watermark({old_bytes, new_bytes, limit_bytes_});
}

uint64_t MemoryImpl::grow(uint64_t delta_pages) {
  uint64_t old_bytes = size_bytes();
  if (delta_pages == 0) return old_bytes / jit::kWasmPageBytes;
  uint64_t grown = UINT64_MAX;
  // At most 2^32 pages more: no wrap. No lock is held while the callback runs (it may use the memory); should another
  // thread grow meanwhile, LinearMemory still keeps to limit_bytes_.
  if (delta_pages <= kMaxPages && may_grow(old_bytes, old_bytes + delta_pages * jit::kWasmPageBytes))
    grown = space_->grow(delta_pages * jit::kWasmPageBytes);
  if (grown == UINT64_MAX) {
    denied_.fetch_add(1, std::memory_order_relaxed);
    return UINT64_MAX;
  }
  return grown / jit::kWasmPageBytes;
}

}  // namespace rotor::runtime

namespace rotor {

namespace {
std::unexpected<Error> gone() { return fail(ErrorKind::stale_handle, "the memory is gone"); }
std::unexpected<Error> out_of_bounds(uint64_t address, uint64_t size, uint64_t have) {
  return fail(ErrorKind::invalid_argument,
              fmt::format("{} bytes at 0x{:x} are out of bounds of a memory of {} bytes", size, address, have));
}
}  // namespace

Result<Memory> Memory::create(const Engine&, const MemoryType& type, MemoryLimits limits) {
  Memory memory;
  ROTOR_TRY(memory.strong_, runtime::MemoryImpl::create(type, limits));
  return memory;
}

bool Memory::alive() const { return lock() != nullptr; }

uint8_t* Memory::data() const {
  auto impl = lock();
  return impl ? impl->base() : nullptr;
}

uint64_t Memory::size_bytes() const {
  if (strong_) [[likely]]
    return strong_->size_bytes();
  auto impl = lock();
  return impl ? impl->size_bytes() : 0;
}

uint64_t Memory::limit_bytes() const {
  auto impl = lock();
  return impl ? impl->limit_bytes() : 0;
}

Result<uint64_t> Memory::grow(uint64_t delta_pages) const {
  auto impl = lock();
  if (!impl) return gone();
  uint64_t old_pages = impl->grow(delta_pages);
  if (old_pages == UINT64_MAX)
    return fail(ErrorKind::limit, fmt::format("growth by {} pages was refused: {} of {} bytes in use", delta_pages,
                                              impl->size_bytes(), impl->limit_bytes()));
  return old_pages;
}

uint64_t Memory::denied_growths() const {
  auto impl = lock();
  return impl ? impl->denied_growths() : 0;
}

Result<void> Memory::read(uint64_t address, std::span<uint8_t> out) const {
  auto impl = lock();
  if (!impl) return gone();
  const uint8_t* from = impl->range(address, out.size());
  if (!from) return out_of_bounds(address, out.size(), impl->size_bytes());
  if (!out.empty()) std::memcpy(out.data(), from, out.size());
  return {};
}

Result<void> Memory::write(uint64_t address, std::span<const uint8_t> bytes) const {
  auto impl = lock();
  if (!impl) return gone();
  uint8_t* to = impl->range(address, bytes.size());
  if (!to) return out_of_bounds(address, bytes.size(), impl->size_bytes());
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return {};
}

MemoryType Memory::type() const {
  auto impl = lock();
  return impl ? impl->type() : MemoryType{};
}

}  // namespace rotor
