#include "runtime/store/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "code/abi.h"
#include "memory/os.h"
#include "rotor/guard.h"
#include "runtime/access.h"
#include "runtime/engine.h"
#include "wasm/limits.h"

namespace rotor::runtime {

namespace {

static_assert(code::kMostSlabBytes == memory::Slab::kMostPartBytes);

/// Returns the pages that an index of the memory's type reaches, at most those of kMaxMemoryBytes.
uint64_t most_pages(const MemoryType& type) {
  if (type.is64) return code::kMaxMemoryBytes >> type.page_size_log2;
  return type.page_size_log2 ? wasm::kMaxMemory32Pages : wasm::kMaxMemory32BytePages;
}

/// Checks a type of the host's, which may be anything; a module's were validated.
Result<void> check_type(const MemoryType& type) {
  if (type.page_size_log2 != 0 && type.page_size_log2 != 16)
    return fail(ErrorKind::invalid_argument, "a memory's pages are of 1 or 65536 bytes");
  uint64_t max_pages = type.is64 ? type.limits.max : std::min(type.limits.max, most_pages(type));
  if (type.limits.min > max_pages)
    return fail(ErrorKind::invalid_argument,
                fmt::format("a memory of {} pages, at most {}", type.limits.min, max_pages));
  if (type.shared && !type.limits.has_max())
    return fail(ErrorKind::invalid_argument, "a shared memory needs a maximum");
  return {};
}

}  // namespace

uint64_t MemoryImpl::reach_bytes(const MemoryType& type, uint64_t limit_bytes) {
  return std::min({limit_bytes >> type.page_size_log2, type.limits.max, most_pages(type)}) << type.page_size_log2;
}

Result<std::shared_ptr<MemoryImpl>> MemoryImpl::create(const MemoryType& type, const MemoryLimits& limits,
                                                       std::shared_ptr<Budget> budget,
                                                       std::shared_ptr<const memory::SlotContents> contents,
                                                       bool on_slab) {
  ROTOR_CHECK(check_type(type));
  std::shared_ptr<MemoryImpl> memory(new MemoryImpl(type, limits, on_slab));
  memory->limit_bytes_ = reach_bytes(type, limits.limit_bytes);
  memory->budget_ = budget ? std::move(budget) : std::make_shared<Budget>(memory->limit_bytes_);
  uint64_t pages = type.limits.min;
  if (contents) pages = std::max(pages, (contents->size_bytes() + type.page_bytes() - 1) >> type.page_size_log2);
  ROTOR_CHECK(memory->charge(pages));
  const uint64_t bytes = pages << type.page_size_log2;
  using Space = memory::LinearMemory;
  const auto kind = limits.imageable ? Space::Kind::imageable : Space::Kind::plain;
  std::unique_ptr<Space> space;
  if (contents && kind == Space::Kind::plain) {
    const auto place = on_slab && !contents->image() ? memory::Place::slab : memory::Place::reservation;
    ROTOR_TRY(space, Space::of(std::move(contents), bytes, memory->limit_bytes_, memory->reserved_bytes(), place));
  } else {
    const bool of_image = contents && contents->image();
    ROTOR_TRY(space, Space::create(of_image ? 0 : bytes, memory->limit_bytes_, memory->reserved_bytes(), kind));
    if (of_image) {
      ROTOR_CHECK(space->restore(std::static_pointer_cast<const memory::Image>(contents)));
      const uint64_t have = space->size_bytes();
      if (have < bytes && space->grow(bytes - have) == UINT64_MAX)
        return fail(ErrorKind::io, fmt::format("no memory for a memory of {} bytes", bytes));
    } else if (contents) {
      contents->replace(space->base());
    }
  }
  memory->use_space(std::move(space));
  return memory;
}

void MemoryImpl::use_space(std::unique_ptr<memory::LinearMemory> space) {
  space_ = std::move(space);
  def_.base = space_->base();
  space_->attach_size(&def_.size_bytes);
}

uint64_t MemoryImpl::reserved_bytes() const {
  // Returns the whole reach of a 32-bit index and a static offset, whatever the limit: compiled code checks no bound.
  if (check() == code::MemoryCheck::guard) return code::kReservedBytes;
  // For other checks compiled code compares with the size. What the memory may grow to is reserved, so that its base
  // never moves.
  const uint64_t reach_bytes = memory::os::round_up_to_page(limit_bytes_);
  return check() == code::MemoryCheck::slab ? reach_bytes : reach_bytes + code::kGuardBytes;
}

Result<void> MemoryImpl::charge(uint64_t pages) {
  if (pages > limit_bytes_ >> type_.page_size_log2)
    return fail(ErrorKind::limit, fmt::format("a memory of {} pages of {} bytes, over its limit of {} bytes", pages,
                                              type_.page_bytes(), limit_bytes_));
  const uint64_t bytes = pages << type_.page_size_log2;
  const uint64_t charged = charged_bytes_.load(std::memory_order_relaxed);
  if (bytes <= charged) return {};
  if (!budget_->take(bytes - charged))
    return fail(ErrorKind::limit, fmt::format("a memory of {} bytes, where the memories of the instance have {} of {} "
                                              "bytes, limit_bytes of all together",
                                              bytes, budget_->used(), budget_->limit()));
  charged_bytes_.store(bytes, std::memory_order_relaxed);
  return {};
}

void MemoryImpl::settle() {
  const uint64_t size = size_bytes();
  budget_->give_back(charged_bytes_.exchange(size, std::memory_order_relaxed) - size);
}

MemoryImpl::~MemoryImpl() {
  if (space_ && is_new_.load(std::memory_order_relaxed)) space_->note_untouched();
  budget_->give_back(charged_bytes_.load(std::memory_order_relaxed));
}

Result<std::shared_ptr<const memory::Image>> MemoryImpl::seal_image(memory::LinearMemory::Copy copy) {
  auto image = space_->seal_image(copy);
  settle();  // after an error it may have no bytes
  return image;
}

bool MemoryImpl::take_slot(const std::shared_ptr<const memory::Image>& image) {
  assert(users() <= 1);
  if (!is_new_.load(std::memory_order_relaxed)) return false;
  auto slot = memory::LinearMemory::of(image, image->size_bytes(), limit_bytes_, reserved_bytes());
  if (!slot) return false;
  space_->note_untouched();
  use_space(std::move(*slot));
  return true;
}

Result<void> MemoryImpl::restore(const std::shared_ptr<const memory::Image>& image) {
  ROTOR_CHECK(charge(image->size_bytes() >> type_.page_size_log2));
  auto restored = take_slot(image) ? Result<void>() : space_->restore(image);
  note_use();
  settle();
  return restored;
}

MemoryType MemoryImpl::type() const {
  MemoryType type = type_;
  type.limits.min = size_bytes() >> type.page_size_log2;
  return type;
}

Result<bool> MemoryImpl::charge_growth(uint64_t delta_bytes) {
  const auto used_bytes = budget_->take(delta_bytes);
  if (!used_bytes) return false;
  const uint64_t limit = budget_->limit();
  // No lock is held while the callback runs: it may use the memory.
  const bool below_watermark = static_cast<double>(*used_bytes) < limits_.watermark * static_cast<double>(limit);
  if (!limits_.on_watermark || below_watermark) return true;
  auto ask = [&] { return limits_.on_watermark({*used_bytes - delta_bytes, *used_bytes, limit}); };
  Result<bool> allowed = detail::guarded("on_watermark", ask);
  if (!allowed || !*allowed) budget_->give_back(delta_bytes);
  return allowed;
}

Result<uint64_t> MemoryImpl::grow(uint64_t delta_pages) {
  uint64_t old_bytes = size_bytes();
  const uint32_t log2 = type_.page_size_log2;
  if (delta_pages == 0) return old_bytes >> log2;
  note_use();
  uint64_t grown = UINT64_MAX;
  // Pages that fit in the limit do not wrap in bytes. If another thread grows meanwhile, LinearMemory still keeps to
  // limit_bytes_.
  Result<bool> may = delta_pages <= (limit_bytes_ - old_bytes) >> log2;
  const uint64_t delta_bytes = delta_pages << log2;
  if (*may) may = charge_growth(delta_bytes);
  if (may && *may) {
    grown = space_->grow(delta_bytes);
    if (grown == UINT64_MAX)
      budget_->give_back(delta_bytes);
    else
      charged_bytes_.fetch_add(delta_bytes, std::memory_order_relaxed);
  }
  if (grown != UINT64_MAX) return grown >> log2;
  denied_.fetch_add(1, std::memory_order_relaxed);
  budget_->deny();
  if (!may) return std::unexpected(std::move(may).error());
  return UINT64_MAX;
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

Result<Memory> Memory::create(const Engine& engine, const MemoryType& type, MemoryLimits limits) {
  Memory memory;
  ROTOR_TRY(memory.strong_, runtime::MemoryImpl::create(type, limits, nullptr, runtime::impl_of(engine).zeroes));
  return memory;
}

bool Memory::alive() const { return lock() != nullptr; }

uint8_t* Memory::data() const {
  auto impl = lock();
  if (!impl) return nullptr;
  impl->note_use();
  return impl->base();
}

uint64_t Memory::size_bytes() const {
  if (strong_) [[likely]]
    return strong_->size_bytes();
  auto impl = lock();
  return impl ? impl->size_bytes() : 0;
}

uint64_t Memory::page_bytes() const {
  auto impl = lock();
  return impl ? impl->type().page_bytes() : kPageBytes;
}

uint64_t Memory::limit_bytes() const {
  auto impl = lock();
  return impl ? impl->limit_bytes() : 0;
}

Result<uint64_t> Memory::grow(uint64_t delta_pages) const {
  auto impl = lock();
  if (!impl) return gone();
  ROTOR_TRY(uint64_t old_pages, impl->grow(delta_pages));
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
  impl->note_use();
  uint8_t* to = impl->range(address, bytes.size());
  if (!to) return out_of_bounds(address, bytes.size(), impl->size_bytes());
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return {};
}

const void* Memory::identity() const { return lock().get(); }

MemoryType Memory::type() const {
  auto impl = lock();
  return impl ? impl->type() : MemoryType{};
}

}  // namespace rotor
