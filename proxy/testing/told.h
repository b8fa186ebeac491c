// What a proxy told, for tests.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "rotor/proxy.h"

namespace rotor::proxy {

/// Collects what a proxy tells.
struct Told {
  ProxyOptions options() {
    return {.on_rotation = [this](const RotationEvent& event) { rotations.push_back(event); },
            .on_event =
                [this](const ProxyEvent& event) {
                  std::lock_guard lock(mutex);
                  events.push_back(event);
                }};
  }
  /// The texts of events of a kind that were told so far.
  std::vector<std::string> texts(ProxyEventKind kind) {
    std::lock_guard lock(mutex);
    std::vector<std::string> out;
    for (const ProxyEvent& event : events)
      if (event.kind == kind) out.push_back(event.text);
    return out;
  }
  std::vector<RotationEvent> rotations;
  std::mutex mutex;
  std::vector<ProxyEvent> events;
};

}  // namespace rotor::proxy
