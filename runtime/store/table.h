// Tables. Those of an instance are in the heap, however many they are and whatever they may grow to, and move when they
// grow: one thread at a time is inside their link group. A host's table may belong to no group, and be read by one
// thread while another grows it: its elements lie in address space reserved for all that it may have, and never move.
#pragma once

#include <memory>

#include "code/abi.h"
#include "rotor/memory.h"
#include "runtime/store/budget.h"
#include "runtime/store/link_group.h"
#include "runtime/store/type_registry.h"

namespace rotor::runtime {

class EngineImpl;

class TableImpl : public std::enable_shared_from_this<TableImpl> {
 public:
  /// Of an instance; every element is `init` (a slot), and taken from the budget. Errors: limit, io.
  static Result<std::shared_ptr<TableImpl>> create(std::shared_ptr<const EngineImpl> engine, const TableType& type,
                                                   uint64_t init, std::shared_ptr<Budget> elements);
  /// Of a host; every element is null. Errors: limit, io; stale_handle: its type names one that is gone.
  static Result<std::shared_ptr<TableImpl>> create_for_host(std::shared_ptr<EngineImpl> engine, const TableType& type,
                                                            uint64_t limit_elements);
  ~TableImpl();
  TableImpl(const TableImpl&) = delete;

  code::TableDef* def() { return &def_; }
  uint64_t size() const { return def_.size; }
  /// Pre: [index, index + count) was checked by `in_bounds`.
  uint64_t* slots(uint64_t index) { return def_.elements + index; }
  /// No sum here wraps: both terms of a comparison are at most the size.
  bool in_bounds(uint64_t index, uint64_t count) const { return count <= def_.size && index <= def_.size - count; }
  /// The old size, or UINT64_MAX if the maximum, the limit or the system forbids, which is counted. Post: `slots` of
  /// before are not to be used.
  uint64_t grow(uint64_t delta, uint64_t init);
  ValType element() const { return type_.element; }
  /// Whose type the element type names; may be null if it names none.
  const EngineImpl* engine() const { return engine_.get(); }
  /// With the current size as minimum.
  TableType type() const;

  GroupTie tie;

 private:
  TableImpl(std::shared_ptr<const EngineImpl> engine, const TableType& type, std::shared_ptr<Budget> elements)
      : engine_(std::move(engine)), type_(type), budget_(std::move(elements)) {}
  /// Errors: limit: it has more elements than it may.
  Result<void> check_minimum() const;
  /// Makes room for `elements`, no fewer than there are. False: the system has none, and nothing changed.
  bool make_room(uint64_t elements);

  code::TableDef def_{};
  std::shared_ptr<const EngineImpl> engine_;
  TypeUses type_uses_;  ///< of a host's
  TableType type_;
  std::shared_ptr<Budget> budget_;  ///< has what `def_.size` says
  uint64_t max_elements_ = 0;
  uint64_t reserved_bytes_ = 0;  ///< 0: the elements are in the heap
  uint64_t room_bytes_ = 0;      ///< that can be used now; what was not yet is zero
};

/// A value as a slot for something of type `wanted` that belongs to `tie`'s group, which a function joins.
/// Errors: type_mismatch, stale_handle, invalid_argument.
Result<uint64_t> slot_of_value(const Value& value, ValType wanted, const EngineImpl* engine, GroupTie& tie);

}  // namespace rotor::runtime
