// Exception: what a guest throws, as the host gets it and throws it.
#pragma once

#include <vector>

#include "rotor/result.h"
#include "rotor/tag.h"
#include "rotor/value.h"

namespace rotor {

/// An exception by value: what is thrown again is as good as what was caught. An error of ErrorKind::exception has one
/// (`Error::exception`): a call that ends with one left the guest as it is, ready for other calls. A host function that
/// returns such an error, its own or one that it got from a call, throws the exception in the guest that called it.
struct Exception {
  Tag tag;                    ///< what kind of exception it is
  std::vector<Value> values;  ///< what it carries, of the tag's types; functions are weak, as all handles
};

/// Makes the error by which a host function throws: `return throw_exception(tag, {Value(42)});`. Whether the values are
/// of the tag's types is seen when it is thrown: if not, the guest's call ends with an error, type_mismatch.
std::unexpected<Error> throw_exception(Tag tag, std::vector<Value> values);

}  // namespace rotor
