// Writes to pipes that nobody reads, of which the process must not die.
#pragma once

namespace rotor::wasi {

/// Keeps SIGPIPE from this thread, for a scope: what a write of the scope sends is taken back. (A thread that blocks it
/// already may have one waiting, which then is none of ours.)
class NoSigpipe {
 public:
  NoSigpipe();
  /// Keeps `errno`.
  ~NoSigpipe();
  NoSigpipe(const NoSigpipe&) = delete;

 private:
  bool was_blocked_;
};

}  // namespace rotor::wasi
