// Outlines a binary module with the text printer's reader, which knows more than the engine can run.
#include "rotor/wat.h"
#include "wasm/limits.h"
#include "wasm/text/binary_codes.h"
#include "wasm/text/print_types.h"

namespace rotor::wasm::text {
namespace {

class OutlineReader {
 public:
  explicit OutlineReader(std::span<const uint8_t> module)
      : headers_(module), state_(module, kTextLimit), types_(state_) {}

  Result<ModuleOutline> run() {
    if (!headers_.module_header()) return std::unexpected(headers_.take_error());
    while (!headers_.at_end())
      if (!section()) {
        note(headers_);
        break;
      }
    return std::move(out_);
  }

 private:
  static constexpr uint64_t kTextLimit = uint64_t{1} << 26;

  /// Notes a problem, unless there is one already: the first is the one reported.
  void note(ByteReader& reader) {
    if (!out_.problem) out_.problem = reader.take_error();
  }

  bool section() {
    SectionId id{};
    uint32_t size = 0;
    if (!headers_.section_id(id)) return false;
    if (!headers_.length(size)) return false;
    const uint64_t end = headers_.offset() + size;
    ModuleOutline::Section& info = out_.sections.emplace_back();
    info.custom = id == SectionId::custom;
    info.name = section_text(id);
    if (info.custom) {
      ByteReader name(state_.module, headers_.offset(), end);
      if (!name.name(info.name)) note(name);
      headers_.seek(name.offset());
    }
    info.offset = headers_.offset();
    info.size = end - info.offset;
    if (!out_.problem) contents(id, info.offset, end);
    headers_.seek(end);
    return true;
  }

  /// Reads a section's contents. Nothing is read behind a part that can't be read: it may not mean what it seems to.
  void contents(SectionId id, uint64_t begin, uint64_t end) {
    ByteReader& reader = state_.reader;
    reader.set_end(end);
    reader.seek(begin);
    bool read_all = true;
    if (id == SectionId::type) read_all = types_.section();
    if (id == SectionId::import) read_all = imports(reader);
    if (id == SectionId::export_) read_all = exports(reader);
    if (!read_all) note(reader);
    reader.set_end(state_.module.size());
  }

  bool imports(ByteReader& reader) {
    uint32_t count = 0;
    if (!reader.count(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
      ModuleOutline::Import import;
      BinaryExtern type;
      if (!reader.name(import.module) || !reader.name(import.name) || !types_.extern_type(type)) return false;
      import.kind = space_word(type.space);
      const size_t begin = state_.out.position();
      types_.put_extern(type);
      if (state_.out.over())
        return reader.fail_detail(Message::limit_module_size, reader.offset(), "its imports' types");
      import.type = import.kind + std::string(state_.out.since(begin));
      out_.imports.push_back(std::move(import));
    }
    return true;
  }

  bool exports(ByteReader& reader) {
    uint32_t count = 0;
    if (!reader.count(count)) return false;
    for (uint32_t i = 0; i < count; ++i) {
      ModuleOutline::Export item;
      uint8_t code = 0;
      if (!reader.name(item.name)) return false;
      const uint64_t start = reader.offset();
      if (!reader.u8(code)) return false;
      if (code >= std::size(kExternSpaces)) return reader.fail(Message::malformed_export_kind, start);
      if (!reader.u32(item.index)) return false;
      item.kind = space_word(kExternSpaces[code]);
      out_.exports.push_back(std::move(item));
    }
    return true;
  }

  ByteReader headers_;
  PrintState state_;
  PrintTypes types_;
  ModuleOutline out_;
};

}  // namespace
}  // namespace rotor::wasm::text

namespace rotor {

Result<ModuleOutline> outline_module(std::span<const uint8_t> module) {
  return wasm::text::OutlineReader(module).run();
}

}  // namespace rotor
