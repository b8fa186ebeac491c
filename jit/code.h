// Linked code as plain data, and the file it is kept in. Nothing here needs LLVM.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/abi.h"
#include "rotor/result.h"

namespace rotor::jit {

/// Linked code of one module: [text | read-only data | run page], each part page-aligned. The first two hold no
/// relocations and are the same at every address; the run page starts as zeroes and is filled by the runtime.
struct CodeImage {
  static constexpr uint64_t kPageBytes = 4096;
  std::vector<uint8_t> bytes;  ///< text, then read-only data; empty if they are mapped from a file
  uint64_t text_bytes = 0;     ///< multiples of kPageBytes
  uint64_t rodata_bytes = 0;
  uint64_t run_page_bytes = 0;
  /// Entry of each defined function, as an offset in text; ascending order is not promised.
  std::vector<uint32_t> entries;
  /// For each defined function the end of its code.
  std::vector<uint32_t> ends;
  /// Line table: for each defined function, `lines[line_begin[i], line_begin[i + 1])` is a run of ULEB128 pairs
  /// (code offset delta, from the entry; zigzag module offset delta, from 0), in code order.
  std::vector<uint8_t> lines;
  std::vector<uint32_t> line_begin;

  uint64_t total_bytes() const { return text_bytes + rodata_bytes + run_page_bytes; }
};

/// The module offset of the instruction at `code_offset` (in text) of a defined function; 0 if not known.
uint64_t module_offset_at(const CodeImage& image, uint32_t defined_func, uint32_t code_offset);

/// A code file, parsed: where in the file text and read-only data lie, to be mapped.
struct CodeFile {
  CodeImage image;                        ///< without `bytes`
  uint64_t text_file_offset = 0;          ///< page-aligned; read-only data follows text
  std::vector<uint8_t> module_bytes;      ///< the module without its code section
  std::vector<std::string> cpu_features;  ///< needed, as /proc/cpuinfo spells them
};

/// Writes a code file (a temporary beside it, then a rename: whole or not at all). `module_bytes` is the module; its
/// code section is left out. Errors: io, naming the path.
Result<void> write_code_file(const std::string& path, const CodeImage& image, std::span<const uint8_t> module_bytes,
                             const wasm::Module& module, const std::vector<std::string>& cpu_features);
/// Errors: io; corrupt: no code file, of another version, truncated, or its checksum is wrong.
Result<CodeFile> read_code_file(const std::string& path);
/// Off: for a fuzzer, which could not get past it.
enum class ChecksumCheck : bool { off, on };
/// The same of a file's bytes; `path` is for messages.
Result<CodeFile> parse_code_file(std::span<const uint8_t> bytes, const std::string& path,
                                 ChecksumCheck check = ChecksumCheck::on);

}  // namespace rotor::jit
