// A guest in use, as active, standby or retired, and calls into it with nothing symbolic left in them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/policy.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

/// One argument with raw handles. Data is copied into the guest.
struct RawArg {
  Slot slot = 0;                  ///< scalar, handle
  std::span<const uint8_t> data;  ///< bytes; a vector's elements
};

struct RawReply {
  std::vector<Slot> values;  ///< scalars and raw handles, in order
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> vector;
  bool guest_error = false;  ///< the guest returned its error result; there are no others
  std::string error_text;
};

class LiveGuest {
 public:
  /// Errors: those of the factory; invalid_argument (it made none).
  static Result<std::unique_ptr<LiveGuest>> create(const GuestFactory& factory, const Plan& plan,
                                                   uint64_t memory_limit_bytes);

  /// Errors: trap, host; limit (its allocator failed); invalid_argument (it returned data outside its memory).
  Result<void> call(uint32_t export_index, std::span<const RawArg> args, RawReply& reply);
  /// Looked up on first use; lives as long as this.
  Result<const Func*> func(uint32_t export_index);
  Instance& instance() { return guest_->instance(); }

  uint64_t memory_bytes() const { return memory_.size_bytes(); }
  /// Memory in use, of the limit.
  double use() const {
    return limit_bytes_ ? static_cast<double>(memory_bytes()) / static_cast<double>(limit_bytes_) : 0;
  }

  std::vector<uint32_t> handles;  ///< raw values of the recorded handles, by HandleId
  uint64_t rotation = 0;          ///< that made it the active
  uint64_t calls_replayed = 0;
  uint64_t warmup_ns = 0;

 private:
  LiveGuest(std::unique_ptr<Guest> guest, const Plan& plan)
      : plan_(plan), guest_(std::move(guest)), funcs_(plan.exports.size()) {}
  Result<uint32_t> pass_in(std::span<const uint8_t> data, uint32_t element_bytes);
  template <class T>
  Result<void> take_out(Slot pointer, Slot count, std::vector<T>& out);
  Result<void> free_data(uint32_t pointer, uint32_t bytes, uint32_t align);
  Result<std::string> take_error(uint32_t reference_index);

  const Plan& plan_;
  std::unique_ptr<Guest> guest_;
  Memory memory_;
  uint64_t limit_bytes_ = 0;
  std::vector<Func> funcs_;  ///< by export index, looked up on first use
};

}  // namespace rotor::proxy
