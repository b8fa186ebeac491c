// Code files: a header, tables, lines, the module without its code section, then text and read-only data on page
// boundaries, to be mapped as they are. Little-endian, as the machine the code is for.
#include "code/code_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "code/abi.h"
#include "code/cpu.h"

namespace rotor::code {

namespace {

constexpr char kMagic[8] = {'R', 'O', 'T', 'O', 'R', 'C', '\r', '\n'};

/// The first bytes of the file. Sizes are in bytes; the parts follow in the order of their sizes here, text and
/// read-only data on page boundaries.
struct Header {
  char magic[8];
  uint32_t file_version;
  uint32_t abi_version;
  uint64_t tables_checksum;    ///< XXH3 of the header with this field as 0, CPU features and functions
  uint64_t contents_checksum;  ///< XXH3 of all that follows
  uint64_t file_bytes;
  RegionLayout region;
  uint32_t flags;
  uint32_t functions;
  uint64_t cpu_features_bytes;  ///< words, each ended by 0, and zeroes up to a multiple of 8
  uint64_t lines_bytes;
  uint64_t module_bytes;
  uint64_t text_bytes;
  uint64_t rodata_bytes;
};
static_assert(sizeof(Header) == 112);

/// Returns how many zeroes fill the gap from `at` to the next multiple of `to`.
uint64_t padding(uint64_t at, uint64_t to) { return (to - at % to) % to; }

struct Checksum {
  XXH3_state_t* state = XXH3_createState();
  Checksum() { XXH3_64bits_reset(state); }
  ~Checksum() { XXH3_freeState(state); }
  Checksum(const Checksum&) = delete;
  void add(const void* data, size_t size) { XXH3_64bits_update(state, data, size); }
  uint64_t digest() const { return XXH3_64bits_digest(state); }
};

uint64_t checksum_of_tables(Header header, std::span<const uint8_t> tables) {
  header.tables_checksum = 0;
  Checksum sum;
  sum.add(&header, sizeof header);
  sum.add(tables.data(), tables.size());
  return sum.digest();
}

Error corrupt(const std::string& path, const std::string& why) {
  return Error(ErrorKind::corrupt, fmt::format("{}: {}", path, why));
}

}  // namespace

std::vector<uint8_t> without_code_section(std::span<const uint8_t> bytes, const wasm::Module& module) {
  for (const wasm::Section& section : module.sections) {
    if (section.id != wasm::SectionId::code) continue;
    // The section's id and size (a LEB128 of any length) stand before its contents.
    size_t begin = section.begin - 1;
    auto is_size_at = [&](size_t at) {
      uint64_t v = 0;
      for (size_t i = at, shift = 0; i < section.begin; ++i, shift += 7) v |= uint64_t{bytes[i] & 0x7fu} << shift;
      return bytes[at - 1] == static_cast<uint8_t>(wasm::SectionId::code) && v == section.end - section.begin;
    };
    while (begin > 8 && section.begin - begin < 5 && !(is_size_at(begin))) --begin;
    std::vector<uint8_t> rest(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(begin - 1));
    rest.insert(rest.end(), bytes.begin() + static_cast<ptrdiff_t>(section.end), bytes.end());
    return rest;
  }
  return {bytes.begin(), bytes.end()};
}

Result<void> write_code(const CodeFile& file, const std::function<Result<void>(const void*, size_t)>& write) {
  std::vector<uint8_t> features;
  for (const std::string& feature : file.cpu_features) {
    features.insert(features.end(), feature.begin(), feature.end());
    features.push_back(0);
  }
  features.resize(features.size() + padding(features.size(), 8));

  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.file_version = kCodeFileVersion;
  header.abi_version = kAbiVersion;
  header.region = file.region;
  header.flags = file.flags;
  header.functions = static_cast<uint32_t>(file.functions.size());
  header.cpu_features_bytes = features.size();
  header.lines_bytes = file.lines.size();
  header.module_bytes = file.module_bytes.size();
  header.text_bytes = file.text.size();
  header.rodata_bytes = file.rodata.size();
  uint64_t unpadded =
      sizeof header + features.size() + file.functions.size_bytes() + file.lines.size() + file.module_bytes.size();
  std::vector<uint8_t> gap(padding(unpadded, kCodePageBytes));
  header.file_bytes = unpadded + gap.size() + file.text.size() + file.rodata.size();
  const std::span<const uint8_t> contents[] = {file.lines, file.module_bytes, gap, file.text, file.rodata};
  Checksum sum;
  for (auto part : contents) sum.add(part.data(), part.size());
  header.contents_checksum = sum.digest();
  auto* functions = reinterpret_cast<const uint8_t*>(file.functions.data());
  features.insert(features.end(), functions, functions + file.functions.size_bytes());
  header.tables_checksum = checksum_of_tables(header, features);

  ROTOR_CHECK(write(&header, sizeof header));
  ROTOR_CHECK(write(features.data(), features.size()));
  for (auto part : contents) ROTOR_CHECK(write(part.data(), part.size()));
  return {};
}

namespace {

Result<Header> check_header(const std::string& path, std::span<const uint8_t> bytes) {
  Header header;
  if (bytes.size() < sizeof header || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    return std::unexpected(corrupt(path, "no Rotor code file"));
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.file_version != kCodeFileVersion || header.abi_version != kAbiVersion)
    return std::unexpected(
        corrupt(path, fmt::format("made by another version of Rotor (format {}.{}, this one reads {}.{})",
                                  header.file_version, header.abi_version, kCodeFileVersion, kAbiVersion)));
  if (header.file_bytes != bytes.size())
    return std::unexpected(corrupt(path, fmt::format("truncated: {} of {} bytes", bytes.size(), header.file_bytes)));
  return header;
}

/// Cuts the parts out of the file. Returns false if they do not fit in it.
bool cut(const Header& header, std::span<const uint8_t> bytes, CodeFile& file, std::span<const uint8_t>& features) {
  uint64_t at = sizeof header;
  auto take = [&](uint64_t size, std::span<const uint8_t>& part) {
    if (size > bytes.size() - at) return false;
    part = bytes.subspan(at, size);
    at += size;
    return true;
  };
  std::span<const uint8_t> functions, gap;
  if (header.cpu_features_bytes % 8 || !take(header.cpu_features_bytes, features)) return false;
  if (!take(uint64_t{header.functions} * sizeof(FunctionCode), functions)) return false;
  file.functions = {reinterpret_cast<const FunctionCode*>(functions.data()), header.functions};
  if (!take(header.lines_bytes, file.lines) || !take(header.module_bytes, file.module_bytes)) return false;
  if (!take(padding(at, kCodePageBytes), gap)) return false;
  file.text_file_offset = at;
  if (!take(header.text_bytes, file.text)) return false;
  file.rodata_file_offset = at;
  return take(header.rodata_bytes, file.rodata) && at == bytes.size();
}

/// Returns whether sizes and offsets fit together, which a right checksum does not say.
bool consistent(const CodeFile& file) {
  constexpr uint64_t kReach = INT32_MAX;
  const RegionLayout& region = file.region;
  for (uint64_t size :
       {region.text_bytes, region.rodata_bytes, region.run_page_bytes, file.text.size(), file.rodata.size()})
    if (size % kCodePageBytes || size > kReach) return false;
  if (region.total_bytes() > kReach || file.text.size() > region.text_bytes || file.rodata.size() > region.rodata_bytes)
    return false;
  uint32_t last_end = 0;
  for (const FunctionCode& f : file.functions) {
    if (f.begin < last_end || f.begin > f.end || f.end > file.text.size() || f.tier > 1) return false;
    if (f.lines_begin > f.lines_end || f.lines_end > file.lines.size()) return false;
    last_end = f.end;
  }
  return true;
}

Result<CodeFile> parse(std::span<const uint8_t> bytes, const std::string& path, std::optional<Check> check) {
  ROTOR_TRY(Header header, check_header(path, bytes));
  CodeFile file;
  file.flags = header.flags;
  file.region = header.region;
  std::span<const uint8_t> features;
  if (!cut(header, bytes, file, features)) return std::unexpected(corrupt(path, "its parts do not fit together"));
  size_t tables_bytes = features.size() + file.functions.size_bytes();
  if (check && checksum_of_tables(header, bytes.subspan(sizeof header, tables_bytes)) != header.tables_checksum)
    return std::unexpected(corrupt(path, "damaged: the checksum of its tables is wrong"));
  if (check == Check::all) {
    auto contents = bytes.subspan(sizeof header + tables_bytes);
    if (XXH3_64bits(contents.data(), contents.size()) != header.contents_checksum)
      return std::unexpected(corrupt(path, "damaged: its checksum is wrong"));
  }
  if (!consistent(file) || (!features.empty() && features.back() != 0))
    return std::unexpected(corrupt(path, "its parts do not fit together"));
  for (size_t at = 0; at < features.size();) {
    std::string feature(reinterpret_cast<const char*>(features.data()) + at);
    at += feature.size() + 1;
    if (!feature.empty()) file.cpu_features.push_back(std::move(feature));
  }
  if (auto runs = check_cpu_features(file.cpu_features); !runs)
    return fail(ErrorKind::unsupported, fmt::format("{}: {}", path, runs.error().message));
  return file;
}

}  // namespace

Result<CodeFile> parse_code_file(std::span<const uint8_t> bytes, const std::string& path, Check check) {
  return parse(bytes, path, check);
}

Result<CodeFile> parse_code_file_unchecked(std::span<const uint8_t> bytes, const std::string& path) {
  return parse(bytes, path, std::nullopt);
}

}  // namespace rotor::code
