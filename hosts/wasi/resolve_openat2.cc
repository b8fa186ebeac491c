// Paths resolved by the kernel: openat2 with RESOLVE_BENEATH fails where a path, or a link that it leads through, goes
// above the root, and RESOLVE_NO_MAGICLINKS where it meets a link of /proc that is no path but an object.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "hosts/wasi/limits.h"
#include "hosts/wasi/path.h"

namespace rotor::wasi {
namespace {

/// Opens beneath a root. EAGAIN says that something was renamed on the way, so that the kernel could not be sure.
Outcome<Fd> open_beneath(int root, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = flags & O_CREAT ? 0666 : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;;) {
    Fd opened(static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how)));
    if (opened) return opened;
    if (errno == EXDEV) return fail(Errno::perm);
    if (errno == EAGAIN && ++tries < kMaxRaceTries) continue;
    if (errno != EINTR) return fail_of_system();
  }
}

class Openat2Resolver final : public Resolver {
 public:
  Outcome<Place> place(int root, std::string_view path, LastLink last) const override {
    std::string whole(path);  // with the links that were followed in it
    for (int links = 0;;) {
      const SplitPath split = split_path(whole);
      Place place;
      place.folder = root;
      place.name = split.name;
      place.has_slash = split.has_slash;
      const std::string folder(split.folder);
      if (!folder.empty()) {
        ROTOR_TRY(place.owned, open_beneath(root, folder.c_str(), O_PATH | O_DIRECTORY));
        place.folder = place.owned.get();
      }
      if (last == LastLink::keep || place.name == ".") return place;
      auto target = read_relative_link(place.folder, place.name.c_str());
      if (!target) {
        const Errno why = target.error();
        if (why == Errno::inval || why == Errno::noent) return place;  // no link, or nothing yet
        return fail(why);
      }
      if (++links > kMaxLinks) return fail(Errno::loop);
      whole = folder + *target + (split.has_slash ? "/" : "");
      if (whole.size() > kMaxPathBytes) return fail(Errno::nametoolong);
    }
  }

  Outcome<Fd> open(int root, std::string_view path, int flags, LastLink last) const override {
    return open_beneath(root, std::string(path).c_str(), last == LastLink::keep ? flags | O_NOFOLLOW : flags);
  }
};

constinit const Openat2Resolver kResolver;

}  // namespace

const Resolver& openat2_resolver() { return kResolver; }

}  // namespace rotor::wasi
