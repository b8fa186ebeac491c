#include "runtime/store/snapshot.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "code/abi.h"
#include "runtime/access.h"
#include "runtime/store/extern_type.h"
#include "runtime/store/gc_heap.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

namespace {

/// Returns whether a type lives in the low half of a cell, as i32 and f32 do.
bool is32(ValType type) { return type == ValType::i32 || type == ValType::f32; }

class Taking {
 public:
  Taking(InstanceImpl& instance, SnapshotCopy copy)
      : instance_(instance), wasm_(instance.module_impl().wasm()), copy_(copy) {}

  Result<std::shared_ptr<const SnapshotImpl>> run() {
    auto snapshot = std::make_shared<SnapshotImpl>(instance_.module);
    ROTOR_CHECK(check_imports());
    ROTOR_CHECK(take_globals(*snapshot));
    ROTOR_CHECK(take_tables(*snapshot));
    snapshot->dropped_data = instance_.dropped_data;
    snapshot->dropped_elements = instance_.dropped_elements;
    snapshot->evaluated_elements = instance_.evaluated_elements;
    // Memories are sealed last, so that a snapshot that is refused has changed none.
    using memory::LinearMemory;
    const auto copy = copy_ == SnapshotCopy::changes ? LinearMemory::Copy::changes : LinearMemory::Copy::whole;
    ROTOR_CHECK(take_heap(*snapshot, copy));
    for (const std::shared_ptr<MemoryImpl>& memory : instance_.memories) {
      ROTOR_TRY(snapshot->memories.emplace_back(), memory->seal_image(copy));
      snapshot->reserved_bytes.push_back(memory->reserved_bytes());
    }
    return snapshot;
  }

 private:
  Result<void> check_imports() const {
    if (instance_.context->heap && instance_.group->members().size() != 1)
      return fail(ErrorKind::unsupported, "a snapshot of an instance that shares a garbage-collected heap");
    if (wasm_.imported_tables) return fail(ErrorKind::unsupported, "a snapshot of an instance that imports a table");
    for (uint32_t i = 0; i < wasm_.imported_globals; ++i)
      if (wasm_.globals[i].type.is_mutable)
        return fail(ErrorKind::unsupported, "a snapshot of an instance that imports a mutable global");
    for (const std::shared_ptr<MemoryImpl>& memory : instance_.memories)
      if (memory->users() != 1)
        return fail(ErrorKind::invalid_argument, "the instance's memory is in use by another instance");
    return {};
  }

  Result<void> take_globals(SnapshotImpl& snapshot) const {
    for (uint32_t i = wasm_.imported_globals; i < wasm_.globals.size(); ++i) {
      const ValType type = engine_type(wasm_.globals[i].type.value, instance_.module_impl().types());
      uint64_t bits = instance_.global_cell(i)->bits[0];
      if (is32(type)) bits = static_cast<uint32_t>(bits);
      if (type.is_exn_ref() && bits) return holds_exception("global", i);
      if (type.is_func_ref()) {
        ROTOR_TRY(bits, offset_of(bits, "global", i));
      }
      snapshot.globals.push_back(bits);
      if (type == ValType::v128) snapshot.globals.push_back(instance_.global_cell(i)->bits[1]);
    }
    return {};
  }

  Result<void> take_tables(SnapshotImpl& snapshot) const {
    for (uint32_t i = 0; i < wasm_.tables.size(); ++i) {
      TableImpl& table = *instance_.tables[i];
      std::vector<uint64_t>& elements = snapshot.tables.emplace_back(table.slots(0), table.slots(table.size()));
      if (table.element().is_exn_ref() && std::ranges::any_of(elements, [](uint64_t slot) { return slot != 0; }))
        return holds_exception("table", i);
      if (!table.element().is_func_ref()) continue;
      for (uint64_t& element : elements) {
        ROTOR_TRY(element, offset_of(element, "table", i));
      }
    }
    return {};
  }

  Result<void> take_heap(SnapshotImpl& snapshot, memory::LinearMemory::Copy copy) const {
    if (!instance_.context->heap) return {};
    GcHeap& heap = *instance_.group->gc_heap();
    heap.collect();
    if (ExceptionHeap* exceptions = instance_.group->made_exceptions(); exceptions && exceptions->count())
      return fail(ErrorKind::unsupported, "objects of the heap, or the host, hold exceptions");
    snapshot.heap_state = heap.state();
    for (uint64_t& function : snapshot.heap_state.functions) {
      ROTOR_TRY(function, offset_of(function, "object", 0));
    }
    ROTOR_TRY(snapshot.heap, heap.seal(copy));
    return {};
  }

  static std::unexpected<Error> holds_exception(const char* what, uint32_t index) {
    return fail(ErrorKind::unsupported, fmt::format("{} {} holds an exception", what, index));
  }

  Result<uint64_t> offset_of(uint64_t func_ref, const char* what, uint32_t index) const {
    if (!func_ref) return 0;
    const code::ContextLayout& layout = instance_.module_impl().layout();
    // A foreign context makes this subtraction wrap; the range check rejects it.
    uint64_t offset = func_ref - reinterpret_cast<uint64_t>(instance_.context);
    if (offset >= layout.imported_funcs && offset < layout.size_bytes) return offset;
    return fail(ErrorKind::unsupported, fmt::format("{} {} holds a function of another instance", what, index));
  }

  InstanceImpl& instance_;
  const wasm::Module& wasm_;
  const SnapshotCopy copy_;
};

/// Computes the XXH3-128 of what is added, in order.
class Digest {
 public:
  Digest() : state_(XXH3_createState()) {
    if (state_) XXH3_128bits_reset(state_.get());
  }
  explicit operator bool() const { return state_ != nullptr; }
  void add(const void* bytes, size_t size) { XXH3_128bits_update(state_.get(), bytes, size); }
  void add(uint64_t word) { add(&word, sizeof word); }
  void add(const std::vector<uint64_t>& words) {
    add(words.size());
    add(words.data(), words.size() * sizeof(uint64_t));
  }
  void add(const std::vector<bool>& flags) {
    add(flags.size());
    for (bool flag : flags) add(uint64_t{flag});
  }
  SnapshotDigest result() const {
    XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return {hash.low64, hash.high64};
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

/// Adds an image. Whether a page of zeroes was written or is a hole makes no difference.
Result<void> add_image(Digest& digest, const memory::Image& image) {
  constexpr uint64_t kEnd = UINT64_MAX;
  digest.add(image.size_bytes());
  const size_t page = memory::os::page_bytes();
  ROTOR_CHECK(image.visit([&](uint64_t offset, std::span<const uint8_t> pages) -> Result<void> {
    for (size_t at = 0; at < pages.size(); at += page) {
      if (memory::os::is_zero(pages.subspan(at, page))) continue;
      digest.add(offset + at);
      digest.add(pages.data() + at, page);
    }
    return {};
  }));
  digest.add(kEnd);
  return {};
}

}  // namespace

Result<std::shared_ptr<const SnapshotImpl>> take_snapshot(InstanceImpl& instance, SnapshotCopy copy) {
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(instance.group.get()));
  if (!instance.group->entered_once())
    return fail(ErrorKind::invalid_argument, "a call runs in the instance or in one that it is linked to");
  return Taking(instance, copy).run();
}

}  // namespace rotor::runtime

namespace rotor {

Result<Snapshot> Instance::snapshot(SnapshotCopy copy) const {
  if (!impl_) return fail(ErrorKind::stale_handle, "an empty instance");
  ROTOR_TRY(auto impl, runtime::take_snapshot(*impl_, copy));
  return detail::Access::handle<Snapshot>(std::move(impl));
}

const Module& Snapshot::module() const { return impl_->module; }

uint64_t Snapshot::memory_bytes() const {
  uint64_t bytes = 0;
  if (impl_) impl_->for_each_image([&](const memory::Image& image, uint64_t) { bytes += image.size_bytes(); });
  return bytes;
}

uint64_t Snapshot::resident_bytes() const {
  uint64_t bytes = 0;
  if (impl_) impl_->for_each_image([&](const memory::Image& image, uint64_t) { bytes += image.resident_bytes(); });
  return bytes;
}

Result<void> Snapshot::keep_ready(size_t count) const {
  if (!impl_) return fail(ErrorKind::invalid_argument, "an empty snapshot");
  Result<void> kept;
  impl_->for_each_image([&](const memory::Image& image, uint64_t reserved_bytes) {
    if (kept) kept = image.slots().keep(image, count, image.mapped_bytes(), reserved_bytes);
  });
  return kept;
}

MemorySlots Snapshot::memory_slots() const {
  MemorySlots slots;
  if (impl_) impl_->for_each_image([&](const memory::Image& image, uint64_t) { slots += image.slots().counts(); });
  return slots;
}

Result<SnapshotDigest> Snapshot::digest() const {
  if (!impl_) return fail(ErrorKind::invalid_argument, "an empty snapshot");
  runtime::Digest digest;
  if (!digest) return fail(ErrorKind::io, "no memory for a digest");
  Result<void> added;
  impl_->for_each_image([&](const memory::Image& image, uint64_t) {
    if (added) added = runtime::add_image(digest, image);
  });
  ROTOR_CHECK(added);
  digest.add(impl_->globals);
  for (const auto& table : impl_->tables) digest.add(table);
  digest.add(impl_->dropped_data);
  digest.add(impl_->dropped_elements);
  if (impl_->heap) {
    for (const auto& elements : impl_->evaluated_elements) digest.add(elements);
    digest.add(impl_->heap_state.functions);
    for (memory::HeapRef internal : impl_->heap_state.internals) digest.add(internal);
  }
  return digest.result();
}

}  // namespace rotor
