#include "proxy/image_store.h"

#include "proxy/clock.h"

namespace rotor::proxy {

TakenImage take_image(LiveGuest& standby, Calls calls, std::shared_ptr<const StandbyImage> base) {
  const uint64_t start_ns = now_ns();
  bool usable = false;
  TakenImage taken{.image = standby.make_image(std::move(calls), std::move(base), &usable)};
  taken.guest_is_usable = usable;
  // If address space for the next instance can't be had in advance, it is mapped when it is needed.
  if (taken.image) taken.kept_ready = (*taken.image)->snapshot.keep_ready(1);
  taken.took_ns = now_ns() - start_ns;
  return taken;
}

std::string ImageStore::put(const TakenImage& taken, const LogPosition& position) {
  if (!taken.image) {
    failed_++;
    return "no image: " + taken.image.error().to_string();
  }
  if (image_) (void)image_->snapshot.keep_ready(0);
  image_ = *taken.image;
  position_ = position;
  is_verified_ = false;
  made_++;
  verification_is_due_ |= policy_.verify_every && made_ % policy_.verify_every == 0;
  if (taken.kept_ready) return {};
  not_kept_ready_++;
  return "no address space kept ready: " + taken.kept_ready.error().to_string();
}

void ImageStore::cut() {
  auto alone = std::make_shared<StandbyImage>(*image_);
  alone->base.reset();
  alone->calls.clear();
  alone->stands_alone = true;
  image_ = base_ = std::move(alone);
  base_position_ = position_;
}

void ImageStore::report(ProxyCounters& to) const {
  to.images = made_;
  to.images_failed = failed_;
  to.images_dropped = dropped_;
  to.not_kept_ready = not_kept_ready_;
  to.image_bytes = image_ ? image_->resident_bytes : 0;
  if (base_ && base_ != image_) to.image_bytes += base_->resident_bytes;
}

}  // namespace rotor::proxy
