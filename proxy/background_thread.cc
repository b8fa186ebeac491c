#include "proxy/background_thread.h"

#include <fmt/format.h>

#include <cstring>

namespace rotor::proxy {

Result<void> BackgroundThread::start() {
  if (started_) return {};
  // std::thread is not used: it throws where the system gives no thread, and its stack is too small for a guest.
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (!error) {
    error = pthread_attr_setstacksize(&attributes, kStackBytes);
    if (!error) error = pthread_create(&thread_, &attributes, enter, this);
    pthread_attr_destroy(&attributes);
  }
  if (error) return fail(ErrorKind::io, fmt::format("no background thread: {}", std::strerror(error)));
  started_ = true;
  return {};
}

void* BackgroundThread::enter(void* self) {
  t_current = static_cast<const BackgroundThread*>(self);
  t_current->run_();
  return nullptr;
}

}  // namespace rotor::proxy
