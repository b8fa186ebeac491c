#include "jit/line_table.h"

#include <algorithm>

namespace rotor::jit {

namespace {

/// A cursor over bytes this process's LLVM wrote; it stops at the end instead of failing at each read.
struct Cursor {
  const uint8_t* at;
  const uint8_t* end;
  bool ok = true;

  bool has(size_t n) { return ok && static_cast<size_t>(end - at) >= n ? true : (ok = false); }
  uint64_t fixed(unsigned bytes) {
    if (!has(bytes)) return 0;
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; ++i) v |= uint64_t{at[i]} << (8 * i);
    at += bytes;
    return v;
  }
  uint64_t uleb() {
    uint64_t v = 0;
    for (unsigned shift = 0; has(1); shift += 7) {
      uint8_t byte = *at++;
      if (shift < 64) v |= uint64_t{byte & 0x7fu} << shift;
      if (!(byte & 0x80)) return v;
    }
    return 0;
  }
  int64_t sleb() {
    uint64_t v = 0;
    for (unsigned shift = 0; has(1);) {
      uint8_t byte = *at++;
      if (shift < 64) v |= uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if (!(byte & 0x80)) return static_cast<int64_t>(shift < 64 && (byte & 0x40) ? v | ~uint64_t{0} << shift : v);
    }
    return 0;
  }
};

struct Program {
  uint8_t min_inst_length = 1;
  int8_t line_base = 0;
  uint8_t line_range = 1;
  uint8_t opcode_base = 1;
};

/// DWARF 4's standard and extended opcodes, and those of them that LLVM uses.
enum : uint8_t { kExtended = 0, kCopy = 1, kAdvancePc = 2, kAdvanceLine = 3, kSetFile = 4, kSetColumn = 5,
                 kNegate = 6, kBasicBlock = 7, kConstAddPc = 8, kFixedAdvancePc = 9, kPrologueEnd = 10,
                 kEpilogueBegin = 11, kSetIsa = 12 };
enum : uint8_t { kEndSequence = 1, kSetAddress = 2 };

void run(Cursor c, const Program& p, std::vector<LineRow>& rows) {
  uint64_t address = 0;
  int64_t line = 1;
  auto emit = [&] { rows.push_back({static_cast<uint32_t>(address), static_cast<uint32_t>(line)}); };
  while (c.ok && c.at < c.end) {
    uint8_t op = *c.at++;
    if (op >= p.opcode_base) {
      uint8_t adjusted = op - p.opcode_base;
      address += uint64_t{adjusted} / p.line_range * p.min_inst_length;
      line += p.line_base + adjusted % p.line_range;
      emit();
      continue;
    }
    switch (op) {
      case kExtended: {
        uint64_t length = c.uleb();
        if (!length || !c.has(length)) return;
        const uint8_t* next = c.at + length;
        uint8_t extended = *c.at++;
        if (extended == kEndSequence) {
          rows.push_back({static_cast<uint32_t>(address), 0});
          line = 1;
        } else if (extended == kSetAddress) {
          address = c.fixed(8);
        }
        c.at = next;
        break;
      }
      case kCopy: emit(); break;
      case kAdvancePc: address += c.uleb() * p.min_inst_length; break;
      case kAdvanceLine: line += c.sleb(); break;
      case kSetFile: case kSetColumn: case kSetIsa: c.uleb(); break;
      case kConstAddPc: address += uint64_t{255u - p.opcode_base} / p.line_range * p.min_inst_length; break;
      case kFixedAdvancePc: address += c.fixed(2); break;
      default: break;  // flags
    }
  }
}

void put_uleb(std::vector<uint8_t>& out, uint64_t v) {
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<uint8_t>(v | 0x80));
  out.push_back(static_cast<uint8_t>(v));
}

}  // namespace

Result<std::vector<LineRow>> read_line_program(std::span<const uint8_t> bytes) {
  std::vector<LineRow> rows;
  Cursor c{bytes.data(), bytes.data() + bytes.size()};
  while (c.ok && c.at < c.end) {
    uint64_t unit_length = c.fixed(4);
    if (!c.has(unit_length)) break;
    const uint8_t* unit_end = c.at + unit_length;
    uint64_t version = c.fixed(2);
    if (version != 4) return fail(ErrorKind::internal, "unexpected DWARF line table version");
    uint64_t header_length = c.fixed(4);
    if (!c.has(header_length)) break;
    const uint8_t* program = c.at + header_length;
    Program p;
    p.min_inst_length = static_cast<uint8_t>(c.fixed(1));
    c.fixed(2);  // operations an instruction, default is_stmt
    p.line_base = static_cast<int8_t>(c.fixed(1));
    p.line_range = static_cast<uint8_t>(c.fixed(1));
    p.opcode_base = static_cast<uint8_t>(c.fixed(1));
    if (!c.ok || !p.line_range || program > unit_end) break;
    run({program, unit_end}, p, rows);
    c.at = unit_end;
  }
  if (!c.ok) return fail(ErrorKind::internal, "truncated DWARF line table");
  return rows;
}

void append_lines(std::vector<uint8_t>& lines, std::span<const LineRow> rows, uint32_t begin, uint32_t end) {
  auto row = std::upper_bound(rows.begin(), rows.end(), begin, [](uint32_t a, const LineRow& r) { return a < r.address; });
  if (row != rows.begin()) --row;
  uint32_t last_address = begin;
  uint32_t last_offset = 0;
  for (; row != rows.end() && row->address < end; ++row) {
    if (row->module_offset == last_offset) continue;
    uint32_t address = std::max(row->address, begin);
    put_uleb(lines, address - last_address);
    int64_t delta = int64_t{row->module_offset} - last_offset;
    put_uleb(lines, static_cast<uint64_t>(delta) << 1 ^ static_cast<uint64_t>(delta >> 63));
    last_address = address;
    last_offset = row->module_offset;
  }
}

}  // namespace rotor::jit
