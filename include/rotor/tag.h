// Tag: what tells one kind of exception from another.
#pragma once

#include <memory>

#include "rotor/detail/access.h"
#include "rotor/engine.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {
namespace runtime { class TagImpl; }

/// A tag of an instance or of the host: a clause catches an exception whose tag is the same one, however many others
/// have its type. A cheap handle, shared by its copies; it keeps the tag, not the instance that defined it.
class Tag {
 public:
  /// Makes a handle of no tag.
  Tag() = default;
  /// Makes a tag of the host's, to be imported and thrown. Errors: stale_handle (a type names one that is gone).
  static Result<Tag> create(const Engine& engine, TagType type);
  /// Returns the types of what its exceptions carry; a TagType{} for the handle of no tag.
  TagType type() const;
  /// Returns an address that is the tag's alone as long as a handle of it is there, by which what the host keeps of it
  /// can be found; nullptr for a handle of no tag.
  const void* identity() const { return impl_.get(); }
  explicit operator bool() const { return impl_ != nullptr; }  ///< false: a handle of no tag
  /// Returns whether both are the same tag.
  friend bool operator==(const Tag& a, const Tag& b) { return a.impl_ == b.impl_; }

 private:
  friend struct detail::Access;
  explicit Tag(std::shared_ptr<const runtime::TagImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const runtime::TagImpl> impl_;
};

}  // namespace rotor
