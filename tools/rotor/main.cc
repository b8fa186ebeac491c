// rotor: runs, checks, compiles and tests WebAssembly modules. One file a command.
#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "tools/rotor/cli.h"

int main(int argc, char** argv) {
  using rotor::cli::Exit;
  CLI::App app{"Rotor: a WebAssembly runtime that rotates instances that leak", "rotor"};
  app.require_subcommand(1);
  app.fallthrough(false);
  app.set_version_flag("--version", "rotor " ROTOR_VERSION);
  rotor::cli::add_run(app);
  rotor::cli::add_validate(app);
  rotor::cli::add_wat2wasm(app);
  rotor::cli::add_wasm2wat(app);
  rotor::cli::add_inspect(app);
  rotor::cli::add_compile(app);
  rotor::cli::add_replay(app);
  rotor::cli::add_wast(app);
  rotor::cli::add_rotate(app);
  rotor::cli::add_policy(app);
  rotor::cli::add_bench(app);
  try {
    app.parse(argc, argv);
    return static_cast<int>(Exit::ok);
  } catch (const CLI::RuntimeError& end) {
    return end.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "rotor: out of memory\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "rotor: {}\n", error.what());
  }
  return static_cast<int>(Exit::failed);
}
