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

/// Takes an image of a standby, which keeps the calls that made it, and what they were replayed on. Called with no lock
/// held.
TakenImage take_image(LiveGuest& standby, Calls calls, std::shared_ptr<const StandbyImage> base);

/// The newest image, the one that the log was cut at, and what is counted of images. Guarded by the Warmer's mutex.
class ImageStore {
 public:
  explicit ImageStore(const Policy& policy) : policy_(policy) {}

  /// Returns the newest image, or null.
  const std::shared_ptr<const StandbyImage>& image() const { return image_; }
  /// Returns where that stands in the log. Pre: there is one.
  const LogPosition& position() const { return position_; }
  /// Returns where the image stands that the log was cut at, or null.
  const LogPosition* cut_position() const { return base_ ? &base_position_ : nullptr; }
  /// Counts what was taken, and puts the image in the place of the one before, if there is one. Returns what went
  /// wrong; empty: nothing.
  std::string put(const TakenImage& taken, const LogPosition& position);
  /// Drops the image. If the log was cut, the one that it was cut at takes its place.
  void drop() {
    image_ = base_;
    position_ = base_position_;
    is_verified_ = false;
  }
  /// Drops the image since no standby could be made from it. Returns false if the next one would begin with the same.
  bool drop_useless() {
    if (!image_ || image_ == base_) return false;
    drop();
    dropped_++;
    return true;
  }
  /// Drops all of them.
  void drop_all() {
    base_.reset();
    drop();
  }
  /// Notes that the calls of an image were replayed once more and returned the same.
  void note_verified(const std::shared_ptr<const StandbyImage>& image) { is_verified_ |= image == image_; }
  /// Returns whether the newest image was verified, and the log not yet cut at it.
  bool can_cut() const { return is_verified_ && image_ && image_ != base_; }
  /// Has the newest image stand for all calls before it: it forgets them. Pre: can_cut.
  void cut();
  /// Returns, once, whether the policy wants the newest image verified.
  bool verification_is_due() { return std::exchange(verification_is_due_, false); }
  /// Sets the counters that are counted here.
  void report(ProxyCounters& to) const;

 private:
  const Policy& policy_;
  std::shared_ptr<const StandbyImage> image_;
  LogPosition position_;
  bool is_verified_ = false;
  std::shared_ptr<const StandbyImage> base_;  ///< that the log was cut at
  LogPosition base_position_;
  bool verification_is_due_ = false;
  uint64_t made_ = 0;
  uint64_t failed_ = 0;
  uint64_t dropped_ = 0;
  uint64_t not_kept_ready_ = 0;
};

}  // namespace rotor::proxy
