#include "packages/node/addon/environment.h"

#include <cctype>

namespace rotor::node {

namespace {

constexpr const char* kHelperNames[] = {"RuntimeError", "LinkError", "CompileError", "toBigInt64",
                                        "toList",       "keep",      "link"};
static_assert(std::size(kHelperNames) == static_cast<size_t>(Helper::count));

constexpr uint64_t kTag = 0x726f746f722e6e6f;  // "rotor.no"

void finalize_object(napi_env env, void* data, void*) {
  auto* object = static_cast<Object*>(data);
  if (object->self) napi_delete_reference(env, object->self);
  delete object;
}

}  // namespace

napi_value js_string(napi_env env, std::string_view text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value js_number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value js_undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

void put(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

std::string text_of(napi_env env, napi_value value) {
  size_t size = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &size) != napi_ok) return {};
  std::string text(size, '\0');
  napi_get_value_string_utf8(env, value, text.data(), size + 1, &size);
  return text;
}

napi_value property(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  napi_valuetype type = napi_undefined;
  if (napi_get_named_property(env, object, name, &value) != napi_ok) return nullptr;
  napi_typeof(env, value, &type);
  return type == napi_undefined ? nullptr : value;
}

// ---- objects ----

bool Object::bind(napi_env env, napi_value holder, std::unique_ptr<Object> object) {
  const napi_type_tag tag{kTag, static_cast<uint64_t>(object->kind())};
  if (napi_type_tag_object(env, holder, &tag) != napi_ok) return false;
  if (napi_wrap(env, holder, object.get(), &finalize_object, nullptr, nullptr) != napi_ok) return false;
  napi_create_reference(env, holder, 0, &object->self);
  object.release();
  return true;
}

Object* Object::find(napi_env env, napi_value value, Kind kind) {
  napi_valuetype type = napi_undefined;
  if (!value || napi_typeof(env, value, &type) != napi_ok) return nullptr;
  if (type != napi_object && type != napi_function) return nullptr;
  const napi_type_tag tag{kTag, static_cast<uint64_t>(kind)};
  bool tagged = false;
  void* data = nullptr;
  if (napi_check_object_type_tag(env, value, &tag, &tagged) != napi_ok || !tagged) return nullptr;
  return napi_unwrap(env, value, &data) == napi_ok ? static_cast<Object*>(data) : nullptr;
}

napi_value Object::wrap(napi_env env, std::unique_ptr<Object> object) {
  napi_value holder = nullptr;
  if (napi_create_object(env, &holder) != napi_ok || !bind(env, holder, std::move(object))) {
    napi_throw_error(env, "ROTOR_IO", "rotor: no memory for an object");
    return nullptr;
  }
  return holder;
}

napi_value Object::holder(napi_env env) const {
  napi_value value = nullptr;
  if (self) napi_get_reference_value(env, self, &value);
  return value;
}

// ---- the environment ----

Environment::Environment(napi_env e) : env(e), references(e) {}

Environment::~Environment() = default;

bool Environment::create(napi_env env) {
  using Owner = std::shared_ptr<Environment>;
  auto owner = std::make_unique<Owner>(std::make_shared<Environment>(env));
  auto free = [](napi_env, void* data, void*) {
    std::unique_ptr<Owner> only(static_cast<Owner*>(data));
    (*only)->gone_ = true;
  };
  if (napi_set_instance_data(env, owner.get(), free, nullptr) != napi_ok) return false;
  owner.release();
  return true;
}

Environment& Environment::of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return **static_cast<std::shared_ptr<Environment>*>(data);
}

napi_value Environment::helper(Helper which) const {
  napi_value value = nullptr;
  napi_get_reference_value(env, helpers_[static_cast<size_t>(which)], &value);
  return value;
}

void Environment::call(Helper which, napi_value first, napi_value second) const {
  napi_value arguments[] = {first, second};
  napi_value ignored = nullptr;
  napi_call_function(env, js_undefined(env), helper(which), 2, arguments, &ignored);
}

void Environment::drop(napi_ref reference) const {
  if (reference && !gone_) napi_delete_reference(env, reference);
}

bool Environment::set_helpers(napi_value object) {
  for (size_t i = 0; i < std::size(kHelperNames); ++i) {
    napi_value function = property(env, object, kHelperNames[i]);
    if (!function) {
      raise_type_error(std::string("rotor: init lacks ") + kHelperNames[i]);
      return false;
    }
    if (helpers_[i]) napi_delete_reference(env, helpers_[i]);
    napi_create_reference(env, function, 1, &helpers_[i]);
  }
  return true;
}

void Environment::raise_type_error(const std::string& message) const {
  napi_throw_type_error(env, nullptr, message.c_str());
}

Error Environment::keep_exception() {
  napi_value exception = nullptr;
  napi_value box = nullptr;
  // A value that is no object can be kept only inside one.
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok &&
      napi_create_array_with_length(env, 1, &box) == napi_ok && napi_set_element(env, box, 0, exception) == napi_ok) {
    if (exception_) napi_delete_reference(env, exception_);
    napi_create_reference(env, box, 1, &exception_);
  }
  return Error(ErrorKind::host, "a JavaScript exception");
}

void Environment::raise(const Error& error, During during) {
  if (exception_ && error.kind == ErrorKind::host) {
    napi_value box = nullptr;
    napi_value exception = nullptr;
    napi_get_reference_value(env, exception_, &box);
    napi_get_element(env, box, 0, &exception);
    napi_delete_reference(env, exception_);
    exception_ = nullptr;
    napi_throw(env, exception);
    return;
  }
  std::string code = std::string("ROTOR_") + to_string(error.kind);
  for (char& c : code) c = c == ' ' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  napi_value text = js_string(env, error.to_string());
  napi_value exception = nullptr;
  auto make = [&](Helper type) { napi_new_instance(env, helper(type), 1, &text, &exception); };
  switch (error.kind) {
    case ErrorKind::trap:
      // The JS API says so of exhausted stacks.
      if (error.trap && error.trap->kind == TrapKind::stack_overflow)
        napi_create_range_error(env, nullptr, text, &exception);
      else
        make(Helper::RuntimeError);
      break;
    case ErrorKind::malformed:
    case ErrorKind::invalid:
    case ErrorKind::unsupported: make(Helper::CompileError); break;
    case ErrorKind::link: make(Helper::LinkError); break;
    case ErrorKind::limit:
      if (during == During::compilation)
        make(Helper::CompileError);
      else
        napi_create_range_error(env, nullptr, text, &exception);
      break;
    case ErrorKind::type_mismatch: napi_create_type_error(env, nullptr, text, &exception); break;
    default: napi_create_error(env, nullptr, text, &exception);
  }
  if (!exception) return;  // the making threw
  put(env, exception, "code", js_string(env, code));
  if (error.trap) put(env, exception, "trap", js_string(env, to_string(error.trap->kind)));
  napi_throw(env, exception);
}

void Environment::refresh_buffers() {
  for (size_t i = 0; i < buffered.size();) {
    if (buffered[i]->detach_if_grown())
      buffered.erase(buffered.begin() + static_cast<ptrdiff_t>(i));
    else
      ++i;
  }
}

}  // namespace rotor::node
