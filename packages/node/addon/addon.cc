// The addon: what of Rotor JavaScript sees. packages/node/lib is its only user.
#include <node_api.h>

#include "packages/node/addon/engine.h"
#include "packages/node/addon/environment.h"
#include "packages/node/addon/guest.h"
#include "packages/node/addon/table.h"

namespace rotor::node {

namespace {

/// Takes the functions and classes of JavaScript that the addon needs (Helper).
napi_value init(napi_env env, napi_callback_info info) {
  Arguments<1> in(env, info);
  Environment::of(env).set_helpers(in[0]);
  return nullptr;
}

}  // namespace

}  // namespace rotor::node

NAPI_MODULE_INIT() {
  using namespace rotor::node;
  if (!Environment::create(env)) return nullptr;
  define(env, exports, {{"init", init}});
  define_modules(env, exports);
  define_stores(env, exports);
  define_guests(env, exports);
  return exports;
}
