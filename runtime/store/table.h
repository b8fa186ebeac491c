// Tables. The elements of an instance's table are in the heap, however many tables there are and whatever they may grow
// to, and move when it grows: one thread at a time is inside its link group. A host's table may belong to no group, and
// be read by one thread while another grows it: its elements lie in address space that is reserved for its maximum, and
// never move.
#pragma once

#include <memory>
#include <span>

#include "code/abi.h"
#include "rotor/memory.h"
#include "runtime/store/budget.h"
#include "runtime/store/link_group.h"
#include "runtime/store/type_registry.h"

namespace rotor::runtime {

class EngineImpl;

class TableImpl : public std::enable_shared_from_this<TableImpl> {
 public:
  /// Makes a table of an instance; every element is `init` (a slot), and counted in the budget. Errors: limit, io.
  static Result<std::shared_ptr<TableImpl>> create(std::shared_ptr<const EngineImpl> engine, const TableType& type,
                                                   uint64_t init, std::shared_ptr<Budget> elements);
  /// Makes a table of the host; every element is null. Errors: limit, io; stale_handle (its type names a type that is
  /// gone).
  static Result<std::shared_ptr<TableImpl>> create_for_host(std::shared_ptr<EngineImpl> engine, const TableType& type,
                                                            uint64_t limit_elements);
  ~TableImpl();
  TableImpl(const TableImpl&) = delete;

  code::TableDef* def() { return &def_; }
  uint64_t size() const { return def_.size; }
  /// Pre: [index, index + count) was checked by `in_bounds`.
  uint64_t* slots(uint64_t index) { return def_.elements + index; }
  /// Returns whether [index, index + count) lies in the table. No sum here wraps: both terms of a comparison are at
  /// most the size.
  bool in_bounds(uint64_t index, uint64_t count) const { return count <= def_.size && index <= def_.size - count; }
  /// Grows the table. Returns the old size, or UINT64_MAX if the maximum, the limit or the system forbids, which is
  /// counted. Post: pointers that `slots` returned before must not be used.
  uint64_t grow(uint64_t delta, uint64_t init);
  /// Writes the first elements: references to functions, given by the places of their FuncRefs in a context, 0 for
  /// null. Pre: there are as many elements.
  void write_places(std::span<const uint32_t> places, const code::Context* context);
  ValType element() const { return type_.element; }
  /// Returns the engine to which the type that the element type names belongs; may be null if it names none.
  const EngineImpl* engine() const { return engine_.get(); }
  /// Returns its type, with the current size as the minimum.
  TableType type() const;

  GroupTie tie;

 private:
  TableImpl(std::shared_ptr<const EngineImpl> engine, const TableType& type, std::shared_ptr<Budget> elements)
      : engine_(std::move(engine)), type_(type), budget_(std::move(elements)) {}
  /// Checks the minimum of the table's type. Errors: limit (it is more elements than the table may have).
  Result<void> check_minimum() const;
  /// Makes room for `elements`, no fewer than there are. Returns false if the system has no room, and nothing changed.
  bool make_room(uint64_t elements);

  code::TableDef def_{};
  std::shared_ptr<const EngineImpl> engine_;
  TypeUses type_uses_;  ///< of a host's
  TableType type_;
  std::shared_ptr<Budget> budget_;  ///< `def_.size` elements of it are this table's
  uint64_t max_elements_ = 0;
  uint64_t reserved_bytes_ = 0;  ///< 0: the elements are in the heap
  uint64_t room_bytes_ = 0;      ///< that can be used now; those never used are zero
};

/// Converts a value to a slot for something of type `wanted` that belongs to `tie`'s group, which a function joins.
/// Errors: type_mismatch, stale_handle, invalid_argument.
Result<uint64_t> slot_of_value(const Value& value, ValType wanted, const EngineImpl* engine, GroupTie& tie);

}  // namespace rotor::runtime
