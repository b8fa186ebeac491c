// Memory, Table and Global: handles to what instances and hosts share.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "rotor/engine.h"
#include "rotor/limits.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {
namespace runtime {
class MemoryImpl;
class TableImpl;
class GlobalImpl;
}  // namespace runtime

/// A linear memory. Memories are counted on their own: one that `create` returned lives while a copy of that
/// handle or an instance holds it; one taken from an instance is weak. The base address never changes.
class Memory {
 public:
  /// Of a page, but where the type says otherwise (MemoryType::page_size_log2).
  static constexpr uint64_t kPageBytes = 65536;

  /// A memory of the host's, to be imported. Errors: limit, io (no address space), invalid_argument (no such type).
  static Result<Memory> create(const Engine& engine, const MemoryType& type, MemoryLimits limits = {});

  bool alive() const;
  /// Address of byte 0; nullptr if the memory is gone.
  uint8_t* data() const;
  uint64_t size_bytes() const;  ///< 0 if the memory is gone
  uint64_t page_bytes() const;
  uint64_t size_pages() const { return size_bytes() / page_bytes(); }
  uint64_t limit_bytes() const;
  /// `memory.grow`: the old size in pages. Errors: limit, stale_handle; host (MemoryLimits::on_watermark threw).
  Result<uint64_t> grow(uint64_t delta_pages) const;
  /// Growths that the limit, the callback or the system refused.
  uint64_t denied_growths() const;
  /// Errors: trap-free out_of_bounds as invalid_argument; stale_handle.
  Result<void> read(uint64_t address, std::span<uint8_t> out) const;
  Result<void> write(uint64_t address, std::span<const uint8_t> bytes) const;
  MemoryType type() const;
  /// A handle that keeps the memory alive, whoever drops it; of one that is gone, one that is gone. Its size_bytes() is
  /// a plain read.
  Memory pinned() const {
    Memory m;
    m.strong_ = lock();
    return m;
  }

  const std::shared_ptr<runtime::MemoryImpl> lock() const { return strong_ ? strong_ : weak_.lock(); }
  static Memory weak(const std::shared_ptr<runtime::MemoryImpl>& impl) {
    Memory m;
    m.weak_ = impl;
    return m;
  }

 private:
  std::shared_ptr<runtime::MemoryImpl> strong_;
  std::weak_ptr<runtime::MemoryImpl> weak_;
};

/// A table. One taken from an instance is weak; one that `create` returned belongs to its handle.
class Table {
 public:
  /// A table of the host's, to be imported. Errors: limit, io, invalid_argument; type_mismatch, stale_handle: of
  /// `init`; stale_handle: the type names one that is gone.
  static Result<Table> create(const Engine& engine, const TableType& type, const Value& init,
                              uint64_t limit_elements = 10'000'000);
  uint64_t size() const;  ///< in elements; 0 if the table is gone
  Result<Value> get(uint64_t index) const;
  Result<void> set(uint64_t index, const Value& value) const;
  /// The old size in elements. Errors: limit, type_mismatch, stale_handle.
  Result<uint64_t> grow(uint64_t delta_elements, const Value& init) const;
  TableType type() const;

  std::shared_ptr<runtime::TableImpl> lock() const { return strong_ ? strong_ : weak_.lock(); }
  static Table weak(const std::shared_ptr<runtime::TableImpl>& impl) {
    Table t;
    t.weak_ = impl;
    return t;
  }

 private:
  std::shared_ptr<runtime::TableImpl> strong_;
  std::weak_ptr<runtime::TableImpl> weak_;
};

/// A global. One taken from an instance is weak; one that `create` returned belongs to its handle.
class Global {
 public:
  /// A global of the host's, to be imported. Errors: type_mismatch, stale_handle: of `init`; stale_handle: the type
  /// names one that is gone.
  static Result<Global> create(const Engine& engine, const GlobalType& type, const Value& init);
  Result<Value> get() const;
  /// Errors: invalid_argument (immutable), type_mismatch, stale_handle.
  Result<void> set(const Value& value) const;
  GlobalType type() const;

  std::shared_ptr<runtime::GlobalImpl> lock() const { return strong_ ? strong_ : weak_.lock(); }
  static Global weak(const std::shared_ptr<runtime::GlobalImpl>& impl) {
    Global g;
    g.weak_ = impl;
    return g;
  }

 private:
  std::shared_ptr<runtime::GlobalImpl> strong_;
  std::weak_ptr<runtime::GlobalImpl> weak_;
};

}  // namespace rotor
