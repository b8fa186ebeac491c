#include "hosts/wasm_bindgen/js_value.h"

#include <fmt/format.h>

#include <unordered_map>

namespace rotor::wasm_bindgen {
namespace {

constexpr uint64_t kPayload = (UINT64_C(1) << 56) - 1;
constexpr uint64_t kPageBytes = Memory::kPageBytes;

size_t bytes_of(const JsObject& object) {
  if (auto* string = std::get_if<JsString>(&object)) return string->text.size();
  if (auto* error = std::get_if<JsError>(&object)) return error->message.size();
  return 0;
}

Error not_an_array() { return Error(ErrorKind::host, "a host object that is no Uint8Array was used as one"); }

}  // namespace

ObjectTable::ObjectTable(const ObjectTable& other) {
  std::lock_guard lock(other.mutex_);
  objects_ = other.objects_;
  bytes_ = other.bytes_;
  std::unordered_map<const std::vector<uint8_t>*, std::shared_ptr<std::vector<uint8_t>>> copies;
  for (JsObject& object : objects_) {
    auto* slice = std::get_if<HostSlice>(&object);
    if (!slice) continue;
    auto& copy = copies[slice->buffer.get()];
    if (!copy) copy = std::make_shared<std::vector<uint8_t>>(*slice->buffer);
    slice->buffer = copy;
  }
}

ObjectTable& ObjectTable::operator=(ObjectTable&& other) noexcept {
  objects_ = std::move(other.objects_);
  bytes_ = other.bytes_;
  return *this;
}

Result<ExternRef> ObjectTable::add(JsObject object) {
  std::lock_guard lock(mutex_);
  if (objects_.size() >= kMaxObjects)
    return fail(ErrorKind::limit, fmt::format("the guest made {} host objects", kMaxObjects));
  size_t bytes = bytes_of(object);
  if (bytes > kMaxBytes - bytes_)
    return fail(ErrorKind::limit, fmt::format("the guest's host objects pass {} bytes", kMaxBytes));
  bytes_ += bytes;
  objects_.push_back(std::move(object));
  return ref(JsKind::in_table, objects_.size() - 1);
}

Result<ExternRef> ObjectTable::add_view(GuestView view) {
  if (view.size_bytes < UINT64_C(1) << 24) return ref(JsKind::guest_view, view.size_bytes << 32 | view.address);
  if (view.address == 0 && view.size_bytes % kPageBytes == 0)
    return ref(JsKind::memory_view, view.size_bytes / kPageBytes);
  return add(view);
}

Result<ExternRef> ObjectTable::add_bytes(size_t size_bytes) {
  {
    std::lock_guard lock(mutex_);
    if (size_bytes > kMaxBytes - bytes_)
      return fail(ErrorKind::limit, fmt::format("the guest's host objects pass {} bytes", kMaxBytes));
    bytes_ += size_bytes;
  }
  return add(HostSlice{std::make_shared<std::vector<uint8_t>>(size_bytes), 0, size_bytes});
}

Result<ExternRef> ObjectTable::subarray(ExternRef value, uint32_t begin, uint32_t end) {
  const auto whole = array(value);
  if (!whole) return std::unexpected(whole.error());
  uint64_t size = std::visit([](const auto& a) -> uint64_t { return a.size_bytes; }, *whole);
  if (begin > end || end > size)
    return fail(ErrorKind::host, fmt::format("subarray({}, {}) of a Uint8Array of {} bytes", begin, end, size));
  if (auto* view = std::get_if<GuestView>(&*whole)) return add_view({view->address + begin, end - begin});
  const auto& slice = std::get<HostSlice>(*whole);
  uint64_t start = slice.start + begin, length = end - begin;
  uint64_t base = kind(value) == JsKind::slice ? value.bits & 0xffffff : value.bits & kPayload;
  if (start < 0x10000 && length < 0x10000) return ref(JsKind::slice, length << 40 | start << 24 | base);
  return add(HostSlice{slice.buffer, start, length});
}

Result<std::variant<GuestView, HostSlice>> ObjectTable::array(ExternRef value) const {
  uint64_t payload = value.bits & kPayload;
  switch (kind(value)) {
    case JsKind::guest_view: return GuestView{static_cast<uint32_t>(payload), payload >> 32};
    case JsKind::memory_view: return GuestView{0, payload * kPageBytes};
    case JsKind::slice: {
      const JsObject* object = find(payload & 0xffffff);
      auto* whole = object ? std::get_if<HostSlice>(object) : nullptr;
      size_t start = payload >> 24 & 0xffff, size = payload >> 40;
      if (!whole || start + size > whole->buffer->size()) return std::unexpected(not_an_array());
      return HostSlice{whole->buffer, start, size};
    }
    case JsKind::in_table: {
      const JsObject* object = find(payload);
      if (!object) return std::unexpected(not_an_array());
      if (auto* view = std::get_if<GuestView>(object)) return *view;
      if (auto* slice = std::get_if<HostSlice>(object)) return *slice;
      return std::unexpected(not_an_array());
    }
    default: return std::unexpected(not_an_array());
  }
}

bool ObjectTable::is_object(ExternRef value) const {
  JsKind k = kind(value);
  return k != JsKind::null && k != JsKind::undefined && k != JsKind::false_ && k != JsKind::true_;
}

bool ObjectTable::is_string(ExternRef value) const {
  if (kind(value) == JsKind::node_version) return true;
  if (kind(value) != JsKind::in_table) return false;
  const JsObject* object = find(value.bits & kPayload);
  return object && std::holds_alternative<JsString>(*object);
}

std::string ObjectTable::describe(ExternRef value) const {
  switch (kind(value)) {
    case JsKind::null: return "null";
    case JsKind::undefined: return "undefined";
    case JsKind::false_: return "false";
    case JsKind::true_: return "true";
    case JsKind::in_table: break;
    default: return "[object]";
  }
  const JsObject* object = find(value.bits & kPayload);
  if (!object) return "[object]";
  if (auto* error = std::get_if<JsError>(object)) return error->message;
  if (auto* string = std::get_if<JsString>(object)) return string->text;
  if (auto* number = std::get_if<JsNumber>(object)) return fmt::format("{}", number->value);
  return "[Uint8Array]";
}

size_t ObjectTable::size() const {
  std::lock_guard lock(mutex_);
  return objects_.size();
}

const JsObject* ObjectTable::find(uint64_t index) const {
  std::lock_guard lock(mutex_);
  return index < objects_.size() ? &objects_[index] : nullptr;
}

}  // namespace rotor::wasm_bindgen
