// What is made when it is first asked for. A local `static` that is not constant does the same behind a guard: the
// child of a fork that came while another thread held the guard waits at it for ever. Nothing here waits.
#pragma once

#include <atomic>
#include <memory>

namespace rotor::detail {

/// Returns what `cell` points to. If it points to nothing, that is what `make` returns, a std::unique_ptr<T> that is
/// not null; threads that come at once may each make one, and all but one are destroyed. The cell owns it: one in
/// static storage never frees it, since a thread may ask while the process ends.
template <class T, class Make>
T& made_once(std::atomic<T*>& cell, Make make) {
  if (T* made = cell.load(std::memory_order_acquire)) return *made;
  std::unique_ptr<T> mine = make();
  T* first = nullptr;
  if (cell.compare_exchange_strong(first, mine.get(), std::memory_order_acq_rel)) return *mine.release();
  return *first;
}

}  // namespace rotor::detail
