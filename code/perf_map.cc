#include "code/perf_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "rotor/printable.h"

namespace rotor::code {

namespace {

/// Returns a name as one word.
std::string word(const std::string& name) {
  std::string text = printable_name(name);
  std::ranges::replace(text, ' ', '_');
  return text;
}

std::string module_word(const wasm::Names& names) { return names.module.empty() ? "wasm" : word(names.module); }

}  // namespace

Result<std::unique_ptr<PerfMap>> PerfMap::open() {
  std::string path = fmt::format("/tmp/perf-{}.map", getpid());
  // Anybody can write to /tmp: a link that was put there must not lead the lines elsewhere. Nor may a pipe or another
  // user's file get them, and opening must not wait for a pipe's reader.
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
  struct stat info;
  if (!file || fstat(file.get(), &info) != 0) return io_error("can't write", path);
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid())
    return fail(ErrorKind::io, fmt::format("can't write {}: it is no file of this user's", path));
  return std::unique_ptr<PerfMap>(new PerfMap(std::move(file)));
}

void PerfMap::add(const uint8_t* text, std::span<const FunctionCode> functions, const wasm::Names& names,
                  uint32_t imported_funcs) {
  std::string lines;
  std::string module = module_word(names);
  for (const FunctionCode& function : functions) {
    uint32_t index = function.func + imported_funcs;
    auto name = names.functions.find(index);
    fmt::format_to(std::back_inserter(lines), "{:x} {:x} {}!{} [tier{}]\n",
                   reinterpret_cast<uintptr_t>(text) + function.begin, function.end - function.begin, module,
                   name != names.functions.end() ? word(name->second) : fmt::format("func[{}]", index), function.tier);
  }
  write(lines);
}

void PerfMap::add_stubs(const uint8_t* begin, uint64_t size, const wasm::Names& names) {
  write(fmt::format("{:x} {:x} {}![stubs]\n", reinterpret_cast<uintptr_t>(begin), size, module_word(names)));
}

void PerfMap::write(const std::string& lines) {
  // In the child of a fork the file is the parent's, and names the parent's code.
  if (memory::fork_generation() != generation_) return;
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  (void)write_all(file_.get(), lines.data(), lines.size());
}

}  // namespace rotor::code
