// The 46 functions of wasi_snapshot_preview1. Addresses, sizes and numbers are the guest's, unchecked. What they do is
// said in the specification; where they do less or more, a comment says so.
#pragma once

#include <cstdint>

#include "hosts/wasi/call.h"
#include "hosts/wasi/rights.h"
#include "hosts/wasi/types.h"

namespace rotor::wasi {

// args.cc
Outcome<void> args_get(Call& call, uint32_t pointers, uint32_t bytes);
Outcome<void> args_sizes_get(Call& call, uint32_t count, uint32_t size);
Outcome<void> environ_get(Call& call, uint32_t pointers, uint32_t bytes);
Outcome<void> environ_sizes_get(Call& call, uint32_t count, uint32_t size);

// clocks.cc
Outcome<void> clock_res_get(Call& call, uint32_t id, uint32_t result);
Outcome<void> clock_time_get(Call& call, uint32_t id, uint64_t precision_ns, uint32_t result);

// transfer.cc
Outcome<void> fd_read(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint32_t result);
Outcome<void> fd_write(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint32_t result);
Outcome<void> fd_pread(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint64_t offset, uint32_t result);
Outcome<void> fd_pwrite(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint64_t offset, uint32_t result);

// files.cc
Outcome<void> fd_advise(Call& call, uint32_t fd, uint64_t offset, uint64_t size_bytes, uint32_t advice);
Outcome<void> fd_allocate(Call& call, uint32_t fd, uint64_t offset, uint64_t size_bytes);
Outcome<void> fd_close(Call& call, uint32_t fd);
Outcome<void> fd_datasync(Call& call, uint32_t fd);
Outcome<void> fd_fdstat_get(Call& call, uint32_t fd, uint32_t result);
Outcome<void> fd_fdstat_set_flags(Call& call, uint32_t fd, uint32_t flags);
Outcome<void> fd_fdstat_set_rights(Call& call, uint32_t fd, uint64_t rights, uint64_t inheriting);
Outcome<void> fd_filestat_get(Call& call, uint32_t fd, uint32_t result);
Outcome<void> fd_filestat_set_size(Call& call, uint32_t fd, uint64_t size_bytes);
Outcome<void> fd_filestat_set_times(Call& call, uint32_t fd, uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags);
Outcome<void> fd_prestat_get(Call& call, uint32_t fd, uint32_t result);
Outcome<void> fd_prestat_dir_name(Call& call, uint32_t fd, uint32_t name, uint32_t size_bytes);
Outcome<void> fd_renumber(Call& call, uint32_t from, uint32_t to);
Outcome<void> fd_seek(Call& call, uint32_t fd, int64_t delta, uint32_t whence, uint32_t result);
Outcome<void> fd_sync(Call& call, uint32_t fd);
Outcome<void> fd_tell(Call& call, uint32_t fd, uint32_t result);

// directories.cc
Outcome<void> fd_readdir(Call& call, uint32_t fd, uint32_t buffer, uint32_t size_bytes, uint64_t cookie,
                         uint32_t result);
Outcome<void> path_create_directory(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes);
Outcome<void> path_filestat_get(Call& call, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t path_bytes,
                                uint32_t result);
Outcome<void> path_filestat_set_times(Call& call, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t path_bytes,
                                      uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags);
Outcome<void> path_link(Call& call, uint32_t old_fd, uint32_t lookup, uint32_t old_path, uint32_t old_path_bytes,
                        uint32_t new_fd, uint32_t new_path, uint32_t new_path_bytes);
Outcome<void> path_readlink(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes, uint32_t buffer,
                            uint32_t size_bytes, uint32_t result);
Outcome<void> path_remove_directory(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes);
Outcome<void> path_rename(Call& call, uint32_t old_fd, uint32_t old_path, uint32_t old_path_bytes, uint32_t new_fd,
                          uint32_t new_path, uint32_t new_path_bytes);
Outcome<void> path_symlink(Call& call, uint32_t target, uint32_t target_bytes, uint32_t fd, uint32_t path,
                           uint32_t path_bytes);
Outcome<void> path_unlink_file(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes);

// open.cc
Outcome<void> path_open(Call& call, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t path_bytes,
                        uint32_t open_flags, uint64_t rights, uint64_t inheriting, uint32_t fd_flags, uint32_t result);

// poll.cc
Outcome<void> poll_oneoff(Call& call, uint32_t subscriptions, uint32_t events, uint32_t count, uint32_t result);

// process.cc
Result<void> proc_exit(Call& call, uint32_t code);
/// Ends the guest by the signals that end a process, as proc_exit does: the host gets none.
Result<uint32_t> proc_raise(Call& call, uint32_t signal);
Outcome<void> random_get(Call& call, uint32_t buffer, uint32_t size_bytes);
Outcome<void> sched_yield(Call& call);

// sockets.cc
Outcome<void> sock_accept(Call& call, uint32_t fd, uint32_t flags, uint32_t result);
Outcome<void> sock_recv(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint32_t flags, uint32_t result,
                        uint32_t result_flags);
Outcome<void> sock_send(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint32_t flags, uint32_t result);
Outcome<void> sock_shutdown(Call& call, uint32_t fd, uint32_t how);

}  // namespace rotor::wasi
