// Memory, Table and Global: handles to memories, tables and globals that instances and hosts share.
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

/// A linear memory. Each memory is reference-counted: one that `create` returned lives while a copy of that handle or
/// an instance holds it; one taken from an instance is weak. The base address never changes once data() has told it, or
/// an instance was made with the memory, and dies with it: then another one may have its address space.
class Memory {
 public:
  /// Bytes of a page, unless the type says otherwise (MemoryType::page_size_log2).
  static constexpr uint64_t kPageBytes = 65536;
  /// Makes a handle of no memory.
  Memory() = default;

  /// Makes a memory of the host's, to be imported. Errors: limit, io (no address space), invalid_argument (no such
  /// type).
  static Result<Memory> create(const Engine& engine, const MemoryType& type, MemoryLimits limits = {});

  /// Returns whether the memory is still there.
  bool alive() const;
  /// Returns the address of byte 0; nullptr if the memory is gone.
  uint8_t* data() const;
  uint64_t size_bytes() const;  ///< 0 if the memory is gone
  uint64_t page_bytes() const;  ///< a power of two; kPageBytes if the memory is gone
  /// Returns the size in pages of page_bytes(); 0 if the memory is gone.
  uint64_t size_pages() const { return size_bytes() / page_bytes(); }
  uint64_t limit_bytes() const;  ///< bytes that it may grow to; 0 if the memory is gone
  /// Grows it as `memory.grow` does, and returns the old size in pages. Errors: limit, stale_handle; host
  /// (MemoryLimits::on_watermark threw).
  Result<uint64_t> grow(uint64_t delta_pages) const;
  /// Returns the number of growths that the limit, the callback or the system refused.
  uint64_t denied_growths() const;
  /// Read and write bytes. Errors: invalid_argument (out of bounds, which is no trap here); stale_handle.
  Result<void> read(uint64_t address, std::span<uint8_t> out) const;
  /// Does the same the other way: copies `bytes` to `address`.
  Result<void> write(uint64_t address, std::span<const uint8_t> bytes) const;
  /// Returns the type, whose minimum is the current size. If the memory is gone, it is a MemoryType{}.
  MemoryType type() const;
  /// Returns a handle that keeps the memory alive, whoever drops it; its size_bytes() is a plain read. If the memory is
  /// gone, it is gone for that handle, too.
  Memory pinned() const {
    Memory m;
    m.strong_ = lock();
    return m;
  }
  /// Returns an address that is the memory's alone as long as it is there, by which what the host keeps of it can be
  /// found; nullptr if it is gone.
  const void* identity() const;
  /// Returns whether both name the same memory: one that is there.
  friend bool operator==(const Memory& a, const Memory& b) {
    auto memory = a.lock();
    return memory && memory == b.lock();
  }

 private:
  friend struct detail::Access;
  explicit Memory(const std::shared_ptr<runtime::MemoryImpl>& impl) : weak_(impl) {}
  std::shared_ptr<runtime::MemoryImpl> lock() const { return strong_ ? strong_ : weak_.lock(); }

  std::shared_ptr<runtime::MemoryImpl> strong_;
  std::weak_ptr<runtime::MemoryImpl> weak_;
};

/// A table. One taken from an instance is weak; one that `create` returned belongs to its handle.
class Table {
 public:
  /// Makes a handle of no table.
  Table() = default;
  /// Makes a table of the host's, to be imported. Errors: limit, io, invalid_argument; type_mismatch, stale_handle
  /// (those of `init`); stale_handle (the type names one that is gone).
  static Result<Table> create(const Engine& engine, const TableType& type, const Value& init,
                              uint64_t limit_elements = 10'000'000);
  uint64_t size() const;  ///< in elements; 0 if the table is gone
  /// Returns an element. Errors: invalid_argument (no such index; another thread is inside), stale_handle.
  Result<Value> get(uint64_t index) const;
  /// Sets an element. Errors: those of get; type_mismatch.
  Result<void> set(uint64_t index, const Value& value) const;
  /// Grows it, and returns the old size in elements. Errors: limit, type_mismatch, stale_handle.
  Result<uint64_t> grow(uint64_t delta_elements, const Value& init) const;
  /// Returns the type, whose minimum is the current size. If the table is gone, it is a TableType{}.
  TableType type() const;
  /// Returns an address that is the table's alone as long as it is there, by which what the host keeps of it can be
  /// found; nullptr if it is gone.
  const void* identity() const;
  /// Returns whether both name the same table: one that is there.
  friend bool operator==(const Table& a, const Table& b) {
    auto table = a.lock();
    return table && table == b.lock();
  }

 private:
  friend struct detail::Access;
  explicit Table(const std::shared_ptr<runtime::TableImpl>& impl) : weak_(impl) {}
  std::shared_ptr<runtime::TableImpl> lock() const { return strong_ ? strong_ : weak_.lock(); }

  std::shared_ptr<runtime::TableImpl> strong_;
  std::weak_ptr<runtime::TableImpl> weak_;
};

/// A global. One taken from an instance is weak; one that `create` returned belongs to its handle.
class Global {
 public:
  /// Makes a handle of no global.
  Global() = default;
  /// Makes a global of the host's, to be imported. Errors: type_mismatch, stale_handle (those of `init`); stale_handle
  /// (the type names one that is gone).
  static Result<Global> create(const Engine& engine, const GlobalType& type, const Value& init);
  /// Returns the value. Errors: stale_handle; invalid_argument (another thread is inside).
  Result<Value> get() const;
  /// Errors: invalid_argument (immutable), type_mismatch, stale_handle.
  Result<void> set(const Value& value) const;
  /// Returns the type. If the global is gone, it is a GlobalType{}.
  GlobalType type() const;
  /// Returns an address that is the global's alone as long as it is there, by which what the host keeps of it can be
  /// found; nullptr if it is gone.
  const void* identity() const;
  /// Returns whether both name the same global: one that is there.
  friend bool operator==(const Global& a, const Global& b) {
    auto global = a.lock();
    return global && global == b.lock();
  }

 private:
  friend struct detail::Access;
  explicit Global(const std::shared_ptr<runtime::GlobalImpl>& impl) : weak_(impl) {}
  std::shared_ptr<runtime::GlobalImpl> lock() const { return strong_ ? strong_ : weak_.lock(); }

  std::shared_ptr<runtime::GlobalImpl> strong_;
  std::weak_ptr<runtime::GlobalImpl> weak_;
};

}  // namespace rotor
