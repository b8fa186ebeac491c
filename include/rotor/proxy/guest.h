// Guests: what a proxy calls, and how it comes by one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "rotor/import_observer.h"
#include "rotor/instance.h"
#include "rotor/linker.h"
#include "rotor/proxy/policy.h"
#include "rotor/result.h"
#include "rotor/snapshot.h"

namespace rotor {

/// A running guest: an instance, and whatever host objects must live exactly as long (a wasm-bindgen host, the
/// `host_data`, worker threads). The proxy owns it; it is entered by one thread at a time, not always the same one.
/// Destroyed on the proxy's background thread; the last active by the thread that destroys the proxy, and the one of
/// Proxy::verify by the thread that called it.
class Guest {
 public:
  Guest() = default;
  virtual ~Guest() = default;
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  /// Returns the instance that calls go to: always the same one, which the guest owns.
  virtual Instance& instance() = 0;
  /// Text of an error object that the guest returned (ResultKind::error): an element of its exported externref table,
  /// with Preset::wasm_bindgen.
  virtual std::string describe_error(ExternRef /*error*/) { return {}; }

  /// Policy::group: starts the workers, and has them leave the guest and end, so that nothing but the main instance is
  /// left. Called while no call runs. Errors of `start` fail the warm-up; one of `stop` means that the guest must not
  /// be used any more.
  virtual Result<void> start_workers(const GroupRule& group);
  /// Ends what start_workers began; see there.
  virtual Result<void> stop_workers(const GroupRule& group);
  /// Host state that belongs to the guest's references and must come along with its image or checkpoint (what external
  /// references stand for): given to the factory as GuestRequest::saved for every guest restored from that image, and
  /// kept as long as it. Called while no call runs, with the workers stopped; for a checkpoint, of the active.
  virtual Result<std::shared_ptr<const void>> save() { return nullptr; }
  /// Whether `has_changed_since` says anything. Asked once, when the guest was made.
  virtual bool tracks_host_state() const { return false; }
  /// With RotationMode::checkpoint: returns whether host state is no longer what it was when `save` returned `saved`,
  /// of this guest or of the one that it took the place of. Then the checkpoint is stale, as after
  /// Caller::state_changed; but what is back as it was (a file that was opened and closed) has not changed. Asked of
  /// the active while no call runs, before calls too, so it must be quick; not after a trap: what the call did that
  /// trapped is undone by `on_rotate` of the next guest.
  virtual bool has_changed_since(const void* /*saved*/) { return false; }
  /// This guest is about to take the place of another: takes over host state that is neither replayed nor in the image
  /// (open files, connections). Called on a thread that calls the proxy, with the gate closed, so it must be quick. An
  /// error keeps the old one in place and fails the warm-up. The old one may have trapped; and where it is exchanged
  /// under a lease (`force_at`), another thread may be in it.
  virtual Result<void> on_rotate(Guest& /*retired*/) { return {}; }
  /// A call of the guest trapped (`on_trap` = rotate): its locks may be held, nothing but its end is to be expected of
  /// it. Called on the thread of the call; stop_workers is not called after it.
  virtual void on_trap() {}
};

/// What the proxy asks of a factory.
struct GuestRequest {
  /// Null: a fresh start. Else the guest must be in that state; `instantiate` sees to the instance.
  const Snapshot* snapshot = nullptr;
  /// Of the guest that the snapshot was taken of: Guest::save. Shared by all guests made from it.
  std::shared_ptr<const void> saved;
  /// Its memory is to be made with MemoryLimits::imageable; `instantiate` and `apply` see to it.
  bool imageable = false;
  /// Another guest's place is taken by rewinding to the state of a checkpoint (RotationMode::checkpoint); else by one
  /// to which the calls that built state were told again.
  bool rewinds = false;
  /// Others like it will be made: what can't be had twice is an error. False: rotation is off.
  bool rotates = true;
  /// For InstanceOptions::import_observer of the main instance; `instantiate` sees to it. Outlives the guest. Null: the
  /// policy answers no import, and is not of RotationMode::checkpoint.
  ImportObserver* import_observer = nullptr;

  /// The options with what the request says of them put in.
  InstanceOptions apply(InstanceOptions options) const;
  /// For a memory that the host makes for the guest to import.
  MemoryLimits apply(MemoryLimits limits) const;
  /// The main instance: fresh, or from the snapshot.
  Result<Instance> instantiate(const InstancePre& pre, InstanceOptions options = {}) const;
};

/// Makes a guest, ready for its first recorded call: what the factory itself calls (start functions) is not logged, and
/// not called for a guest made from a snapshot. Called on the thread that creates the proxy, on the background thread
/// and on threads that call the proxy, never twice at once. Guests must be alike: the same module, the same limits.
using GuestFactory = std::function<Result<std::unique_ptr<Guest>>(const GuestRequest&)>;

/// For guests that need no more than a linker. `make_host_data`, if given, is asked for each instance's host_data,
/// which then lives as long as that instance. Memories, tables and mutable globals that the linker defines once for all
/// instances can't be rotated: unless rotation is off, the factory refuses them (invalid_argument), and so does
/// Proxy::create with it.
GuestFactory linked_guests(InstancePre pre, Limits limits = {},
                           std::function<std::shared_ptr<void>()> make_host_data = {});

}  // namespace rotor
