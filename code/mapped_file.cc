#include "code/mapped_file.h"

namespace rotor::code {

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  ROTOR_TRY(memory::os::InputFile file, memory::os::InputFile::open(path));
  ROTOR_TRY(auto bytes, memory::os::map_file(file));
  return std::shared_ptr<const MappedFile>(new MappedFile(std::move(file), bytes));
}

MappedFile::~MappedFile() {
  memory::os::release(const_cast<uint8_t*>(bytes_.data()), memory::os::round_up_to_page(bytes_.size()), 1);
}

}  // namespace rotor::code
