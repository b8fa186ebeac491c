// The name of this build, to which code that is kept on disk belongs.
#pragma once

namespace rotor::code {

/// Names the sources, the LLVM and the settings that this library was built of: two that might compile a module
/// differently have different names.
const char* build_name();

}  // namespace rotor::code
