#include "capi/wasi.h"

#include "capi/linker.h"
#include "capi/store.h"
#include "capi/vec.h"
#include "rotor/printable.h"

using namespace rotor;
using namespace rotor::capi;

namespace {

wasi::Access access_of(bool read_only) { return read_only ? wasi::Access::read_only : wasi::Access::read_write; }

/// Returns a folder in memory. Errors: not_found.
Result<wasi::MemoryFolder> memory_folder(const rotor_wasi_t& wasi, const char* guest_name) {
  const auto found = wasi.memory_folders.find(std::string_view(guest_name));
  if (found == wasi.memory_folders.end())
    return fail(ErrorKind::not_found, "no folder in memory is called \"" + printable(guest_name) + "\"");
  return found->second;
}

}  // namespace

extern "C" {

rotor_wasi_t* rotor_wasi_new() { return new rotor_wasi_t; }
void rotor_wasi_delete(rotor_wasi_t* wasi) { delete wasi; }
void rotor_wasi_add_arg(rotor_wasi_t* wasi, const char* arg) {
  if (wasi && arg) wasi->args.emplace_back(arg);
}
void rotor_wasi_set_env(rotor_wasi_t* wasi, const char* name, const char* value) {
  if (wasi && name) wasi->builder.env(name, text_or_empty(value));
}
void rotor_wasi_add_folder(rotor_wasi_t* wasi, const char* host_path, const char* guest_name, bool read_only) {
  if (!wasi || !host_path) return;
  wasi->builder.folder(host_path, guest_name ? guest_name : host_path, access_of(read_only));
}
void rotor_wasi_add_memory_folder(rotor_wasi_t* wasi, const char* guest_name, size_t limit_bytes, bool read_only) {
  if (!wasi || !guest_name) return;
  const auto folder = wasi->memory_folders.insert_or_assign(guest_name, wasi::MemoryFolder(limit_bytes)).first;
  wasi->builder.folder(folder->second, guest_name, access_of(read_only));
}
rotor_error_t* rotor_wasi_put_file(rotor_wasi_t* wasi, const char* guest_name, const char* path, const void* bytes,
                                   size_t size) {
  if (!wasi || !guest_name || !path || (!bytes && size)) return new_error(missing("outside, folder, path or bytes"));
  auto folder = memory_folder(*wasi, guest_name);
  if (!folder) return new_error(std::move(folder).error());
  auto added = folder->add_file(path, {static_cast<const char*>(bytes), size});
  return added ? nullptr : new_error(std::move(added).error());
}
rotor_error_t* rotor_wasi_get_file(const rotor_wasi_t* wasi, const char* guest_name, const char* path,
                                   wasm_byte_vec_t* out) {
  if (!wasi || !guest_name || !path || !out) return new_error(missing("outside, folder, path or place for the bytes"));
  auto folder = memory_folder(*wasi, guest_name);
  if (!folder) return new_error(std::move(folder).error());
  auto contents = folder->contents(path);
  if (!contents) return new_error(std::move(contents).error());
  make_bytes(out, *contents);
  return nullptr;
}
void rotor_wasi_inherit(rotor_wasi_t* wasi) {
  if (!wasi) return;
  wasi->builder.standard_in(wasi::Input::inherit())
      .standard_out(wasi::Output::inherit())
      .standard_error(wasi::Output::inherit());
}
void rotor_wasi_set_input(rotor_wasi_t* wasi, const void* bytes, size_t size) {
  if (!wasi || (!bytes && size)) return;
  wasi->builder.standard_in(wasi::Input::bytes(std::string(static_cast<const char*>(bytes), size)));
}
void rotor_wasi_capture(rotor_wasi_t* wasi, size_t limit_bytes) {
  if (!wasi) return;
  for (auto& output : wasi->outputs) output = std::make_shared<wasi::Buffer>(limit_bytes);
  wasi->builder.standard_out(wasi::Output::buffer(wasi->outputs[0]))
      .standard_error(wasi::Output::buffer(wasi->outputs[1]));
}
void rotor_wasi_deterministic(rotor_wasi_t* wasi, uint64_t seed) {
  if (wasi) wasi->builder.deterministic(seed);
}
rotor_error_t* rotor_linker_define_wasi(rotor_linker_t* linker, rotor_wasi_t* wasi) {
  if (!linker || !wasi) return new_error(missing("linker or outside"));
  if (!wasi->environment) {
    wasi->builder.args(wasi->args);
    auto built = wasi->builder.build();
    if (!built) return new_error(std::move(built).error());
    wasi->environment = std::move(*built);
  }
  wasi::define(linker->linker, *wasi->environment);
  return nullptr;
}
rotor_error_t* rotor_wasi_run(rotor_wasi_t* wasi, const wasm_instance_t* instance, uint32_t* exit_code) {
  auto* part = part_of<Instance>(instance);
  if (!wasi || !wasi->environment || !part) return new_error(missing("instance, or outside that a linker has"));
  wasm_ref_t* ref = retain(ref_of(instance));
  wasm_store_t* store = ref->store;
  store->begin_call();
  auto code = wasi::run_command(*part, *wasi->environment);
  release(std::exchange(store->pending_trap, nullptr));
  store->end_call();
  release(ref);
  if (!code) return new_error(std::move(code).error());
  if (exit_code) *exit_code = *code;
  return nullptr;
}
void rotor_wasi_output(const rotor_wasi_t* wasi, int descriptor, wasm_byte_vec_t* out) {
  const bool is_captured = wasi && (descriptor == 1 || descriptor == 2) && wasi->outputs[descriptor - 1];
  make_bytes(out, is_captured ? wasi->outputs[descriptor - 1]->contents() : std::string());
}

}  // extern "C"
