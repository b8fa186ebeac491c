// Queries that returned handles: not part of the state, unless a build takes one of these handles.
#pragma once

#include <memory>
#include <vector>

#include "proxy/log.h"

namespace rotor::proxy {

/// A query, kept while a handle that it returned lives, or a query that took such a handle is kept. While it is, the
/// history of the built handles that it took is pinned in the log.
struct Provisional {
  explicit Provisional(Log& to) : log(to), call(std::make_shared<LogCall>()) {}
  Provisional(const Provisional&) = delete;
  ~Provisional() {
    for (HandleId id : pins) log.unpin(id);
  }

  /// Takes away one reason to keep the query. With the last one its ties to others are cut, which may hold it in turn
  /// (`ends`).
  void let_go() {
    if (--alive > 0) return;
    for (const std::shared_ptr<Provisional>& need : std::exchange(needs, {})) {
      // A query that needed several queries can't be repeated once one of them is gone.
      need->let_go();
    }
    is_over = true;
  }

  Log& log;
  std::shared_ptr<LogCall> call;
  std::vector<std::shared_ptr<Provisional>> needs;  ///< queries whose handles it took; counted in their `alive`
  /// Calls that ended a handle of it without being part of the state. They follow it into the log, so that a replay
  /// ends the handles that it makes.
  std::vector<std::shared_ptr<Provisional>> ends;
  std::vector<HandleId> pins;
  std::vector<uint32_t> tokens;  ///< of its handles
  size_t alive = 0;              ///< handles that live, and queries in whose `needs` it is
  bool is_over = false;
  bool promoted = false;
  std::string stuck;  ///< why it can't be recorded; empty: it can
};

}  // namespace rotor::proxy
