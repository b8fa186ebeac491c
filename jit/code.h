// Linked code as plain data, and the file it is kept in. Nothing here needs LLVM.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/abi.h"
#include "jit/cpu.h"
#include "rotor/result.h"

namespace rotor::jit {

/// Parts of a region of code begin on such a boundary.
inline constexpr uint64_t kCodePageBytes = 4096;
inline constexpr uint64_t round_up_to_page(uint64_t bytes) {
  return (bytes + kCodePageBytes - 1) / kCodePageBytes * kCodePageBytes;
}

/// A module's code lies in one region: [text | read-only data | run page]. Code holds the distances between the three,
/// so they are settled when the region is made; where functions are compiled on demand, text and read-only data have
/// room to grow into. Sizes are multiples of kCodePageBytes.
struct RegionLayout {
  uint64_t text_bytes = 0;    ///< room for text
  uint64_t rodata_bytes = 0;  ///< room for read-only data
  uint64_t run_page_bytes = 0;

  uint64_t rodata() const { return text_bytes; }
  uint64_t run_page() const { return text_bytes + rodata_bytes; }
  uint64_t total_bytes() const { return text_bytes + rodata_bytes + run_page_bytes; }
};

/// The region of a module whose functions are compiled on demand. Errors: limit.
Result<RegionLayout> growing_region(const wasm::Module& module, uint64_t code_limit_bytes);

/// The machine code of one function. Also a record of the code file.
struct FunctionCode {
  uint32_t func;   ///< among the defined functions
  uint32_t begin;  ///< its entry: offset in the region's text
  uint32_t end;
  /// Its sites: `lines[lines_begin, lines_end)` is a run of ULEB128 pairs (code offset delta, from the entry; zigzag
  /// module offset delta, from 0), in code order.
  uint32_t lines_begin;
  uint32_t lines_end;
  uint32_t tier;  ///< 0, or 1: of two codes of a function the higher counts
};
static_assert(sizeof(FunctionCode) == 24);

/// Code of some functions, linked for its place in a region: it holds no relocation, and is the same wherever the
/// region lies.
struct CodeImage {
  uint64_t text_offset = 0;    ///< of `text` in the region's text
  uint64_t rodata_offset = 0;  ///< of `rodata` in the region's read-only data
  std::vector<uint8_t> text;   ///< whole pages
  std::vector<uint8_t> rodata;
  std::vector<FunctionCode> functions;  ///< ascending by `begin`
  std::vector<uint8_t> lines;
};

/// The module offset of the instruction at `code_offset` (in the region's text); 0 if not known.
uint64_t module_offset_at(const FunctionCode& function, std::span<const uint8_t> lines, uint32_t code_offset);

inline constexpr uint32_t kCodeFileVersion = 2;
/// Names the sources, the LLVM and the settings that this library was built of: two that might compile a module
/// differently have different names.
const char* build_name();

/// What a code file holds. To write one, fill it from a module; read, its spans are parts of the file's bytes.
struct CodeFile {
  /// What the code was made with: part of the file, since code of another setting does not fit.
  enum Flag : uint32_t {
    kHasStubs = 1,  ///< text begins with the stubs (abi.h), functions without code are compiled on demand
    kInterruptible = 2,
  };
  uint32_t flags = 0;
  RegionLayout region;
  std::span<const uint8_t> text;            ///< what is in use, from the region's start
  std::span<const uint8_t> rodata;          ///< likewise
  std::span<const FunctionCode> functions;  ///< ascending by `begin`
  std::span<const uint8_t> lines;
  /// The module without its code section; empty in files that are kept for a module that is at hand.
  std::span<const uint8_t> module_bytes;
  std::vector<std::string> cpu_features;  ///< needed, as /proc/cpuinfo spells them
  // Read only:
  uint64_t text_file_offset = 0;  ///< multiples of kCodePageBytes
  uint64_t rodata_file_offset = 0;
};

/// The module's bytes with the code section cut out: linked code takes its place.
std::vector<uint8_t> without_code_section(std::span<const uint8_t> bytes, const wasm::Module& module);

/// Gives the bytes of a code file to `write`, in pieces: header, CPU features and functions, lines, the module, then on
/// pages of their own text and read-only data. Nothing is written after the first error.
/// Errors: those of `write`.
Result<void> write_code(const CodeFile& file, const std::function<Result<void>(const void*, size_t)>& write);

/// How much of a file is read through before it is believed. Damage to the header or the tables is always found; damage
/// to code, lines or the module only by `all`, at some 10 GB/s.
enum class Check : bool { tables, all };
/// Parses a code file's bytes, which must be aligned to 8 and outlive the result; `path` is for messages. Errors:
/// corrupt: no code file, of another version, truncated, or a checksum is wrong; unsupported: it needs CPU features
/// that this machine lacks, which are named.
Result<CodeFile> parse_code_file(std::span<const uint8_t> bytes, const std::string& path, Check check);
/// The same without checksums: for a fuzzer, which could not get past them.
Result<CodeFile> parse_code_file_unchecked(std::span<const uint8_t> bytes, const std::string& path);

}  // namespace rotor::jit
