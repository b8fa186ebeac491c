// The image that standbys are made from: taken of a standby, kept with its place in the log until the next one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "proxy/live_guest.h"
#include "proxy/log.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

/// An image that was taken of a standby, or why there is none.
struct TakenImage {
  Result<std::shared_ptr<const StandbyImage>> image;
  bool guest_is_usable = false;  ///< the standby survived
  Result<void> kept_ready = {};  ///< whether there is address space for the next instance in advance
  uint64_t took_ns = 0;
};

/// Takes an image of a standby, which keeps the calls that made it. Called with no lock held.
TakenImage take_image(LiveGuest& standby, Calls calls);

/// The newest image, and what is counted of images. Guarded by the Warmer's mutex.
class ImageStore {
 public:
  explicit ImageStore(const Policy& policy) : policy_(policy) {}

  /// Returns the image, or null.
  const std::shared_ptr<const StandbyImage>& image() const { return image_; }
  /// Returns where the image stands in the log. Pre: there is one.
  const LogPosition& position() const { return position_; }
  /// Counts what was taken, and puts the image in the place of the one before, if there is one. Returns what went
  /// wrong; empty: nothing.
  std::string put(const TakenImage& taken, const LogPosition& position);
  void drop() { image_.reset(); }
  /// Drops the image since no standby could be made from it.
  void drop_useless() {
    drop();
    dropped_++;
  }
  /// Returns, once, whether the policy wants the newest image verified.
  bool verification_is_due() { return std::exchange(verification_is_due_, false); }
  /// Sets the counters that are counted here.
  void report(ProxyCounters& to) const;

 private:
  const Policy& policy_;
  std::shared_ptr<const StandbyImage> image_;
  LogPosition position_;
  bool verification_is_due_ = false;
  uint64_t made_ = 0;
  uint64_t failed_ = 0;
  uint64_t dropped_ = 0;
  uint64_t not_kept_ready_ = 0;
};

}  // namespace rotor::proxy
