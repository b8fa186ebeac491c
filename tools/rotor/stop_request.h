// SIGINT as a request: a command that runs for long ends with what it has.
#pragma once

namespace rotor::cli {

/// Takes SIGINT as a request to stop from now on, once: the next one ends the process.
void take_stop_requests();
/// Returns whether a stop was asked for.
bool stop_was_asked();

}  // namespace rotor::cli
