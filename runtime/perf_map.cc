#include "runtime/perf_map.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>

namespace rotor::runtime {

namespace {

/// A name as one word: controls and spaces become `_`.
std::string word(std::string name) {
  for (char& c : name)
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') c = '_';
  return name;
}

std::string module_word(const wasm::Names& names) { return names.module.empty() ? "wasm" : word(names.module); }

}  // namespace

Result<std::unique_ptr<PerfMap>> PerfMap::open() {
  std::string path = fmt::format("/tmp/perf-{}.map", getpid());
  // /tmp is everybody's: a link that waits there must not lead the lines elsewhere.
  int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (file < 0) return fail(ErrorKind::io, fmt::format("{}: {}", path, std::strerror(errno)));
  return std::unique_ptr<PerfMap>(new PerfMap(file));
}

PerfMap::~PerfMap() { close(file_); }

void PerfMap::add(const uint8_t* text, std::span<const jit::FunctionCode> functions, const wasm::Names& names,
                  uint32_t imported_funcs) {
  std::string lines;
  std::string module = module_word(names);
  for (const jit::FunctionCode& function : functions) {
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
  for (size_t done = 0; done < lines.size();) {
    ssize_t written = ::write(file_, lines.data() + done, lines.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    done += static_cast<size_t>(written);
  }
}

}  // namespace rotor::runtime
