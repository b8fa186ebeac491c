#include "hosts/wasi/stream.h"

#include <algorithm>
#include <cstring>

#include "rotor/guard.h"

namespace rotor::wasi {
namespace {

/// What is left of an input.
struct InputBytes {
  std::mutex mutex;
  std::string contents;
  size_t offset = 0;
};

template <class Function, class Bytes>
Outcome<size_t> call(const Function& function, Bytes bytes) {
  if (!function) return fail(Errno::badf);
  Result<size_t> done = detail::guarded("a stream", [&] { return function(bytes); });
  if (!done) return fail(done.error().kind == ErrorKind::limit ? Errno::nospc : Errno::io);
  if (*done > bytes.size()) return fail(Errno::io);
  return *done;
}

}  // namespace

Outcome<size_t> read_stream(const Stream& stream, std::span<uint8_t> bytes) { return call(stream.read, bytes); }
Outcome<size_t> write_stream(const Stream& stream, std::span<const uint8_t> bytes) { return call(stream.write, bytes); }

size_t Buffer::append(std::span<const uint8_t> bytes) {
  std::lock_guard lock(mutex_);
  const size_t size = std::min(bytes.size(), limit_bytes_ - bytes_.size());
  bytes_.append(reinterpret_cast<const char*>(bytes.data()), size);
  return size;
}

std::string Buffer::contents() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

Input Input::bytes(std::string contents) {
  auto input = std::make_shared<InputBytes>();
  input->contents = std::move(contents);
  return function([input](std::span<uint8_t> to) -> Result<size_t> {
    std::lock_guard lock(input->mutex);
    const size_t size = std::min(to.size(), input->contents.size() - input->offset);
    if (size) std::memcpy(to.data(), input->contents.data() + input->offset, size);
    input->offset += size;
    return size;
  });
}

Output Output::none() {
  return function([](std::span<const uint8_t> bytes) -> Result<size_t> { return bytes.size(); });
}

Output Output::buffer(std::shared_ptr<Buffer> to) {
  return function([to = std::move(to)](std::span<const uint8_t> bytes) -> Result<size_t> {
    const size_t size = to->append(bytes);
    if (size == 0 && !bytes.empty()) return rotor::fail(ErrorKind::limit, "the buffer is full");
    return size;
  });
}

}  // namespace rotor::wasi
