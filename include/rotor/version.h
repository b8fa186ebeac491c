// The version of the library, as semantic versioning has it: before 1.0.0 a new minor version may break what worked.
#pragma once

#define ROTOR_VERSION_MAJOR 0  ///< the first of the three numbers
#define ROTOR_VERSION_MINOR 1  ///< the second
#define ROTOR_VERSION_PATCH 0  ///< the third

/// For ROTOR_VERSION.
#define ROTOR_VERSION_TEXT_2(text) #text
/// For ROTOR_VERSION.
#define ROTOR_VERSION_TEXT(text) ROTOR_VERSION_TEXT_2(text)
/// "0.1.0".
#define ROTOR_VERSION                     \
  ROTOR_VERSION_TEXT(ROTOR_VERSION_MAJOR) \
  "." ROTOR_VERSION_TEXT(ROTOR_VERSION_MINOR) "." ROTOR_VERSION_TEXT(ROTOR_VERSION_PATCH)
