// Code files: a header, tables, lines, the module without its code section, then text, read-only data and images of
// data on page boundaries, to be mapped as they are. Little-endian, as the machine the code is for.
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
  uint64_t tables_checksum;    ///< XXH3 of the header with this field as 0, and of all up to the lines
  uint64_t contents_checksum;  ///< XXH3 of all that follows, up to the images, each of which has its own
  uint64_t file_bytes;
  RegionLayout region;
  uint32_t flags;
  uint32_t functions;
  uint64_t cpu_features_bytes;  ///< words, each ended by 0, and zeroes up to a multiple of 8
  uint64_t lines_bytes;
  uint64_t module_bytes;
  uint64_t text_bytes;
  uint64_t rodata_bytes;
  uint64_t images;
  uint64_t boot;
  uint64_t pads;
};
static_assert(sizeof(Header) == 136);

/// A record of the table of images. Each takes whole pages, in the order of the table.
struct ImageRecord {
  uint64_t memory;
  uint64_t size_bytes;
  uint64_t checksum;
};
static_assert(sizeof(ImageRecord) == 24);

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
  header.images = file.images.size();
  header.boot = file.boot;
  header.pads = file.pads.size();
  std::vector<ImageRecord> images;
  uint64_t image_bytes = 0;
  for (const DataImage& image : file.images) {
    images.push_back({image.memory, image.size_bytes, XXH3_64bits(image.pages.data(), image.pages.size())});
    image_bytes += image.pages.size();
  }
  const std::span<const ImageRecord> image_table(images);
  uint64_t unpadded = sizeof header + features.size() + file.functions.size_bytes() + image_table.size_bytes() +
                      file.pads.size_bytes() + file.lines.size() + file.module_bytes.size();
  std::vector<uint8_t> gap(padding(unpadded, kCodePageBytes));
  header.file_bytes = unpadded + gap.size() + file.text.size() + file.rodata.size() + image_bytes;
  const std::span<const uint8_t> contents[] = {file.lines, file.module_bytes, gap, file.text, file.rodata};
  Checksum sum;
  for (auto part : contents) sum.add(part.data(), part.size());
  header.contents_checksum = sum.digest();
  std::vector<uint8_t> tables = std::move(features);
  const auto add_table = [&](const auto& table) {
    auto* bytes = reinterpret_cast<const uint8_t*>(table.data());
    tables.insert(tables.end(), bytes, bytes + table.size_bytes());
  };
  add_table(file.functions);
  add_table(image_table);
  add_table(file.pads);
  header.tables_checksum = checksum_of_tables(header, tables);

  ROTOR_CHECK(write(&header, sizeof header));
  ROTOR_CHECK(write(tables.data(), tables.size()));
  for (auto part : contents) ROTOR_CHECK(write(part.data(), part.size()));
  for (const DataImage& image : file.images) ROTOR_CHECK(write(image.pages.data(), image.pages.size()));
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

/// What is read of a file beside its CodeFile.
struct Parts {
  std::span<const uint8_t> features;
  std::span<const uint8_t> tables;
  std::span<const uint8_t> contents;  ///< from the end of the tables up to the images
};

/// Cuts the parts out of the file. Returns false if they do not fit in it.
bool cut(const Header& header, std::span<const uint8_t> bytes, CodeFile& file, Parts& parts) {
  uint64_t at = sizeof header;
  auto take = [&](uint64_t size, std::span<const uint8_t>& part) {
    if (size > bytes.size() - at) return false;
    part = bytes.subspan(at, size);
    at += size;
    return true;
  };
  std::span<const uint8_t> functions, images, pads, gap;
  if (header.cpu_features_bytes % 8 || !take(header.cpu_features_bytes, parts.features)) return false;
  if (!take(uint64_t{header.functions} * sizeof(FunctionCode), functions)) return false;
  file.functions = {reinterpret_cast<const FunctionCode*>(functions.data()), header.functions};
  if (header.images > bytes.size() / sizeof(ImageRecord) || !take(header.images * sizeof(ImageRecord), images))
    return false;
  if (header.pads > bytes.size() / sizeof(LandingPad) || !take(header.pads * sizeof(LandingPad), pads)) return false;
  file.pads = {reinterpret_cast<const LandingPad*>(pads.data()), header.pads};
  parts.tables = bytes.subspan(sizeof header, at - sizeof header);
  if (!take(header.lines_bytes, file.lines) || !take(header.module_bytes, file.module_bytes)) return false;
  if (!take(padding(at, kCodePageBytes), gap)) return false;
  file.text_file_offset = at;
  if (!take(header.text_bytes, file.text)) return false;
  file.rodata_file_offset = at;
  if (!take(header.rodata_bytes, file.rodata)) return false;
  const uint64_t begin = sizeof header + parts.tables.size();
  parts.contents = bytes.subspan(begin, at - begin);
  for (const ImageRecord& record : std::span(reinterpret_cast<const ImageRecord*>(images.data()), header.images)) {
    if (record.memory > UINT32_MAX || record.size_bytes > bytes.size()) return false;
    DataImage image{.memory = static_cast<uint32_t>(record.memory), .size_bytes = record.size_bytes, .pages = {}};
    image.file_offset = at;
    image.checksum = record.checksum;
    if (!take(round_up_to_page(record.size_bytes), image.pages)) return false;
    file.images.push_back(std::move(image));
  }
  return at == bytes.size();
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
    if (f.saved >= 1u << kSavedRegisters) return false;
    if (f.lines_begin > f.lines_end || f.lines_end > file.lines.size()) return false;
    last_end = f.end;
  }
  // A pad is in the function of its call, so that a frame goes on in its own function.
  auto function = file.functions.begin();
  uint32_t last_return = 0;
  for (const LandingPad& pad : file.pads) {
    if (pad.return_address <= last_return) return false;
    last_return = pad.return_address;
    while (function != file.functions.end() && pad.return_address > function->end) ++function;
    if (function == file.functions.end() || pad.return_address <= function->begin) return false;
    if (pad.pad <= function->begin || pad.pad >= function->end) return false;
    if (pad.pushed_bytes % 16 || pad.pushed_bytes > LandingPad::kMaxPushedBytes) return false;
  }
  // Each lies on pages of its own, and each memory has one at most.
  for (size_t i = 0; i < file.images.size(); ++i) {
    if (file.images[i].size_bytes == 0 || file.images[i].file_offset % kCodePageBytes) return false;
    if (i > 0 && file.images[i].memory <= file.images[i - 1].memory) return false;
  }
  return true;
}

Result<CodeFile> parse(std::span<const uint8_t> bytes, const std::string& path, std::optional<Check> check) {
  ROTOR_TRY(Header header, check_header(path, bytes));
  CodeFile file;
  file.flags = header.flags;
  file.region = header.region;
  file.boot = header.boot;
  Parts parts;
  if (!cut(header, bytes, file, parts)) return std::unexpected(corrupt(path, "its parts do not fit together"));
  if (check && checksum_of_tables(header, parts.tables) != header.tables_checksum)
    return std::unexpected(corrupt(path, "damaged: the checksum of its tables is wrong"));
  if (check && *check != Check::tables &&
      XXH3_64bits(parts.contents.data(), parts.contents.size()) != header.contents_checksum)
    return std::unexpected(corrupt(path, "damaged: its checksum is wrong"));
  const std::span<const uint8_t> features = parts.features;
  if (!consistent(file) || (!features.empty() && features.back() != 0))
    return std::unexpected(corrupt(path, "its parts do not fit together"));
  for (size_t at = 0; at < features.size();) {
    std::string feature(reinterpret_cast<const char*>(features.data()) + at);
    at += feature.size() + 1;
    if (!feature.empty()) file.cpu_features.push_back(std::move(feature));
  }
  if (auto runs = check_cpu_features(file.cpu_features); !runs)
    return fail(ErrorKind::unsupported, fmt::format("{}: {}", path, runs.error().message));
  if (check == Check::all) ROTOR_CHECK(check_images(file, path));
  return file;
}

}  // namespace

Result<CodeFile> parse_code_file(std::span<const uint8_t> bytes, const std::string& path, Check check) {
  return parse(bytes, path, check);
}

Result<void> check_images(const CodeFile& file, const std::string& path) {
  for (const DataImage& image : file.images)
    if (XXH3_64bits(image.pages.data(), image.pages.size()) != image.checksum)
      return std::unexpected(
          corrupt(path, fmt::format("damaged: the checksum of the data of memory {} is wrong", image.memory)));
  return {};
}

Result<CodeFile> parse_code_file_unchecked(std::span<const uint8_t> bytes, const std::string& path) {
  return parse(bytes, path, std::nullopt);
}

}  // namespace rotor::code
