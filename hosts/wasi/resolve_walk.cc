// Paths resolved component by component, for systems without openat2. Each component is opened as it is (O_PATH and
// O_NOFOLLOW), then looked at: no name is looked up twice, so nothing can be exchanged in between. The folders that the
// path came through stay open on a stack, and ".." goes back to the one before, whatever that is called by now.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "hosts/wasi/limits.h"
#include "hosts/wasi/path.h"

namespace rotor::wasi {
namespace {

/// What is left of a path.
class Rest {
 public:
  explicit Rest(std::string_view path) : path_(path) {}
  /// Takes off the next component; empty: there is none left.
  std::string next() {
    const size_t begin = path_.find_first_not_of('/', offset_);
    if (begin == path_.npos) {
      offset_ = path_.size();
      return {};
    }
    offset_ = std::min(path_.find('/', begin), path_.size());
    return path_.substr(begin, offset_ - begin);
  }
  bool is_over() const { return path_.find_first_not_of('/', offset_) == path_.npos; }
  bool has_slash() const { return offset_ < path_.size(); }
  /// Puts a link's target in the place of the component that was taken last. Errors: nametoolong.
  Outcome<void> replace_last(const std::string& target) {
    path_ = target + path_.substr(offset_);
    offset_ = 0;
    if (path_.size() > kMaxPathBytes) return fail(Errno::nametoolong);
    return {};
  }

 private:
  std::string path_;
  size_t offset_ = 0;
};

class Walk {
 public:
  explicit Walk(int root) : root_(root) {}

  Outcome<Place> run(std::string_view path, LastLink last) {
    Rest rest(path);
    for (;;) {
      const std::string name = rest.next();
      if (name.empty()) return end(".", true);
      if (name == ".") continue;
      if (name == "..") {
        if (folders_.empty()) return fail(Errno::perm);
        folders_.pop_back();
        continue;
      }
      const bool is_last = rest.is_over();
      if (is_last && last == LastLink::keep) return end(name, rest.has_slash());
      auto opened = open_component(top(), name.c_str(), O_PATH);
      if (!opened) {
        if (is_last && opened.error() == Errno::noent) return end(name, rest.has_slash());
        return fail(opened.error());
      }
      struct stat stat;
      if (fstat(opened->get(), &stat) != 0) return fail_of_system();
      if (S_ISLNK(stat.st_mode)) {
        if (++links_ > kMaxLinks) return fail(Errno::loop);
        ROTOR_TRY(std::string target, read_relative_link(opened->get(), ""));
        ROTOR_CHECK(rest.replace_last(target));
        continue;
      }
      if (is_last) return end(name, rest.has_slash());
      if (!S_ISDIR(stat.st_mode)) return fail(Errno::notdir);
      if (folders_.size() >= kMaxWalkDepth) return fail(Errno::nametoolong);
      folders_.push_back(std::move(*opened));
    }
  }

 private:
  int top() const { return folders_.empty() ? root_ : folders_.back().get(); }
  Place end(std::string name, bool has_slash) {
    Place place;
    place.folder = top();
    if (!folders_.empty()) place.owned = std::move(folders_.back());
    place.name = std::move(name);
    place.has_slash = has_slash;
    return place;
  }

  const int root_;
  std::vector<Fd> folders_;
  int links_ = 0;
};

class WalkResolver final : public Resolver {
 public:
  Outcome<Place> place(int root, std::string_view path, LastLink last) const override {
    return Walk(root).run(path, last);
  }

  Outcome<Fd> open(int root, std::string_view path, int flags, LastLink last) const override {
    // A slash behind a link has it followed, as the system does.
    if (split_path(path).has_slash) last = LastLink::follow;
    for (int tries = 0;; ++tries) {
      ROTOR_TRY(Place at, place(root, path, last));
      if (at.has_slash && flags & O_CREAT) return fail(Errno::isdir);
      auto opened = open_component(at.folder, at.name.c_str(), at.has_slash ? flags | O_DIRECTORY : flags);
      // A link came to be there since it was looked at.
      const bool is_raced = !opened && opened.error() == Errno::loop && last == LastLink::follow;
      if (!is_raced) return opened;
      if (tries >= kMaxRaceTries) return fail(Errno::again);
    }
  }
};

constinit const WalkResolver kResolver;

}  // namespace

const Resolver& walk_resolver() { return kResolver; }

}  // namespace rotor::wasi
