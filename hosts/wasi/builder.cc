#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "hosts/wasi/environment.h"
#include "hosts/wasi/limits.h"
#include "hosts/wasi/memory_object.h"
#include "hosts/wasi/system_object.h"
#include "rotor/printable.h"
#include "rotor/wasi.h"

namespace rotor::wasi {
namespace {

/// A quarter of what a process may often have (RLIMIT_NOFILE): the host needs some, too.
constexpr uint32_t kDefaultMaxDescriptors = 256;
/// The numbers that are standard input, output and errors.
constexpr uint32_t kStandardDescriptors = 3;

/// A folder that a builder was given.
struct GivenFolder {
  std::string host_path;  ///< empty: `fd` is open, or it is in memory
  Fd fd;
  std::shared_ptr<MemoryTree> tree;  ///< null: it is the system's
  std::string name;
  Access access;
};

Result<Strings> strings_of(const char* what, std::vector<std::string> all) {
  Strings strings;
  for (const std::string& string : all) {
    if (string.contains('\0'))
      return rotor::fail(ErrorKind::invalid_argument, std::string(what) + " hold a NUL: " + printable(string));
    strings.bytes += string.size() + 1;
  }
  if (strings.bytes > kMaxStringsBytes)
    return rotor::fail(ErrorKind::limit, std::string(what) + " have " + std::to_string(strings.bytes) + " bytes, of " +
                                             std::to_string(kMaxStringsBytes) + " that they may have");
  strings.all = std::move(all);
  return strings;
}

std::unexpected<Error> system_error(const std::string& what) {
  const ErrorKind kind = errno == ENOENT || errno == ENOTDIR ? ErrorKind::not_found : ErrorKind::io;
  return rotor::fail(kind, what + ": " + std::strerror(errno));
}

/// Opens a terminal once more, so that a guest never waits in it: another one may have taken the line that poll told
/// of.
Fd terminal_that_never_waits(int fd) {
  if (!isatty(fd)) return Fd();
  const int access = fcntl(fd, F_GETFL) & O_ACCMODE;
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return Fd(open(path.c_str(), access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

/// Makes a descriptor of what is open. It is owned, unless it is the process's own.
Result<DescriptorRef> descriptor_of(int fd, bool is_own, Rights rights, const Resolver& resolver) {
  auto descriptor = std::make_shared<Descriptor>();
  if (!is_own) descriptor->owned = Fd(fd);
  auto found = look_at(fd);
  if (!found) {
    errno = EBADF;
    return rotor::fail(ErrorKind::invalid_argument, "descriptor " + std::to_string(fd) + " is none that is open");
  }
  descriptor->type = found->type;
  descriptor->fd = fd;
  descriptor->object = system_object(found->type, fd, resolver);
  descriptor->rights = found->rights & rights;
  descriptor->never_waits = terminal_that_never_waits(fd);
  // A connection that is gone before it is accepted must not have the host wait. Who shares the process's own would
  // notice.
  if (!is_own && descriptor->is_socket()) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return descriptor;
}

DescriptorRef stream_of(Stream stream) {
  auto descriptor = std::make_shared<Descriptor>();
  descriptor->rights = kStreamRights & ~(stream.read ? kFdWrite : kFdRead);
  descriptor->stream = std::move(stream);
  return descriptor;
}

/// Returns what a guest may do with a descriptor that it is handed, by how that was opened. Of a folder that is handed
/// in as a stream, such as the process's own input, it gets nothing of what lies in it.
Rights rights_of_stream(int fd) {
  constexpr Rights kAll = kFileRights | kSocketRights;
  switch (fcntl(fd, F_GETFL) & O_ACCMODE) {
    case O_RDONLY: return kAll & ~(kFileWrites | kFdFilestatSetTimes);
    case O_WRONLY: return kAll & ~kFdRead;
    default: return kAll;
  }
}

Result<DescriptorRef> system_folder_of(GivenFolder& folder, const Resolver& resolver) {
  Fd fd = std::move(folder.fd);
  if (!folder.host_path.empty()) fd = Fd(open(folder.host_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_error("folder " + printable(folder.host_path));
  ROTOR_TRY(DescriptorRef descriptor, descriptor_of(fd.release(), false, ~Rights{0}, resolver));
  if (!descriptor->is_directory())
    return rotor::fail(ErrorKind::invalid_argument, "what is to be the folder " + printable(folder.name) + " is none");
  return descriptor;
}

DescriptorRef memory_folder_of(MemoryVolume volume) {
  auto descriptor = std::make_shared<Descriptor>();
  descriptor->type = FileType::directory;
  descriptor->rights = kDirectoryRights;
  descriptor->object = memory_folder(volume);
  return descriptor;
}

/// Devices of trees in memory, which the system's have nothing of: those have 32 bits.
constexpr uint64_t kFirstMemoryDevice = uint64_t{1} << 40;

/// Makes descriptors of folders. Each tree is one device, by however many names it is given.
Result<DescriptorRef> folder_of(std::vector<GivenFolder>& folders, size_t i, const EnvironmentImpl& environment) {
  GivenFolder& folder = folders[i];
  DescriptorRef descriptor;
  if (folder.tree) {
    const auto first = std::ranges::find(folders, folder.tree, &GivenFolder::tree);
    const auto device = kFirstMemoryDevice + static_cast<uint64_t>(first - folders.begin());
    descriptor = memory_folder_of({folder.tree, environment.clock, device});
  } else {
    ROTOR_TRY(descriptor, system_folder_of(folder, *environment.resolver));
  }
  const Rights allowed = folder.access == Access::read_only ? ~kWrites : ~Rights{0};
  descriptor->rights &= allowed;
  descriptor->inheriting = (kDirectoryRights | kFileRights) & allowed;
  descriptor->is_preopen = true;
  descriptor->name = std::move(folder.name);
  return descriptor;
}

}  // namespace

struct Builder::Parts {
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> variables;
  std::vector<GivenFolder> folders;
  std::vector<Fd> descriptors;
  Input in = Input::none();
  Output out = Output::none();
  Output error = Output::none();
  Fd standard[kStandardDescriptors];  ///< those that are handed over
  std::shared_ptr<Clock> clock;
  RandomFunction random;
  uint32_t max_descriptors = kDefaultMaxDescriptors;
  Resolution resolution = Resolution::automatic;
};

Builder::Builder() : parts_(std::make_unique<Parts>()) {}
Builder::~Builder() = default;

Builder& Builder::args(std::vector<std::string> all) {
  parts_->args = std::move(all);
  return *this;
}

Builder& Builder::env(std::string name, std::string value) {
  for (auto& variable : parts_->variables) {
    if (variable.first != name) continue;
    variable.second = std::move(value);
    return *this;
  }
  parts_->variables.emplace_back(std::move(name), std::move(value));
  return *this;
}

Builder& Builder::folder(std::string host_path, std::string guest_name, Access access) {
  if (host_path.empty()) host_path = ".";
  parts_->folders.push_back({std::move(host_path), Fd(), nullptr, std::move(guest_name), access});
  return *this;
}

Builder& Builder::folder(int fd, std::string guest_name, Access access) {
  parts_->folders.push_back({{}, Fd(fd), nullptr, std::move(guest_name), access});
  return *this;
}

Builder& Builder::folder(MemoryFolder folder, std::string guest_name, Access access) {
  parts_->folders.push_back({{}, Fd(), std::move(folder.tree_), std::move(guest_name), access});
  return *this;
}

Builder& Builder::descriptor(int fd) {
  parts_->descriptors.emplace_back(fd);
  return *this;
}

Builder& Builder::standard_in(Input from) {
  parts_->standard[0] = Fd(from.fd_);
  parts_->in = std::move(from);
  return *this;
}

Builder& Builder::standard_out(Output to) {
  parts_->standard[1] = Fd(to.fd_);
  parts_->out = std::move(to);
  return *this;
}

Builder& Builder::standard_error(Output to) {
  parts_->standard[2] = Fd(to.fd_);
  parts_->error = std::move(to);
  return *this;
}

Builder& Builder::clock(std::shared_ptr<Clock> clock) {
  parts_->clock = std::move(clock);
  return *this;
}

Builder& Builder::random(RandomFunction source) {
  parts_->random = std::move(source);
  return *this;
}

Builder& Builder::deterministic(uint64_t seed) {
  return clock(std::make_shared<SteppedClock>()).random(seeded_random(seed));
}

Builder& Builder::max_descriptors(uint32_t count) {
  parts_->max_descriptors = count;
  return *this;
}

Builder& Builder::resolution(Resolution how) {
  parts_->resolution = how;
  return *this;
}

Result<Environment> Builder::build() {
  if (!parts_) return rotor::fail(ErrorKind::invalid_argument, "the builder has built its environment already");
  std::unique_ptr<Parts> parts = std::move(parts_);
  auto impl = std::make_shared<EnvironmentImpl>(parts->max_descriptors);
  ROTOR_TRY(impl->args, strings_of("the arguments", std::move(parts->args)));
  std::vector<std::string> variables;
  for (const auto& [name, value] : parts->variables) {
    if (name.empty() || name.contains('='))
      return rotor::fail(ErrorKind::invalid_argument, "\"" + printable(name) + "\" is no name of a variable");
    variables.push_back(name + "=" + value);
  }
  ROTOR_TRY(impl->variables, strings_of("the variables", std::move(variables)));
  ROTOR_TRY(impl->resolver, resolver_for(parts->resolution));
  impl->clock = std::move(parts->clock);
  impl->random = std::move(parts->random);

  const auto add = [&](Result<DescriptorRef> descriptor) -> Result<void> {
    if (!descriptor) return std::unexpected(std::move(descriptor).error());
    if (!impl->table.add(std::move(*descriptor)))
      return rotor::fail(ErrorKind::limit, "more descriptors than the " + std::to_string(parts->max_descriptors) +
                                               " that may be open at once");
    return {};
  };
  const auto add_standard = [&](uint32_t number, bool inherits, Stream stream) -> Result<void> {
    Fd& given = parts->standard[number];
    if (!inherits && !given) return add(stream_of(std::move(stream)));
    const int fd = inherits ? static_cast<int>(number) : given.release();
    // The process may have been started without.
    if (inherits && fcntl(fd, F_GETFD) < 0) return add(stream_of(std::move(stream)));
    Rights allowed = rights_of_stream(fd) & (number == 0 ? ~kFileWrites : ~kFdRead);
    // Others have the process's own streams, too: they are not to be cut, dated or shut.
    if (inherits) allowed &= ~(kFdFilestatSetSize | kFdAllocate | kFdFilestatSetTimes | kSockShutdown | kSockAccept);
    return add(descriptor_of(fd, inherits, allowed, *impl->resolver));
  };
  ROTOR_CHECK(add_standard(0, parts->in.inherits_, {std::move(parts->in.read_), nullptr}));
  ROTOR_CHECK(add_standard(1, parts->out.inherits_, {nullptr, std::move(parts->out.write_)}));
  ROTOR_CHECK(add_standard(2, parts->error.inherits_, {nullptr, std::move(parts->error.write_)}));
  for (size_t i = 0; i < parts->folders.size(); ++i) ROTOR_CHECK(add(folder_of(parts->folders, i, *impl)));
  for (Fd& fd : parts->descriptors) {
    const int number = fd.release();
    ROTOR_CHECK(add(descriptor_of(number, false, rights_of_stream(number), *impl->resolver)));
  }
  return Environment(std::move(impl));
}

std::optional<uint32_t> Environment::exit_code() const {
  const uint64_t code = impl_->exit_code;
  if (code == EnvironmentImpl::kNoExit) return std::nullopt;
  return static_cast<uint32_t>(code);
}

void Environment::clear_exit_code() { impl_->exit_code = EnvironmentImpl::kNoExit; }

size_t Environment::open_descriptors() const { return impl_->table.count(); }

Resolution Environment::resolution() const {
  return impl_->resolver == &openat2_resolver() ? Resolution::openat2 : Resolution::walk;
}

}  // namespace rotor::wasi
