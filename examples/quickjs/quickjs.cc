// Outlives a leak in JavaScript: quickjs emscripten-module.wasm policy.toml REQUESTS. docs/emscripten.md explains it.
#include "examples/emscripten/host.h"

using rotor::Arg;
using rotor::Result;

constexpr char kProgram[] = R"(
  const rows = [], seen = new Map();
  for (let i = 0; i < 20000; i++) rows.push({ id: i, name: 'row ' + i, price: i * 7 % 1000 });
  function price(i) {
    seen.set(i + '/' + seen.size, new Uint8Array(100000));  // the leak: what is remembered is never asked for
    return rows[i % rows.length].price + rows.length;
  })";

static void define_imports(rotor::Linker& linker) {
  linker.define("a", "e", emscripten::environ_get);
  linker.define("a", "f", emscripten::environ_sizes_get);
  linker.define("a", "k", emscripten::resize_heap);
  linker.define("a", "p", emscripten::now_ms);  // seeds Math.random, once
}

static Result<bool> run(const char* wasm, const char* policy_file, int count, bool rewinds) {
  emscripten::Requests requests;
  ROTOR_TRY(auto proxy, emscripten::start(wasm, policy_file, 48 << 20, define_imports, requests.options()));

  ROTOR_CHECK(proxy.call("__wasm_call_ctors"));
  ROTOR_TRY(auto runtime, proxy.call("QTS_NewRuntime"));
  ROTOR_TRY(auto made, proxy.call("QTS_NewContext", {runtime.handle(), 0}));
  const uint32_t context = made.handle();
  auto eval = [&](std::string_view code) {
    return proxy.call("QTS_Eval", {context, Arg::text(code), Arg::text("example.js"), 0, 0});
  };
  ROTOR_CHECK(eval(kProgram));
  ROTOR_TRY(auto price, eval("price"));
  ROTOR_TRY(auto undefined, proxy.call("QTS_GetUndefined"));

  auto ask = [&](int i) -> Result<double> {
    ROTOR_TRY(auto number, proxy.call("QTS_NewFloat64", {context, static_cast<double>(i)}));
    const uint32_t args[] = {number.handle()};
    ROTOR_TRY(auto result, proxy.call("QTS_Call", {context, price.handle(), undefined.handle(), Arg::vector(args)}));
    ROTOR_TRY(auto value, proxy.call("QTS_GetFloat64", {context, result.handle()}));
    ROTOR_CHECK(proxy.call("QTS_FreeValuePointer", {context, result.handle()}));
    ROTOR_CHECK(proxy.call("QTS_FreeValuePointer", {context, number.handle()}));
    return value.values[0].f64();
  };
  for (int i = 0, rows = 20000; i < count; i++) {
    if (i % 500 == 499) {
      ROTOR_CHECK(eval("rows.push({ price: 1 })"));
      rows++;
    }
    if (rewinds) ROTOR_CHECK(proxy.rotate());
    requests.run([&] { return ask(i) == (i % rows < 20000 ? i % rows * 7 % 1000 : 1) + rows; });
  }
  requests.print(proxy.counters());
  return requests.all_right();
}

int main(int argc, char** argv) { return emscripten::main_of(argc, argv, run); }
