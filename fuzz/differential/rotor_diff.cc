// rotor_diff: prints what Rotor makes of modules, as text. fuzz/differential/wasmtime_side.py prints the same of
// Wasmtime, and fuzz/differential/run.py compares the two.
//
// Reads lines `SEED FILE` and answers each with a transcript, which the line "end" ends:
//
//   compile ok                        or a kind of error with its message
//   instance ok                       or "trap CLASS", or a kind of error
//   call E (ARGS) = (RESULTS)         of the function that is export number E; or "trap CLASS" after the arguments
//   global E VALUE                    the state, at the end and before what ran out of fuel begins anew
//   memory E BYTES CRC
//   table E SIZE CRC                  of which elements are null
//   host CALLS CRC                    calls of imported functions, with their arguments
//   stop REASON                       what follows can't be compared: a stack overflow, or a heap with no room for more
//
// A reference to an object is shown with what is in that, as far as kShownDepth and kShownFields go. Each exported
// function is called with values that SEED decides, unless it wants references that no host can make. Modules are made
// with a fuel counter that traps as `unreachable` does and stays empty, so after such a trap the next call goes to a
// fresh instance.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>

#include "fuzz/differential/chosen_values.h"
#include "rotor/rotor.h"

namespace rotor::differential {
namespace {

constexpr int kCallsOfEach = 3;
constexpr uint64_t kHeapBytes = UINT64_C(64) << 20;
// What a transcript shows of an object: so many fields or elements, and of the objects there, so deep.
constexpr int kShownDepth = 3;
constexpr uint32_t kShownFields = 6;
constexpr uint64_t kLargestExtern = 255;  // of the host's: so what is above is the guest's own, as a host sees it

/// Returns the class of a trap, by the classes that engines agree on. Wasmtime does not tell a call past a table's end
/// from other accesses, and looks at the bounds first where a `memory.atomic.notify` is past 4 GiB and unaligned as
/// well.
const char* class_of(TrapKind kind) {
  switch (kind) {
    case TrapKind::undefined_element: return to_string(TrapKind::out_of_bounds_table);
    case TrapKind::unaligned_atomic: return to_string(TrapKind::out_of_bounds_memory);
    case TrapKind::uninitialized_element:
    case TrapKind::null_function_reference:
    case TrapKind::null_structure_reference:
    case TrapKind::null_array_reference:
    case TrapKind::null_i31_reference:
    case TrapKind::null_exception_reference: return to_string(TrapKind::null_reference);
    default: return to_string(kind);
  }
}

std::string outcome(const Error& error) {
  if (error.kind == ErrorKind::exception) return "exception";
  if (error.kind == ErrorKind::trap && error.trap) return fmt::format("trap {}", class_of(error.trap->kind));
  return fmt::format("{}: {}", to_string(error.kind), error.message);
}

/// Returns why nothing can be compared after a call, or an instantiation, that ended with this; else null. Engines need
/// not agree on how much fits in a stack or a heap.
const char* stop_of(const Error& error) {
  if (error.trap && error.trap->kind == TrapKind::stack_overflow) return "stack overflow";
  if (error.kind == ErrorKind::limit && error.message.contains("heap")) return "heap";
  return nullptr;
}

bool is_trap(const Error& error, TrapKind kind) { return error.trap && error.trap->kind == kind; }

std::string text_of(const Value& value, int depth = kShownDepth);

/// Returns the text of a reference below `any`, which is not null.
std::string text_of_object(const Value& value, int depth) {
  if (value.is_i31()) return fmt::format("i31:{}", value.i31());
  if (value.host_ref()) return "host";
  auto object = Object::of(value);
  if (!object) return object.error().message;
  const uint32_t size = *object->size();
  std::string text = object->is_array() ? fmt::format("array:{}[", size) : "structure[";
  for (uint32_t i = 0; depth && i < std::min(size, kShownFields); ++i)
    text += (i ? " " : "") + text_of(*object->get(i), depth - 1);
  return text + "]";
}

/// Returns the name of what a reference type is below of.
const char* hierarchy_of(ValType type) {
  if (type.is_any_ref()) return "anyref";
  if (type.is_extern_ref()) return "externref";
  return type.is_exn_ref() ? "exnref" : "funcref";
}

std::string text_of_reference(const Value& value, int depth) {
  const ValType type = value.type();
  const char* name = hierarchy_of(type);
  if (value.is_null()) return fmt::format("{}:null", name);
  if (type.is_any_ref()) return fmt::format("{}:{}", name, text_of_object(value, depth));
  if (!type.is_extern_ref()) return name;
  const uint64_t bits = value.bits();
  return bits <= kLargestExtern ? fmt::format("{}:{}", name, bits) : fmt::format("{}:inner", name);
}

std::string text_of(const Value& value, int depth) {
  const ValType type = value.type();
  switch (type.kind()) {
    case ValType::Kind::i32:
    case ValType::Kind::f32: return fmt::format("{}:{:08x}", to_string(type), value.bits() & 0xffffffff);
    case ValType::Kind::ref: return text_of_reference(value, depth);
    case ValType::Kind::v128: {
      auto halves = value.v128().lanes<uint64_t>();
      return fmt::format("v128:{:016x}{:016x}", halves[1], halves[0]);
    }
    default: return fmt::format("{}:{:016x}", to_string(type), value.bits());
  }
}

/// Returns whether a host can make a reference of this type that is not null.
bool has_values(ValType type) {
  using enum HeapType::Abstract;
  if (type.is_concrete_ref()) return false;
  const HeapType::Abstract heap = type.heap().abstract();
  return heap == extern_ || heap == func || heap == any || heap == eq || heap == i31;
}

/// Returns whether a host can make arguments for a function of this type.
bool can_be_called(const FuncType& type) {
  return std::ranges::all_of(type.params, [](ValType param) { return param.is_defaultable() || has_values(param); });
}

/// Returns a chosen number of any type.
Value chosen(ChosenValues& values, ValType type) {
  if (type != ValType::v128) return Value::from_bits(type, values.bits(type.kind()));
  uint64_t low = values.bits(ValType::Kind::i64);
  return V128::of<uint64_t>({low, values.bits(ValType::Kind::i64)});
}

std::string text_of(std::span<const Value> values) {
  std::string text;
  for (const Value& value : values) text += (text.empty() ? "" : " ") + text_of(value);
  return text;
}

/// Runs a compiled module: makes instances of it, and notes what their imports see.
class Run {
 public:
  Run(const Engine& engine, const Module& module, uint64_t seed, std::string& out)
      : engine_(engine), module_(module), values_(seed), out_(out) {}

  void run() {
    if (!instantiate()) return;
    const std::vector<ExportInfo>& exports = module_.exports();
    for (size_t e = 0; e < exports.size(); ++e) {
      const auto* type = std::get_if<FuncType>(&exports[e].type);
      if (!type || !can_be_called(*type)) continue;
      for (int n = 0; n < kCallsOfEach; ++n)
        if (!call(e)) return;
    }
    print_state();
  }

 private:
  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  bool instantiate() {
    instance_ = Instance();
    host_calls_ = 0;
    host_crc_ = 0;
    Linker linker(engine_);
    for (size_t i = 0; i < module_.imports().size(); ++i)
      if (!linker.defined(module_.imports()[i].module, module_.imports()[i].name) && !define(linker, i)) return false;
    InstanceOptions options;
    options.limits.heap_bytes = kHeapBytes;
    auto instance = linker.instantiate(module_, options);
    if (!instance) {
      if (const char* stop = stop_of(instance.error()))
        print("stop {}", stop);
      else
        print("instance {}", outcome(instance.error()));
      return false;
    }
    instance_ = std::move(*instance);
    print("instance ok");
    return true;
  }

  /// Defines import number i by constants that its number decides. References are null.
  bool define(Linker& linker, size_t i) {
    const ImportInfo& import = module_.imports()[i];
    if (auto* func = std::get_if<FuncType>(&import.type)) {
      linker.define_func(import.module, import.name, *func, [this, i, type = *func](Caller&, Slot* slots) {
        answer(i, type, slots);
        return Result<void>();
      });
      return true;
    }
    auto made = make(i, import.type);
    if (!made) {
      print("instance {}", outcome(made.error()));
      return false;
    }
    linker.define(import.module, import.name, std::move(*made));
    return true;
  }

  Result<Extern> make(size_t i, const ExternType& type) {
    if (auto* memory = std::get_if<MemoryType>(&type)) return Memory::create(engine_, *memory);
    if (auto* table = std::get_if<TableType>(&type)) return Table::create(engine_, *table, Value::null(table->element));
    const GlobalType& global = std::get<GlobalType>(type);
    if (global.value.is_ref()) return Global::create(engine_, global, Value::null(global.value));
    ChosenValues values(i);
    return Global::create(engine_, global, chosen(values, global.value));
  }

  void answer(size_t i, const FuncType& type, Slot* slots) {
    ++host_calls_;
    mix(i);
    const Slot* argument = slots;
    for (ValType param : type.params) {
      mix(param.is_ref() ? *argument != 0 : *argument);
      if (param == ValType::v128) mix(*++argument);
      ++argument;
    }
    ChosenValues values(i);
    for (ValType result : type.results) {
      if (result.is_ref()) {
        *slots++ = 0;
      } else if (result == ValType::v128) {
        for (uint64_t half : chosen(values, result).v128().lanes<uint64_t>()) *slots++ = half;
      } else {
        *slots++ = values.bits(result.kind());
      }
    }
  }

  void mix(uint64_t bits) {
    host_crc_ = static_cast<uint32_t>(crc32(host_crc_, reinterpret_cast<const Bytef*>(&bits), sizeof bits));
  }

  /// Calls export e. Returns false if nothing more can be compared for this module.
  bool call(size_t e) {
    const ExportInfo& exported = module_.exports()[e];
    auto func = instance_.get_func(exported.name);
    if (!func) {
      print("call {} {}", e, outcome(func.error()));
      return true;
    }
    std::vector<Value> args;
    for (ValType type : std::get<FuncType>(exported.type).params) args.push_back(argument(type, *func));
    auto results = func->call(args);
    if (results) {
      print("call {} ({}) = ({})", e, text_of(args), text_of(*results));
      return true;
    }
    if (const char* stop = stop_of(results.error())) {
      print("stop {}", stop);
      return false;
    }
    print("call {} ({}) {}", e, text_of(args), outcome(results.error()));
    if (!is_trap(results.error(), TrapKind::unreachable)) return true;
    print_state();
    return instantiate();
  }

  /// Returns an argument: a chosen number; a reference is null or, if its type allows, the function that is called or a
  /// small number.
  Value argument(ValType type, const Func& func) {
    if (!type.is_ref()) return chosen(values_, type);
    uint64_t r = values_.next();
    if (type.nullable() && ((r & 1) == 0 || !has_values(type))) return Value::null(type);
    const uint64_t number = 1 + (r >> 1) % kLargestExtern;
    if (type.is_extern_ref()) return Value(ExternRef{number});
    if (type.is_any_ref()) return Value::of_i31(static_cast<int32_t>(number));
    return Value(func);
  }

  void print_state() {
    const std::vector<ExportInfo>& exports = module_.exports();
    for (size_t e = 0; e < exports.size(); ++e) {
      auto item = instance_.get(exports[e].name);
      if (!item)
        print("state {} {}", e, outcome(item.error()));
      else if (auto* global = std::get_if<Global>(&*item))
        print("global {} {}", e, text_of(*global->get()));
      else if (auto* memory = std::get_if<Memory>(&*item))
        print("memory {} {} {:08x}", e, memory->size_bytes(), crc32_z(0, memory->data(), memory->size_bytes()));
      else if (auto* table = std::get_if<Table>(&*item))
        print("table {} {} {:08x}", e, table->size(), crc_of(*table));
    }
    print("host {} {:08x}", host_calls_, host_crc_);
  }

  static uint32_t crc_of(const Table& table) {
    std::vector<Bytef> is_null(table.size());
    for (size_t i = 0; i < is_null.size(); ++i) is_null[i] = table.get(i)->is_null();
    return static_cast<uint32_t>(crc32_z(0, is_null.data(), is_null.size()));
  }

  const Engine& engine_;
  const Module& module_;
  ChosenValues values_;
  std::string& out_;
  Instance instance_;
  uint64_t host_calls_ = 0;
  uint32_t host_crc_ = 0;
};

std::string transcript(const Engine& engine, uint64_t seed, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "compile io: can't read the file\n";
  std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(file)), {});
  auto module = Module::compile(engine, bytes);
  if (!module) return fmt::format("compile {}\n", outcome(module.error()));
  std::string out = "compile ok\n";
  Run(engine, *module, seed, out).run();
  return out;
}

/// Parses `--opt 0|1`, `--mode aot|eager|lazy`, `--wide-products on|off`, `--frames on|off`, `--gc-stress on|off`
/// and `--cpu NAME`.
std::optional<Config> config_of(std::span<char*> args) {
  static const std::map<std::string_view, OptLevel> levels = {{"0", OptLevel::o0}, {"1", OptLevel::o1}};
  static const std::map<std::string_view, CompileMode> modes = {
      {"aot", CompileMode::aot}, {"eager", CompileMode::eager}, {"lazy", CompileMode::lazy}};
  Config config;
  config.mode = CompileMode::aot;
  config.compile_workers = 1;
  config.features.set("custom-page-sizes", true);
  config.features.set("gc", true);
  config.features.set("wide-arithmetic", true);
  if (args.size() % 2) return std::nullopt;
  for (size_t i = 0; i < args.size(); i += 2) {
    std::string_view name = args[i], value = args[i + 1];
    if (name == "--opt" && levels.contains(value))
      config.opt = levels.at(value);
    else if (name == "--mode" && modes.contains(value))
      config.mode = modes.at(value);
    else if (name == "--wide-products" && (value == "on" || value == "off"))
      config.wide_products = value == "on";
    else if (name == "--frames" && (value == "on" || value == "off"))
      config.compile_steps_per_byte = value == "on" ? 0 : Config().compile_steps_per_byte;
    else if (name == "--gc-stress" && (value == "on" || value == "off"))
      config.gc_stress = value == "on";
    else if (name == "--cpu")
      config.cpu = value;
    else
      return std::nullopt;
  }
  return config;
}

int serve(std::span<char*> args) {
  auto config = config_of(args);
  if (!config) {
    std::cerr << "usage: rotor_diff [--opt 0|1] [--mode aot|eager|lazy] [--wide-products on|off] [--frames on|off] "
                 "[--gc-stress on|off] [--cpu NAME] < lines of `SEED FILE`\n";
    return 2;
  }
  auto engine = Engine::create(*config);
  if (!engine) {
    std::cerr << engine.error().to_string() << '\n';
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    uint64_t seed = 0;
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), seed);
    if (error != std::errc() || *end != ' ') {
      std::cerr << "not `SEED FILE`: " << line << '\n';
      return 2;
    }
    std::cout << transcript(*engine, seed, end + 1) << "end" << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace rotor::differential

int main(int argc, char** argv) { return rotor::differential::serve({argv + 1, static_cast<size_t>(argc - 1)}); }
