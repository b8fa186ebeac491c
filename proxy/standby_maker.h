// Makes standbys: by replay of the log, or from an image and the calls behind it.
#pragma once

#include <expected>
#include <memory>
#include <optional>

#include "proxy/live_guest.h"
#include "proxy/log.h"
#include "proxy/replayer.h"

namespace rotor::proxy {

/// Why a warm-up failed.
struct WarmupFailure {
  Error error = {};
  bool futile = false;    ///< the state itself is too big
  bool ran_away = false;  ///< the log grew faster than it was replayed
};

/// A standby in the making.
struct Warmup {
  std::shared_ptr<const StandbyImage> image = {};  ///< that it is made from; null: by replay of the log
  LogPosition position = {};                       ///< where the standby stands in the log
  std::unique_ptr<LiveGuest> guest = {};           ///< also after an error, if it was made at all
  bool wants_image = false;                        ///< an image is to be taken of it
  std::shared_ptr<const StandbyImage> base = {};   ///< for that image: see StandbyImage::base
  Calls calls = {};                                ///< for that image, all calls that it was made by
};

/// An instance made from a checkpoint, or why there is none.
struct Stamped {
  std::unique_ptr<LiveGuest> guest = {};  ///< also after an error, if it was made at all
  std::optional<Error> error = {};
};

/// Called with no lock held but Log::reading, which all of it needs.
class StandbyMaker {
 public:
  StandbyMaker(const Policy& policy, const Plan& plan, Log& log, GuestSource& source, Replayer& replayer)
      : policy_(policy), plan_(plan), log_(log), source_(source), replayer_(replayer) {}

  /// Makes a standby and replays what is recorded meanwhile. `at_any_use`: even if it uses more than `warm_at`.
  std::expected<void, WarmupFailure> make(Warmup& warmup, bool at_any_use);
  /// Makes a standby of which an image is to be taken that the log can be cut at: whatever it uses, and however far the
  /// log has grown when it is made.
  Result<void> make_for_cut(Warmup& warmup);
  /// Makes a standby from the image and what the log has behind that as of now. Pre: there is an image.
  Result<void> stamp(Warmup& warmup);
  /// Makes an instance from a checkpoint, and reseeds it; if that is null, as the factory makes it. Needs no lock.
  Stamped stamp_checkpoint(const StandbyImage* checkpoint);
  /// Replays what was recorded while a standby was made, in rounds, each shorter than the one before if all is well.
  std::expected<void, WarmupFailure> catch_up(Warmup& warmup);
  /// Replays what the log has behind `position` as of now. `calls`, unless null, gets what was replayed.
  Result<void> replay_tail(LiveGuest& guest, LogPosition& position, Calls* calls);

 private:
  /// Makes the guest, and replays what the log has as of now if it is a fresh one.
  Result<void> begin(Warmup& warmup);
  Result<void> reseed(LiveGuest& guest) const;

  const Policy& policy_;
  const Plan& plan_;
  Log& log_;
  GuestSource& source_;
  Replayer& replayer_;
};

}  // namespace rotor::proxy
