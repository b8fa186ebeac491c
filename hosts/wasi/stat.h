// What stat says, as guests are told.
#pragma once

#include <sys/stat.h>

#include "hosts/wasi/clocks.h"
#include "hosts/wasi/table.h"
#include "hosts/wasi/types.h"

namespace rotor::wasi {

inline FileStat file_stat_of(const struct stat& stat) {
  FileStat out{};
  out.device = stat.st_dev;
  out.inode = stat.st_ino;
  out.type = type_of_mode(stat.st_mode);
  out.links = stat.st_nlink;
  out.size_bytes = static_cast<uint64_t>(stat.st_size);
  out.atime_ns = ns_of(stat.st_atim);
  out.mtime_ns = ns_of(stat.st_mtim);
  out.ctime_ns = ns_of(stat.st_ctim);
  return out;
}

}  // namespace rotor::wasi
