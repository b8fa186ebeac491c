// A linear memory as JavaScript sees it: a buffer that is detached when the memory grows or changes.
#pragma once

#include <node_api.h>

#include <memory>

#include "packages/node/addon/environment.h"
#include "rotor/rotor.h"

namespace rotor::node {

class MemoryObject final : public Object, public BufferHolder {
 public:
  static constexpr Kind kKind = Kind::memory;
  Kind kind() const override { return kKind; }
  MemoryObject(Environment& environment, Memory memory);
  ~MemoryObject() override;

  const Memory& memory() const { return memory_; }
  /// Returns the ArrayBuffer of all its bytes: one object until the memory grows or is exchanged. It is no
  /// SharedArrayBuffer for a shared memory either: Node-API can't make one of memory that is not V8's. nullptr, with a
  /// JavaScript exception pending, if the system refused.
  napi_value buffer();
  bool detach_if_grown() override;
  /// Detaches the buffer if there is one: the next one is another object.
  void detach();
  /// Becomes another memory: the guest's next generation.
  void exchange(Memory memory);

 private:
  struct Bytes;

  std::shared_ptr<Environment> environment_;
  Memory memory_;
  napi_ref buffer_ = nullptr;
  Bytes* bytes_ = nullptr;  ///< what the buffer shows; the buffer owns it
};

}  // namespace rotor::node
