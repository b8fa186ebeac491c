// Tags: identities, with the type of what their exceptions carry.
#pragma once

#include <memory>

#include "rotor/tag.h"
#include "runtime/enter/canonical_type.h"
#include "runtime/store/type_registry.h"

namespace rotor::runtime {

/// Contexts hold its address, by which clauses know their exceptions. The type is that of a function from what an
/// exception carries to nothing.
class TagImpl : public std::enable_shared_from_this<TagImpl> {
 public:
  /// Makes a tag of an instance; `keeper` keeps the type.
  TagImpl(const CanonicalType& tag_type, std::shared_ptr<const void> keeper)
      : type(tag_type), keeper_(std::move(keeper)) {}
  TagImpl(const TagImpl&) = delete;

  const CanonicalType& type;

 private:
  std::shared_ptr<const void> keeper_;
};

}  // namespace rotor::runtime
