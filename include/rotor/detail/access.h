// The friend of the handles: only the library's own code, which defines it in a header that is not installed, gets from
// a handle to what that stands for. Not for embedders.
#pragma once

namespace rotor::detail { struct Access; }  // namespace rotor::detail
