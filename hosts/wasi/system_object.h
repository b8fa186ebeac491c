// Files, folders, pipes, terminals and sockets of the system's, as a descriptor has them.
#pragma once

#include <memory>

#include "hosts/wasi/object.h"

namespace rotor::wasi {

/// Returns WASI's type for a mode of stat.
FileType type_of_mode(uint32_t mode);

/// Returns the type of an open descriptor of the system's, with what may be done with it at most. Errors: those of
/// fstat.
struct TypeAndRights {
  FileType type;
  Rights rights;
};
Outcome<TypeAndRights> look_at(int fd);

/// Returns what stands for an open descriptor of the system's, which has to stay open as long: a File for a regular
/// file, a Folder for a directory, whose paths go by the resolver.
std::unique_ptr<Object> system_object(FileType type, int fd, const Resolver& resolver);
/// Returns the same for a directory.
std::unique_ptr<Object> system_folder(int fd, const Resolver& resolver);

// For those:

Outcome<FileStat> system_stat(int fd);
Outcome<void> system_set_times(int fd, const NewTimes& times);
Outcome<void> system_sync(int fd, Sync what);

/// What all of them can.
template <class Base>
class OnSystem : public Base {
 public:
  explicit OnSystem(int fd) : fd_(fd) {}
  Outcome<FileStat> stat() const override { return system_stat(fd_); }
  Outcome<void> set_times(const NewTimes& times) override { return system_set_times(fd_, times); }
  Outcome<void> sync(Sync what) override { return system_sync(fd_, what); }

 protected:
  const int fd_;
};

}  // namespace rotor::wasi
