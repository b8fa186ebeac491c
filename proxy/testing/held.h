// What the process holds of the system that guests' memories are made of.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <fstream>
#include <ostream>
#include <string>

namespace rotor::proxy {

/// What a guest's memory leaves behind if it is not given back: files in memory, reservations, descriptors.
struct Held {
  size_t mappings = 0, descriptors = 0;
  bool operator==(const Held&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Held& held) {
    return out << held.mappings << " mappings, " << held.descriptors << " descriptors";
  }
};
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kCountsReservations = false;  // they have their own
#else
inline constexpr bool kCountsReservations = true;
#endif
inline Held held_now() {
  Held held;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t dash = line.find('-');
    const uint64_t begin = std::stoull(line.substr(0, dash), nullptr, 16);
    const uint64_t end = std::stoull(line.substr(dash + 1), nullptr, 16);
    const bool reserved = end - begin > (65u << 20) && line.find("---p") < 60;  // more than an arena of the allocator
    held.mappings += (kCountsReservations && reserved) || line.find("memfd:") != std::string::npos;
  }
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder)) held.descriptors++;
  closedir(folder);
  return held;
}

}  // namespace rotor::proxy
