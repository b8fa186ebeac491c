// Tables and globals as JavaScript sees them.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>

#include "packages/node/addon/environment.h"
#include "rotor/rotor.h"

namespace rotor::node {

class TableObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::table;
  Kind kind() const override { return kKind; }
  /// `made_here`: JavaScript made it; no guest defines it.
  TableObject(Environment& environment, Table table, bool made_here);
  ~TableObject() override;
  const Table& table() const { return table_; }
  void exchange(Table table) { table_ = std::move(table); }
  void mark_references(const std::function<void(ExternRef)>& mark) const;

 private:
  std::shared_ptr<Environment> environment_;
  Table table_;
};

class GlobalObject final : public Object {
 public:
  static constexpr Kind kKind = Kind::global;
  Kind kind() const override { return kKind; }
  GlobalObject(Environment& environment, Global global, bool made_here);
  ~GlobalObject() override;
  const Global& global() const { return global_; }
  void exchange(Global global) { global_ = std::move(global); }
  void mark_references(const std::function<void(ExternRef)>& mark) const;

 private:
  std::shared_ptr<Environment> environment_;
  Global global_;
};

/// Returns the JavaScript object of a table or global: the one that it has already, or a new one.
napi_value holder_of(Environment& environment, const Table& table);
napi_value holder_of(Environment& environment, const Global& global);

/// Defines the functions of memories, tables and globals on the addon's exports.
void define_stores(napi_env env, napi_value exports);

}  // namespace rotor::node
