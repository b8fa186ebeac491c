// The signals by which a person or the system ends the tool: SIGINT, SIGTERM, SIGHUP.
#pragma once

namespace rotor::cli {

/// Has these signals erase the line of progress before they end the process, from now on. One that the process was
/// started to ignore stays ignored.
void take_end_signals();

/// A scope in which they wait: what is being written is whole, or not there, when the process ends. For what takes no
/// longer than to write a file. Scopes may overlap, on any threads.
class EndsLater {
 public:
  EndsLater();
  ~EndsLater();
  EndsLater(const EndsLater&) = delete;
};

/// Takes SIGINT as a request to stop from now on, once: the next one ends the process. A command that runs for long
/// ends with what it has. Pre: take_end_signals was called.
void take_stop_requests();
/// Returns whether a stop was asked for.
bool stop_was_asked();

}  // namespace rotor::cli
