// A file's bytes in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "memory/os.h"
#include "rotor/result.h"

namespace rotor::code {

/// A file's bytes, mapped read-only as long as this lives.
class MappedFile {
 public:
  /// Errors: io, naming the file.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  std::span<const uint8_t> bytes() const { return bytes_; }
  const memory::os::InputFile& file() const { return file_; }

 private:
  MappedFile(memory::os::InputFile file, std::span<const uint8_t> bytes) : file_(std::move(file)), bytes_(bytes) {}
  const memory::os::InputFile file_;
  const std::span<const uint8_t> bytes_;
};

}  // namespace rotor::code
