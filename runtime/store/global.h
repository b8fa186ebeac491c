// Globals as the host sees them: a type and the cell that compiled code reads.
#pragma once

#include <memory>

#include "code/abi.h"
#include "rotor/memory.h"
#include "runtime/store/link_group.h"
#include "runtime/store/type_registry.h"

namespace rotor::runtime {

class EngineImpl;

class GlobalImpl : public std::enable_shared_from_this<GlobalImpl> {
 public:
  /// Makes a global of the host's, with a cell of its own; `uses` keeps the types that its type names.
  GlobalImpl(std::shared_ptr<const EngineImpl> engine, TypeUses uses, const GlobalType& type)
      : engine_(std::move(engine)), type_uses_(std::move(uses)), type_(type), own_{}, cell_(&own_) {}
  /// Makes a global that an instance of `group` defines; its cell is in the instance's context.
  GlobalImpl(std::shared_ptr<const EngineImpl> engine, const GlobalType& type, code::GlobalCell* cell,
             std::shared_ptr<LinkGroup> group)
      : engine_(std::move(engine)), type_(type), own_{}, cell_(cell) {
    tie.belong_to(std::move(group));
  }
  GlobalImpl(const GlobalImpl&) = delete;

  const GlobalType& type() const { return type_; }
  /// Returns the engine to which the types that its type names belong.
  const EngineImpl* engine() const { return engine_.get(); }
  code::GlobalCell* cell() const { return cell_; }

  GroupTie tie;

 private:
  std::shared_ptr<const EngineImpl> engine_;
  TypeUses type_uses_;
  GlobalType type_;
  code::GlobalCell own_;
  code::GlobalCell* cell_;
};

}  // namespace rotor::runtime
