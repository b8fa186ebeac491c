// Outlives a leak of statements: sqlite sqlite3.wasm policy.toml REQUESTS. docs/emscripten.md explains it.
#include <algorithm>

#include "examples/emscripten/host.h"

using rotor::Arg;
using rotor::Result;

constexpr char kState[] = R"(
  CREATE TABLE goods(id INTEGER PRIMARY KEY, name TEXT, price INTEGER);
  WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)
    INSERT INTO goods SELECT i, 'article number ' || i, i * 7 % 1000 FROM n;)";
// The cheapest of a hundred; and a thousand for each new one.
constexpr char kQuery[] =
    "SELECT price + 1000 * (SELECT count(*) FROM goods WHERE id >= 20000) FROM goods WHERE id BETWEEN ?1 AND ?1 + 99 "
    "ORDER BY price, name";
constexpr int kRow = 100;  // SQLITE_ROW

static Result<int> cheapest_from(rotor::Proxy& proxy, uint32_t db, int id) {
  ROTOR_TRY(auto lease, proxy.acquire());
  ROTOR_TRY(auto made, lease.call("sqlite3_prepare_v2", {db, Arg::text(kQuery), 0}));
  if (made.i32() != 0) return rotor::fail(rotor::ErrorKind::limit, "SQLite can't prepare a statement");
  const uint32_t statement = made.handle(1);
  ROTOR_CHECK(lease.call("sqlite3_bind_int", {statement, 1, id}));
  ROTOR_TRY(auto stepped, lease.call("sqlite3_step", {statement}));
  if (stepped.i32() != kRow) return -1;
  ROTOR_TRY(auto value, lease.call("sqlite3_column_int", {statement, 0}));
  // The leak: here should be a call of sqlite3_finalize. (In replay the statement's token ends with the lease.)
  if (proxy.policy().mode == rotor::RotationMode::checkpoint) ROTOR_CHECK(lease.drop(statement));
  return value.i32();
}

static int expected(int id, int rows) {
  int cheapest = 1000;
  for (int i = id; i < std::min(id + 100, rows); i++) cheapest = std::min(cheapest, i < 20000 ? i * 7 % 1000 : 1);
  return cheapest + 1000 * (rows - 20000);
}

static void define_imports(rotor::Linker& linker) {
  linker.define("env", "emscripten_resize_heap", emscripten::resize_heap);
  linker.define("env", "emscripten_date_now", emscripten::now_ms);
  linker.define("env", "__syscall_openat", [](int32_t, int32_t, int32_t, int32_t) { return -44; });  // no such file
  linker.define("wasi_snapshot_preview1", "environ_get", emscripten::environ_get);
  linker.define("wasi_snapshot_preview1", "environ_sizes_get", emscripten::environ_sizes_get);
}

static Result<bool> run(const char* wasm, const char* policy_file, int count, bool rewinds) {
  emscripten::Requests requests;
  ROTOR_TRY(auto proxy, emscripten::start(wasm, policy_file, 16 << 20, define_imports, requests.options()));

  ROTOR_CHECK(proxy.call("__wasm_call_ctors"));
  ROTOR_TRY(auto opened, proxy.call("sqlite3_open", {Arg::text(":memory:")}));
  const uint32_t db = opened.handle(1);
  ROTOR_TRY(auto done, proxy.call("sqlite3_exec", {db, Arg::text(kState), 0, 0, 0}));
  if (done.i32() != 0) return rotor::fail(rotor::ErrorKind::limit, "SQLite can't make the table");

  for (int i = 0, rows = 20000; i < count; i++) {
    if (i % 500 == 499) {
      const std::string insert = "INSERT INTO goods VALUES(" + std::to_string(rows) + ", 'new', 1)";
      ROTOR_CHECK(proxy.call("sqlite3_exec", {db, Arg::text(insert), 0, 0, 0}));
      rows++;
    }
    if (rewinds) ROTOR_CHECK(proxy.rotate());
    const int id = i * 17 % rows;
    requests.run([&] { return cheapest_from(proxy, db, id) == expected(id, rows); });
  }
  requests.print(proxy.counters());
  return requests.all_right();
}

int main(int argc, char** argv) { return emscripten::main_of(argc, argv, run); }
