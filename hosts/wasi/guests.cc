// Guests of a proxy that share an environment: descriptors across rotations.
#include <atomic>
#include <utility>

#include "hosts/wasi/environment.h"
#include "rotor/wasi.h"

namespace rotor::wasi {
namespace {

class EnvironmentGuest final : public Guest {
 public:
  EnvironmentGuest(std::unique_ptr<Guest> linked, std::shared_ptr<EnvironmentImpl> environment,
                   std::shared_ptr<const SavedTable> saved, std::shared_ptr<const SavedTable> at_first, bool rewinds,
                   bool is_active)
      : linked_(std::move(linked)),
        environment_(std::move(environment)),
        saved_(std::move(saved)),
        at_first_(std::move(at_first)),
        rewinds_(rewinds),
        is_active_(is_active) {}

  Instance& instance() override { return linked_->instance(); }
  Result<void> start_workers(const GroupRule& group) override { return linked_->start_workers(group); }
  Result<void> stop_workers(const GroupRule& group) override { return linked_->stop_workers(group); }
  /// Saves for a checkpoint, which is of the active. The image of a standby (replay) has no descriptors of its own.
  Result<std::shared_ptr<const void>> save() override {
    if (!is_active_) return nullptr;
    return std::make_shared<const SavedTable>(environment_->table.save());
  }
  bool tracks_host_state() const override { return rewinds_; }
  bool has_changed_since(const void* saved) override {
    const uint64_t changes = environment_->table.changes();
    if (saved == same_as_ && changes == same_at_) return false;
    if (!environment_->table.equals(*static_cast<const SavedTable*>(saved))) return true;
    same_as_ = saved;
    same_at_ = changes;
    return false;
  }
  Result<void> on_rotate(Guest&) override {
    is_active_ = true;
    if (saved_)
      environment_->table.restore(*saved_);
    else if (rewinds_)
      environment_->table.restore(*at_first_);  // after a trap, before there was a checkpoint
    return {};
  }

 private:
  const std::unique_ptr<Guest> linked_;
  const std::shared_ptr<EnvironmentImpl> environment_;
  const std::shared_ptr<const SavedTable> saved_;     ///< with the checkpoint that this is made from; null: none
  const std::shared_ptr<const SavedTable> at_first_;  ///< what there was before the first guest
  const bool rewinds_;
  /// What was last found unchanged, and when: to look at each descriptor before each call would take system calls.
  const void* same_as_ = nullptr;
  uint64_t same_at_ = 0;
  bool is_active_;
};

}  // namespace

GuestFactory guests(InstancePre pre, const Environment& environment, Limits limits) {
  return [linked = linked_guests(std::move(pre), std::move(limits)), impl = environment.impl_,
          at_first = std::make_shared<const SavedTable>(environment.impl_->table.save()),
          made = std::make_shared<std::atomic<bool>>(false)](
             const GuestRequest& request) -> Result<std::unique_ptr<Guest>> {
    ROTOR_TRY(std::unique_ptr<Guest> guest, linked(request));
    const bool is_first = !made->exchange(true);
    return std::make_unique<EnvironmentGuest>(std::move(guest), impl,
                                              std::static_pointer_cast<const SavedTable>(request.saved), at_first,
                                              request.rewinds, is_first);
  };
}

}  // namespace rotor::wasi
