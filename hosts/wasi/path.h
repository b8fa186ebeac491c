// The way from a path of the guest's to what it names, which never leads out of the folder that it is resolved in.
//
// A path is bytes from the guest, which others may rename and re-link what it leads through while it is resolved. What
// comes out is a folder that is open, and one component in it. A call on that (mkdirat, unlinkat, openat with
// O_NOFOLLOW) follows no link, so nothing that happens afterwards leads out either. The folder may be moved elsewhere
// in the meantime; it is still one that the guest came to by the way it was allowed.
#pragma once

#include <string>
#include <string_view>

#include "hosts/wasi/fd.h"
#include "hosts/wasi/types.h"
#include "rotor/wasi.h"

namespace rotor::wasi {

/// Whether a path's last component is followed if it is a symbolic link.
enum class LastLink : bool { keep, follow };

/// A component in a folder. There may be nothing of that name.
struct Place {
  Fd owned;                ///< the folder, unless it is the root
  int folder = -1;         ///< the folder
  std::string name;        ///< no slash in it, and not ".."; "." is the folder itself
  bool has_slash = false;  ///< the path said that it names a directory
};

/// Checks what can be told without looking: a path that is empty (noent), too long (nametoolong), absolute (perm), or
/// has a NUL or is no UTF-8 (ilseq).
Outcome<void> check_path(std::string_view path);

/// One way to resolve paths. Stateless, so thread-safe. Pre for `root`: it is open for reading, or as O_PATH. A way out
/// of it is an error, perm.
class Resolver {
 public:
  virtual ~Resolver() = default;
  /// Returns where a path leads.
  virtual Outcome<Place> place(int root, std::string_view path, LastLink last) const = 0;
  /// Opens what a path leads to. `flags` are those of openat without O_NOFOLLOW.
  virtual Outcome<Fd> open(int root, std::string_view path, int flags, LastLink last) const = 0;
};

/// Returns the resolver for a way, which lives for ever; `automatic` asks the kernel. Errors: unsupported.
Result<const Resolver*> resolver_for(Resolution how);

// For resolvers:

/// A path's folder and last component. A path that ends with "." or ".." is all folder.
struct SplitPath {
  std::string_view folder;  ///< empty: the root
  std::string_view name;
  bool has_slash = false;
};
SplitPath split_path(std::string_view path);
/// Reads a link. `name` empty: the link is `folder` itself. Errors: those of readlinkat (inval: no link); perm
/// (absolute: that leads out).
Outcome<std::string> read_relative_link(int folder, const char* name);

/// Opens one component of a folder, without following it.
Outcome<Fd> open_component(int folder, const char* name, int flags);

const Resolver& openat2_resolver();
const Resolver& walk_resolver();

}  // namespace rotor::wasi
