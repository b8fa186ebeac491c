// Code files: a header, the module without its code section, the tables, then text and read-only data on page
// boundaries, to be mapped as they are. Little-endian, as the machine the code is for.
#include "jit/code.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "jit/cpu.h"

namespace rotor::jit {

namespace {

constexpr char kMagic[8] = {'R', 'O', 'T', 'O', 'R', 'C', '\r', '\n'};
constexpr uint32_t kFileVersion = 1;

/// The file's first bytes. Sizes in bytes; parts follow each other in this order, text and read-only data page-aligned.
struct Header {
  char magic[8];
  uint32_t file_version;
  uint32_t abi_version;
  uint64_t checksum;  ///< XXH3 of the file with this field as 0
  uint64_t file_bytes;
  uint64_t module_bytes;
  uint64_t cpu_features_bytes;  ///< words, each ended by 0
  uint64_t functions;
  uint64_t lines_bytes;
  uint64_t text_bytes;
  uint64_t rodata_bytes;
  uint64_t run_page_bytes;
  uint64_t text_file_offset;
};
static_assert(sizeof(Header) == 96);

std::string system_error(const std::string& what, const std::string& path) {
  return fmt::format("{} {}: {}", what, path, std::strerror(errno));
}

/// A file that is deleted unless kept.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path) : path_(path), temporary_(fmt::format("{}.{}.tmp", path, getpid())) {
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  }
  ~OutputFile() {
    if (fd_ >= 0) close(fd_);
    if (fd_ >= 0 && !kept_) unlink(temporary_.c_str());
  }
  bool is_open() const { return fd_ >= 0; }
  Result<void> write(const void* data, size_t size) {
    auto* at = static_cast<const char*>(data);
    while (size) {
      ssize_t n = ::write(fd_, at, size);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return fail(ErrorKind::io, system_error("writing", path_));
      at += n;
      size -= static_cast<size_t>(n);
    }
    return {};
  }
  Result<void> keep() {
    if (fsync(fd_) != 0 || rename(temporary_.c_str(), path_.c_str()) != 0)
      return fail(ErrorKind::io, system_error("writing", path_));
    kept_ = true;
    return {};
  }

 private:
  std::string path_, temporary_;
  int fd_;
  bool kept_ = false;
};

/// Bounds-checked reading of the parts.
struct Parts {
  std::span<const uint8_t> bytes;
  size_t at;
  bool ok = true;
  std::span<const uint8_t> take(uint64_t size) {
    if (!ok || size > bytes.size() - at) {
      ok = false;
      return {};
    }
    auto part = bytes.subspan(at, size);
    at += size;
    return part;
  }
  template <class T>
  void take_into(std::vector<T>& out, uint64_t count) {
    if (count > bytes.size()) {
      ok = false;
      return;
    }
    auto part = take(count * sizeof(T));
    if (!ok) return;
    out.resize(count);
    if (count) std::memcpy(out.data(), part.data(), part.size());
  }
};

uint64_t checksum_of(Header header, std::span<const uint8_t> rest) {
  header.checksum = 0;
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  XXH3_64bits_update(state, &header, sizeof header);
  XXH3_64bits_update(state, rest.data(), rest.size());
  uint64_t sum = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return sum;
}

/// The module's bytes with the code section cut out: linked code takes its place.
std::vector<uint8_t> without_code_section(std::span<const uint8_t> bytes, const wasm::Module& module) {
  constexpr uint8_t kCodeSection = 10;
  for (const wasm::Section& section : module.sections) {
    if (section.id != kCodeSection) continue;
    // The section's id and size (a LEB128 of any length) stand before its contents.
    size_t begin = section.begin - 1;
    auto is_size_at = [&](size_t at) {
      uint64_t v = 0;
      for (size_t i = at, shift = 0; i < section.begin; ++i, shift += 7) v |= uint64_t{bytes[i] & 0x7fu} << shift;
      return bytes[at - 1] == kCodeSection && v == section.end - section.begin;
    };
    while (begin > 8 && section.begin - begin < 5 && !(is_size_at(begin))) --begin;
    std::vector<uint8_t> rest(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(begin - 1));
    rest.insert(rest.end(), bytes.begin() + static_cast<ptrdiff_t>(section.end), bytes.end());
    return rest;
  }
  return {bytes.begin(), bytes.end()};
}

template <class T>
void append(std::vector<uint8_t>& out, const std::vector<T>& values) {
  auto* begin = reinterpret_cast<const uint8_t*>(values.data());
  out.insert(out.end(), begin, begin + values.size() * sizeof(T));
}

Error corrupt(const std::string& path, const std::string& why) {
  return Error(ErrorKind::corrupt, fmt::format("{}: {}", path, why));
}

}  // namespace

uint64_t module_offset_at(const CodeImage& image, uint32_t defined_func, uint32_t code_offset) {
  if (defined_func + 1 >= image.line_begin.size()) return 0;
  size_t at = image.line_begin[defined_func], end = image.line_begin[defined_func + 1];
  auto uleb = [&] {
    uint64_t v = 0;
    for (unsigned shift = 0; at < end; shift += 7) {
      uint8_t byte = image.lines[at++];
      if (shift < 64) v |= uint64_t{byte & 0x7fu} << shift;
      if (!(byte & 0x80)) break;
    }
    return v;
  };
  uint64_t address = image.entries[defined_func], offset = 0, found = 0;
  while (at < end) {
    address += uleb();
    uint64_t delta = uleb();
    offset += (delta >> 1) ^ (~(delta & 1) + 1);
    if (address > code_offset) break;
    found = offset;
  }
  return found;
}

Result<void> write_code_file(const std::string& path, const CodeImage& image, std::span<const uint8_t> module_bytes,
                             const wasm::Module& module, const std::vector<std::string>& cpu_features) {
  std::vector<uint8_t> rest = without_code_section(module_bytes, module);
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.file_version = kFileVersion;
  header.abi_version = kAbiVersion;
  header.module_bytes = rest.size();
  for (const std::string& feature : cpu_features) {
    rest.insert(rest.end(), feature.begin(), feature.end());
    rest.push_back(0);
  }
  header.cpu_features_bytes = rest.size() - header.module_bytes;
  header.functions = image.entries.size();
  header.lines_bytes = image.lines.size();
  append(rest, image.entries);
  append(rest, image.ends);
  append(rest, image.line_begin);
  append(rest, image.lines);
  while ((sizeof header + rest.size()) % CodeImage::kPageBytes) rest.push_back(0);
  header.text_bytes = image.text_bytes;
  header.rodata_bytes = image.rodata_bytes;
  header.run_page_bytes = image.run_page_bytes;
  header.text_file_offset = sizeof header + rest.size();
  append(rest, image.bytes);
  header.file_bytes = sizeof header + rest.size();
  header.checksum = checksum_of(header, rest);

  OutputFile file(path);
  if (!file.is_open()) return fail(ErrorKind::io, system_error("creating", path));
  ROTOR_CHECK(file.write(&header, sizeof header));
  ROTOR_CHECK(file.write(rest.data(), rest.size()));
  return file.keep();
}

namespace {

Result<std::vector<uint8_t>> read_whole(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(ErrorKind::io, system_error("opening", path));
  struct stat info;
  std::vector<uint8_t> bytes;
  bool ok = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (ok) bytes.resize(static_cast<size_t>(info.st_size));
  size_t at = 0;
  while (ok && at < bytes.size()) {
    ssize_t n = read(fd, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      ok = false;
    else
      at += static_cast<size_t>(n);
  }
  int saved = errno;
  close(fd);
  errno = saved;
  if (!ok) return fail(ErrorKind::io, system_error("reading", path));
  return bytes;
}

Result<Header> check_header(const std::string& path, std::span<const uint8_t> bytes, ChecksumCheck check) {
  Header header;
  if (bytes.size() < sizeof header || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    return std::unexpected(corrupt(path, "no Rotor code file"));
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.file_version != kFileVersion || header.abi_version != kAbiVersion)
    return std::unexpected(
        corrupt(path, fmt::format("made by another version of Rotor (format {}.{}, this one reads {}.{})",
                                  header.file_version, header.abi_version, kFileVersion, kAbiVersion)));
  if (header.file_bytes != bytes.size())
    return std::unexpected(corrupt(path, fmt::format("truncated: {} of {} bytes", bytes.size(), header.file_bytes)));
  if (check == ChecksumCheck::on && checksum_of(header, bytes.subspan(sizeof header)) != header.checksum)
    return std::unexpected(corrupt(path, "damaged: its checksum is wrong"));
  return header;
}

/// What a right checksum does not say: that offsets lie within their parts.
bool consistent(const Header& h, const CodeImage& image) {
  constexpr uint64_t page = CodeImage::kPageBytes;
  if (h.text_bytes % page || h.rodata_bytes % page || h.run_page_bytes % page || h.text_file_offset % page)
    return false;
  if (h.text_file_offset > h.file_bytes || h.text_bytes + h.rodata_bytes != h.file_bytes - h.text_file_offset)
    return false;
  if (h.run_page_bytes > h.file_bytes + (UINT64_C(1) << 30)) return false;
  for (size_t i = 0; i < image.entries.size(); ++i)
    if (image.entries[i] > image.ends[i] || image.ends[i] > h.text_bytes) return false;
  for (size_t i = 0; i + 1 < image.line_begin.size(); ++i)
    if (image.line_begin[i] > image.line_begin[i + 1]) return false;
  return image.line_begin.empty() || image.line_begin.back() <= image.lines.size();
}

}  // namespace

Result<CodeFile> read_code_file(const std::string& path) {
  ROTOR_TRY(std::vector<uint8_t> bytes, read_whole(path));
  return parse_code_file(bytes, path);
}

Result<CodeFile> parse_code_file(std::span<const uint8_t> bytes, const std::string& path, ChecksumCheck check) {
  ROTOR_TRY(Header header, check_header(path, bytes, check));
  CodeFile file;
  Parts parts{bytes, sizeof header};
  parts.take_into(file.module_bytes, header.module_bytes);
  std::vector<char> features;
  parts.take_into(features, header.cpu_features_bytes);
  parts.take_into(file.image.entries, header.functions);
  parts.take_into(file.image.ends, header.functions);
  parts.take_into(file.image.line_begin, header.functions + 1);
  parts.take_into(file.image.lines, header.lines_bytes);
  if (!parts.ok || !consistent(header, file.image) || (!features.empty() && features.back() != 0))
    return std::unexpected(corrupt(path, "its parts do not fit together"));
  for (size_t at = 0; at < features.size(); at += file.cpu_features.back().size() + 1)
    file.cpu_features.emplace_back(features.data() + at);
  file.image.text_bytes = header.text_bytes;
  file.image.rodata_bytes = header.rodata_bytes;
  file.image.run_page_bytes = header.run_page_bytes;
  file.text_file_offset = header.text_file_offset;
  if (auto missing = missing_cpu_features(file.cpu_features); !missing.empty()) {
    std::string names;
    for (const std::string& m : missing) names += (names.empty() ? "" : ", ") + m;
    return fail(ErrorKind::unsupported, fmt::format("{}: made for a CPU with {}, which this one lacks", path, names));
  }
  return file;
}

}  // namespace rotor::jit
