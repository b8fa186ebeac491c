#include "jit/link.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "code/abi.h"
#include "code/code_image.h"
#include "jit/site_table.h"
#include "jit/unwind_table.h"

namespace rotor::jit {

namespace {

constexpr uint32_t kRunPage = UINT32_MAX - 1;
constexpr uint64_t kNotPlaced = UINT64_MAX;

void put_uleb(std::vector<uint8_t>& out, uint64_t v) {
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<uint8_t>(v | 0x80));
  out.push_back(static_cast<uint8_t>(v));
}

/// Appends the sites of the code in [begin, end) of the object's text (code/code_image.h, FunctionCode).
void append_lines(std::vector<uint8_t>& lines, std::span<const Site> sites, uint32_t begin, uint32_t end) {
  auto site = std::lower_bound(sites.begin(), sites.end(), begin,
                               [](const Site& s, uint32_t address) { return s.code_offset < address; });
  uint32_t address = begin, offset = 0;
  for (; site != sites.end() && site->code_offset < end; ++site) {
    put_uleb(lines, site->code_offset - address);
    int64_t delta = int64_t{site->module_offset} - offset;
    put_uleb(lines, static_cast<uint64_t>(delta) << 1 ^ static_cast<uint64_t>(delta >> 63));
    address = site->code_offset;
    offset = site->module_offset;
  }
}

uint64_t round_up(uint64_t v, uint64_t to) { return (v + to - 1) / to * to; }

/// One ELF object, parsed in place.
struct Object {
  const uint8_t* bytes;
  size_t size;
  std::span<const Elf64_Shdr> sections;
  std::span<const Elf64_Sym> symbols;
  const char* names = nullptr;  ///< of symbols
  const char* section_names = nullptr;
  std::vector<uint64_t> place;  ///< of each section: offset in text or in read-only data
  std::vector<bool> in_text;

  const char* section_name(const Elf64_Shdr& s) const { return section_names + s.sh_name; }
  const char* name(const Elf64_Sym& s) const { return names + s.st_name; }
};

Error unexpected(const std::string& what) { return Error(ErrorKind::internal, "linking compiled code: " + what); }

Result<Object> parse_object(std::span<const char> bytes) {
  Object o{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), {}, {}, nullptr, nullptr, {}, {}};
  auto* header = reinterpret_cast<const Elf64_Ehdr*>(o.bytes);
  if (o.size < sizeof *header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_machine != EM_X86_64)
    return std::unexpected(unexpected("not an x86-64 object"));
  o.sections = {reinterpret_cast<const Elf64_Shdr*>(o.bytes + header->e_shoff), header->e_shnum};
  o.section_names = reinterpret_cast<const char*>(o.bytes + o.sections[header->e_shstrndx].sh_offset);
  for (const Elf64_Shdr& s : o.sections)
    if (s.sh_type == SHT_SYMTAB) {
      o.symbols = {reinterpret_cast<const Elf64_Sym*>(o.bytes + s.sh_offset), s.sh_size / sizeof(Elf64_Sym)};
      o.names = reinterpret_cast<const char*>(o.bytes + o.sections[s.sh_link].sh_offset);
    }
  o.place.assign(o.sections.size(), kNotPlaced);
  o.in_text.assign(o.sections.size(), false);
  return o;
}

class Linker final : public code::UnlinkedCode {
 public:
  Linker(std::vector<std::vector<char>> inputs, const wasm::Module& module)
      : module_(module), inputs_(std::move(inputs)) {}

  Result<void> parse_inputs() {
    for (const auto& input : inputs_) {
      ROTOR_TRY(Object o, parse_object(input));
      ROTOR_CHECK(place(o));
      objects_.push_back(std::move(o));
    }
    // The trap handler reads a few bytes from a trap site on, so text never ends right behind one.
    if (text_size_) text_size_ = round_up(text_size_ + code::kTrapSiteBytes, code::kCodePageBytes);
    rodata_size_ = round_up(rodata_size_, code::kCodePageBytes);
    return {};
  }

  uint64_t text_bytes() const override { return text_size_; }
  uint64_t rodata_bytes() const override { return rodata_size_; }

  Result<code::CodeImage> link(const code::RegionLayout& region, uint64_t text_offset, uint64_t rodata_offset,
                               uint32_t tier) override {
    region_ = region;
    image_ = {};
    image_.text_offset = text_offset;
    image_.rodata_offset = rodata_offset;
    // The gaps between functions are filled with traps, so that none falls through into another.
    image_.text.assign(text_size_, 0xcc);
    image_.rodata.assign(rodata_size_, 0);
    for (Object& o : objects_) {
      copy(o);
      ROTOR_CHECK(define(o, tier));
    }
    std::ranges::sort(image_.functions, {}, &code::FunctionCode::begin);
    std::ranges::sort(image_.pads, {}, &code::LandingPad::return_address);
    for (const code::FunctionCode& f : image_.functions) entries_[f.func] = f.begin;
    for (Object& o : objects_) ROTOR_CHECK(relocate(o));
    return std::move(image_);
  }

 private:
  Result<void> place(Object& o) {
    for (size_t i = 0; i < o.sections.size(); ++i) {
      const Elf64_Shdr& s = o.sections[i];
      if (!(s.sh_flags & SHF_ALLOC) || s.sh_size == 0) continue;
      std::string_view name = o.section_name(s);
      // Never read: traps cut the stack at the entry, and for exceptions there is jit/unwind_table.h.
      if (name == ".eh_frame" || name == ".gcc_except_table" || name.starts_with(".data.DW.ref.")) continue;
      if (s.sh_type != SHT_PROGBITS || (s.sh_flags & SHF_WRITE))
        return std::unexpected(unexpected(fmt::format("section {} can't be shared by instances", name)));
      bool text = s.sh_flags & SHF_EXECINSTR;
      uint64_t& size = text ? text_size_ : rodata_size_;
      size = round_up(size, std::max<uint64_t>(s.sh_addralign, text ? 16 : 1));
      o.place[i] = size;
      o.in_text[i] = text;
      size += s.sh_size;
    }
    return {};
  }

  /// Returns the offset of a placed section in the region.
  uint64_t region_offset(const Object& o, size_t section) const {
    return o.place[section] + (o.in_text[section] ? image_.text_offset : region_.rodata() + image_.rodata_offset);
  }
  /// Returns the bytes of a placed section in the image.
  uint8_t* contents(const Object& o, size_t section) {
    return (o.in_text[section] ? image_.text : image_.rodata).data() + o.place[section];
  }

  void copy(const Object& o) {
    for (size_t i = 0; i < o.sections.size(); ++i)
      if (o.place[i] != kNotPlaced)
        std::memcpy(contents(o, i), o.bytes + o.sections[i].sh_offset, o.sections[i].sh_size);
  }

  /// Returns the function index that a symbol names, or kRunPage, or nullopt.
  static std::optional<uint32_t> symbol_meaning(std::string_view name) {
    if (name == "rotor_run_page") return kRunPage;
    return function_of_symbol(name);
  }

  /// Returns the records of one of the object's sections, which our own handlers wrote.
  template <class Record>
  static std::span<const Record> table_of(const Object& o, std::string_view section) {
    for (const Elf64_Shdr& s : o.sections)
      if (o.section_name(s) == section)
        return {reinterpret_cast<const Record*>(o.bytes + s.sh_offset), s.sh_size / sizeof(Record)};
    return {};
  }

  /// Records where each function of the object begins and ends, and its lines.
  Result<void> define(const Object& o, uint32_t tier) {
    std::span<const Site> table = table_of<Site>(o, kSiteSection);
    std::span<const FrameRecord> frames = table_of<FrameRecord>(o, kFrameSection);
    uint32_t text = 0;  // where the object's text begins, in the region's
    for (const Elf64_Sym& s : o.symbols) {
      if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || s.st_shndx == SHN_UNDEF) continue;
      auto index = symbol_meaning(o.name(s));
      if (!index || *index < module_.imported_funcs || *index >= module_.funcs.size())
        return std::unexpected(unexpected(fmt::format("unexpected function {}", o.name(s))));
      code::FunctionCode f{};
      f.func = *index - module_.imported_funcs;
      f.begin = static_cast<uint32_t>(region_offset(o, s.st_shndx) + s.st_value);
      f.end = static_cast<uint32_t>(f.begin + s.st_size);
      f.tier = static_cast<uint16_t>(tier);
      auto frame = std::ranges::lower_bound(frames, s.st_value, {}, &FrameRecord::code_offset);
      if (frame != frames.end() && frame->code_offset == s.st_value) f.saved = static_cast<uint16_t>(frame->saved);
      f.lines_begin = static_cast<uint32_t>(image_.lines.size());
      append_lines(image_.lines, table, static_cast<uint32_t>(s.st_value),
                   static_cast<uint32_t>(s.st_value + s.st_size));
      f.lines_end = static_cast<uint32_t>(image_.lines.size());
      image_.functions.push_back(f);
      text = f.begin - static_cast<uint32_t>(s.st_value);
    }
    for (const PadRecord& record : table_of<PadRecord>(o, kPadSection))
      image_.pads.push_back({text + record.return_address, text + record.pad, record.pushed_bytes});
    return {};
  }

  /// Returns a symbol's address as an offset in the region.
  Result<uint64_t> symbol_address(const Object& o, const Elf64_Sym& s) {
    if (s.st_shndx != SHN_UNDEF && s.st_shndx < SHN_LORESERVE && o.place[s.st_shndx] != kNotPlaced)
      return region_offset(o, s.st_shndx) + s.st_value;
    auto meaning = symbol_meaning(o.name(s));
    if (meaning == kRunPage) return region_.run_page();
    if (meaning && *meaning >= module_.imported_funcs)
      if (auto it = entries_.find(*meaning - module_.imported_funcs); it != entries_.end()) return it->second;
    return std::unexpected(unexpected(fmt::format("undefined symbol \"{}\"", o.name(s))));
  }

  Result<void> relocate(const Object& o) {
    for (const Elf64_Shdr& s : o.sections) {
      if (s.sh_type != SHT_RELA || o.place[s.sh_info] == kNotPlaced) continue;
      auto* relocations = reinterpret_cast<const Elf64_Rela*>(o.bytes + s.sh_offset);
      uint64_t section = region_offset(o, s.sh_info);
      for (size_t i = 0; i < s.sh_size / sizeof(Elf64_Rela); ++i) {
        const Elf64_Rela& r = relocations[i];
        uint32_t kind = ELF64_R_TYPE(r.r_info);
        // Only distances are allowed: an absolute address would tie the image to one place.
        if (kind != R_X86_64_PC32 && kind != R_X86_64_PLT32)
          return std::unexpected(
              unexpected(fmt::format("relocation of type {} in {}", kind, o.section_name(o.sections[s.sh_info]))));
        ROTOR_TRY(uint64_t target, symbol_address(o, o.symbols[ELF64_R_SYM(r.r_info)]));
        uint64_t at = section + r.r_offset;
        int64_t value = static_cast<int64_t>(target) + r.r_addend - static_cast<int64_t>(at);
        if (value != static_cast<int32_t>(value)) return std::unexpected(unexpected("a distance over 2 GiB"));
        auto field = static_cast<int32_t>(value);
        std::memcpy(contents(o, s.sh_info) + r.r_offset, &field, sizeof field);
      }
    }
    return {};
  }

  const wasm::Module& module_;
  std::vector<std::vector<char>> inputs_;
  std::vector<Object> objects_;
  uint64_t text_size_ = 0;
  uint64_t rodata_size_ = 0;
  code::RegionLayout region_;
  code::CodeImage image_;
  std::unordered_map<uint32_t, uint32_t> entries_;  ///< of the functions of these objects
};

}  // namespace

std::optional<uint32_t> function_of_symbol(std::string_view name) {
  if (name.size() < 2 || (name[0] != 'f' && name[0] != 'u')) return std::nullopt;
  const char* last = name.data() + name.size();
  uint32_t index = 0;
  auto [end, error] = std::from_chars(name.data() + 1, last, index);
  bool whole = name[0] == 'f' ? end == last : end != last && *end == '.';
  return error == std::errc() && whole ? std::optional(index) : std::nullopt;
}

Result<std::unique_ptr<code::UnlinkedCode>> parse_objects(std::vector<std::vector<char>> objects,
                                                          const wasm::Module& module) {
  auto linker = std::make_unique<Linker>(std::move(objects), module);
  ROTOR_CHECK(linker->parse_inputs());
  return linker;
}

}  // namespace rotor::jit
