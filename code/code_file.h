// The file that a module's code is kept in.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "code/code_image.h"
#include "rotor/result.h"
#include "wasm/module.h"

namespace rotor::code {

inline constexpr uint32_t kCodeFileVersion = 7;

/// What one memory of the module holds first, as a file carries it, to be mapped from there.
struct DataImage {
  uint32_t memory = 0;             ///< index of the memory, which the module defines
  uint64_t size_bytes = 0;         ///< up to where the data reach
  std::span<const uint8_t> pages;  ///< the same in whole pages of kCodePageBytes, zero behind the data
  // Set by parsing only:
  uint64_t file_offset = 0;  ///< of the pages, a multiple of kCodePageBytes
  uint64_t checksum = 0;     ///< XXH3 of the pages
};

/// What a code file holds. To write one, fill it from a module; in one that was parsed, the spans are parts of the
/// file's bytes.
struct CodeFile {
  /// What the code was made with: part of the file, since code of another setting does not fit.
  enum Flag : uint32_t {
    kHasStubs = 1,  ///< text begins with stubs (code/stubs.h); functions without code are compiled on demand
    kInterruptible = 2,
    kUsesFloats = 4,    ///< wasm::BodyDecoder::uses_floats of the module's bodies
    kSlabMemories = 8,  ///< Config::slab_memories
    kUsesHeap = 16,     ///< bodies have instructions of garbage collection
    kFuel = 32,         ///< Config::fuel
  };
  uint32_t flags = 0;
  RegionLayout region;
  std::span<const uint8_t> text;            ///< what is in use, from the region's start
  std::span<const uint8_t> rodata;          ///< likewise
  std::span<const FunctionCode> functions;  ///< ascending by `begin`
  std::span<const uint8_t> lines;
  std::span<const LandingPad> pads;  ///< ascending by `return_address`
  /// The module without its code section; empty in files that are kept for a module that is at hand.
  std::span<const uint8_t> module_bytes;
  std::vector<std::string> cpu_features;  ///< needed, as kFeatures in code/cpu.cc spells them
  std::vector<DataImage> images;          ///< ascending by memory
  /// A number of the start of the machine during which the file was written, for files that a crash of the machine may
  /// leave with holes (code/cache.h); else 0.
  uint64_t boot = 0;
  // Set by parsing only:
  uint64_t text_file_offset = 0;  ///< multiples of kCodePageBytes
  uint64_t rodata_file_offset = 0;
};

/// Returns the module's bytes with the code section cut out: linked code takes its place.
std::vector<uint8_t> without_code_section(std::span<const uint8_t> bytes, const wasm::Module& module);

/// Gives the bytes of a code file to `write`, in pieces: header, CPU features, functions and the tables of images and
/// landing pads, lines, the module, then on pages of their own text, read-only data and images. Nothing is written
/// after the first error. Errors: those of `write`.
Result<void> write_code(const CodeFile& file, const std::function<Result<void>(const void*, size_t)>& write);

/// How much of a file is read through before it is believed, at some 10 GB/s. Damage to the header or the tables is
/// always found; damage to code, lines or the module only by `code` and `all`, and to images only by `all`.
enum class Check : uint8_t { tables, code, all };
/// Parses a code file's bytes, which must be aligned to 8 and outlive the result; `path` is for messages. Errors:
/// corrupt: no code file, of another version, truncated, or a checksum is wrong; unsupported: it needs CPU features
/// that this machine lacks, which are named.
Result<CodeFile> parse_code_file(std::span<const uint8_t> bytes, const std::string& path, Check check);
/// Does what Check::all does beyond Check::code, for a file that was parsed. Errors: corrupt: a checksum is wrong.
Result<void> check_images(const CodeFile& file, const std::string& path);
/// Parses without checking checksums: for a fuzzer, which could not get past them.
Result<CodeFile> parse_code_file_unchecked(std::span<const uint8_t> bytes, const std::string& path);

}  // namespace rotor::code
