// Tables and globals as JavaScript sees them.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>

#include "packages/node/addon/environment.h"
#include "packages/node/addon/function.h"
#include "rotor/rotor.h"

namespace rotor::node {

class TableObject final : public Object, public ReferenceHolder {
 public:
  static constexpr Kind kKind = Kind::table;
  Kind kind() const override { return kKind; }
  /// `guest`: the one whose table it is, which the object keeps; nullptr if JavaScript made it.
  TableObject(Environment& environment, Table table, FunctionOwner* guest);
  ~TableObject() override;
  const Table& table() const { return table_; }
  FunctionOwner* guest() const { return guest_; }
  void exchange(Table table) { table_ = std::move(table); }
  bool mark_references(const std::function<void(ExternRef)>& mark) const override;

 private:
  std::shared_ptr<Environment> environment_;
  Table table_;
  FunctionOwner* guest_;
};

class GlobalObject final : public Object, public ReferenceHolder {
 public:
  static constexpr Kind kKind = Kind::global;
  Kind kind() const override { return kKind; }
  GlobalObject(Environment& environment, Global global, FunctionOwner* guest);  ///< `guest`: as of a TableObject
  ~GlobalObject() override;
  const Global& global() const { return global_; }
  FunctionOwner* guest() const { return guest_; }
  void exchange(Global global) { global_ = std::move(global); }
  bool mark_references(const std::function<void(ExternRef)>& mark) const override;

 private:
  std::shared_ptr<Environment> environment_;
  Global global_;
  FunctionOwner* guest_;
};

/// Defines the functions of memories, tables and globals on the addon's exports.
void define_stores(napi_env env, napi_value exports);

}  // namespace rotor::node
