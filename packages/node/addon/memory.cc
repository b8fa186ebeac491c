#include "packages/node/addon/memory.h"

#include <algorithm>
#include <utility>

namespace rotor::node {

/// What an ArrayBuffer shows. It keeps the memory, which the buffer may outlive, until the buffer is detached or gone.
struct MemoryObject::Bytes {
  Memory memory;
  uint8_t* data = nullptr;
  uint64_t size = 0;
};

MemoryObject::MemoryObject(Environment& environment, Memory memory)
    : environment_(environment.shared_from_this()), memory_(memory.pinned()) {}

MemoryObject::~MemoryObject() {
  std::erase(environment_->buffered, static_cast<BufferHolder*>(this));
  // Whoever has the buffer may go on to use it.
  environment_->drop(buffer_);
}

napi_value MemoryObject::buffer() {
  napi_env env = environment_->env;
  napi_value value = nullptr;
  if (buffer_ && !detach_if_grown()) {
    bool is_detached = false;
    napi_get_reference_value(env, buffer_, &value);
    if (napi_is_detached_arraybuffer(env, value, &is_detached) == napi_ok && !is_detached) return value;
    detach();  // JavaScript transferred it, which V8 lets nobody do with a buffer of its own memories
  }
  std::erase(environment_->buffered, static_cast<BufferHolder*>(this));
  auto bytes = std::make_unique<Bytes>(memory_.pinned(), memory_.data(), memory_.size_bytes());
  auto free = [](napi_env, void*, void* hint) { delete static_cast<Bytes*>(hint); };
  if (napi_create_external_arraybuffer(env, bytes->data, bytes->size, free, bytes.get(), &value) != napi_ok) {
    napi_throw_error(env, "ROTOR_IO", "rotor: this build of Node allows no buffers of memory that is not V8's");
    return nullptr;
  }
  napi_create_reference(env, value, 1, &buffer_);
  bytes_ = bytes.release();
  environment_->buffered.push_back(this);
  return value;
}

bool MemoryObject::detach_if_grown() {
  if (!buffer_) return true;
  if (bytes_->size == memory_.size_bytes()) return false;
  detach();
  return true;
}

void MemoryObject::detach() {
  if (!buffer_) return;
  napi_env env = environment_->env;
  Scope scope(env);
  napi_value value = nullptr;
  napi_get_reference_value(env, buffer_, &value);
  // A detached buffer has no bytes: nothing needs the memory for its sake. But the bytes of one that was transferred
  // are another buffer's now, and stay.
  bool is_detached = true;
  napi_is_detached_arraybuffer(env, value, &is_detached);
  if (!is_detached && napi_detach_arraybuffer(env, value) == napi_ok) bytes_->memory = Memory();
  environment_->drop(buffer_);
  buffer_ = nullptr;
  bytes_ = nullptr;
}

void MemoryObject::exchange(Memory memory) {
  detach();
  std::erase(environment_->buffered, static_cast<BufferHolder*>(this));
  memory_ = memory.pinned();
}

}  // namespace rotor::node
