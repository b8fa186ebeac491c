// rotor bench instantiate, rotor bench call: what instances of a module cost, and calls of its exports.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "tools/rotor/arguments.h"
#include "tools/rotor/cli.h"
#include "tools/rotor/invocation.h"
#include "tools/rotor/latency.h"
#include "tools/rotor/module_file.h"

namespace rotor::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct InstancesOptions {
  std::string file;
  std::string invoke;
  std::vector<std::string> args;
  uint32_t count = 2000;
  double seconds = 1;
  bool json = false;
  EngineOptions engine;
};

double us_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::micro>(end - begin).count();
}

/// A value that an import of that type may have where nothing says which: zero or null.
Value any_value(ValType type) { return type.is_ref() ? Value::null(type) : Value::from_bits(type, 0); }

/// Defines what the module imports: each instance has memories, tables and globals of its own, and functions that fail
/// when they are called.
Linker stand_ins(const Engine& engine, const Module& module) {
  Linker linker(engine);
  for (const ImportInfo& import : module.imports()) {
    if (const auto* func = std::get_if<FuncType>(&import.type)) {
      const std::string name = printable_name(import.module) + "." + printable_name(import.name);
      linker.define_func(import.module, import.name, *func, [name](Caller&, Slot*) -> Result<void> {
        return fail(ErrorKind::host, "the import " + name + " was called, which `rotor bench` does not define");
      });
      continue;
    }
    auto make = [engine, type = import.type](const InstanceOptions& options) -> Result<Extern> {
      if (const auto* memory = std::get_if<MemoryType>(&type))
        return Memory::create(engine, *memory, options.limits.memory);
      if (const auto* table = std::get_if<TableType>(&type))
        return Table::create(engine, *table, any_value(table->element));
      const auto& global = std::get<GlobalType>(type);
      return Global::create(engine, global, any_value(global.value));
    };
    linker.define_per_instance(import.module, import.name, import.type, make);
  }
  return linker;
}

/// What the instances are made with: fuel that is never used up, if they take any.
InstanceOptions instance_options(const InstancesOptions& options) {
  InstanceOptions made;
  if (options.engine.fuel) made.fuel = UINT64_MAX;
  return made;
}

/// A call that is made over and over.
struct Call {
  std::vector<Slot> slots;  ///< of the arguments, with room for the results

  Call(const InstancesOptions& options, const Module& module) {
    const FuncType type = exported_type_or_die(options.file, module, options.invoke);
    for (const Value& value : parse_args_or_die(options.file, options.invoke, type, options.args)) {
      slots.push_back(value.bits());
      if (value.type() == ValType::v128) {
        slots.resize(slots.size() + 1);
        detail::store_slots(&slots[slots.size() - 2], value.v128());
      }
    }
    slots.resize(std::max(slots.size(), 2 * type.results.size()));
  }
};

nlohmann::ordered_json json_of(const Percentiles& p) {
  return {{"min", rounded(p.min)},
          {"p50", rounded(p.p50)},
          {"p90", rounded(p.p90)},
          {"p99", rounded(p.p99)},
          {"max", rounded(p.max)}};
}

void print_percentiles(const std::string& what, const Percentiles& p) {
  print("{:<24} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f}\n", what, p.p50, p.p90, p.p99, p.max);
}

const char* text_of(Module::DataInit how) {
  switch (how) {
    case Module::DataInit::copied: return "copied";
    case Module::DataInit::mapped: return "mapped";
    case Module::DataInit::mapped_file: return "mapped from the code file";
    case Module::DataInit::imported_memory: return "written: into an imported memory";
    case Module::DataInit::offset_by_global: return "written: a global decides where";
    case Module::DataInit::out_of_bounds: return "written: a segment is out of bounds";
    case Module::DataInit::no_memory_for_image: return "written: no memory for an image";
  }
  std::unreachable();
}

/// What the slots of the memories did for a number of instances.
MemorySlots difference(const MemorySlots& after, const MemorySlots& before) {
  MemorySlots slots = after;
  slots.made -= before.made;
  slots.reused -= before.reused;
  slots.compared -= before.compared;
  slots.scanned -= before.scanned;
  slots.discarded -= before.discarded;
  slots.untouched -= before.untouched;
  slots.restored_bytes -= before.restored_bytes;
  return slots;
}

/// Measures in batches what takes no longer than to read the clock, for that many seconds, and returns ns a time.
template <class Action>
Percentiles measure_batches(double seconds, Action&& action) {
  auto batch = [&](uint64_t times) {
    const Clock::time_point begin = Clock::now();
    for (uint64_t i = 0; i < times; ++i) action();
    return us_between(begin, Clock::now());
  };
  constexpr double kBatchUs = 20;
  uint64_t times = 1;
  while (batch(times) < kBatchUs) times *= 2;
  std::vector<double> ns;
  for (double left_us = seconds * 1e6; left_us > 0;) {
    const double took_us = batch(times);
    ns.push_back(took_us * 1000 / static_cast<double>(times));
    left_us -= took_us;
  }
  return percentiles_of(std::move(ns));
}

void bench_instantiate(const InstancesOptions& options) {
  Engine engine = engine_or_die(options.engine);
  Module module = load_module_or_die(engine, options.file).module;
  InstancePre pre = value_or_die(options.file, stand_ins(engine, module).instantiate_pre(module));
  std::optional<Call> call;
  if (!options.invoke.empty()) call.emplace(options, module);

  std::vector<double> made_us, called_us, dropped_us, all_us;
  auto round = [&] {
    const Clock::time_point begin = Clock::now();
    Instance instance = value_or_die(options.file, pre.instantiate(instance_options(options)));
    const Clock::time_point made = Clock::now();
    if (call) {
      std::vector<Slot> slots = call->slots;
      const Func func = value_or_die(options.file, instance.get_func(options.invoke));
      check_or_die(options.file, func.call_raw(slots.data()));
    }
    const Clock::time_point called = Clock::now();
    instance = Instance();
    const Clock::time_point dropped = Clock::now();
    made_us.push_back(us_between(begin, made));
    called_us.push_back(us_between(made, called));
    dropped_us.push_back(us_between(called, dropped));
    all_us.push_back(us_between(begin, dropped));
  };
  round();
  const double first_us = all_us.front();
  const uint32_t uncounted = options.count / 10 + 2;
  for (uint32_t i = 0; i < uncounted; ++i) round();
  for (std::vector<double>* times : {&made_us, &called_us, &dropped_us, &all_us}) times->clear();
  const MemorySlots before = module.memory_slots();
  for (uint32_t i = 0; i < options.count; ++i) round();
  const MemorySlots slots = difference(module.memory_slots(), before);
  // To read the clock in between takes longer than a small instance.
  std::vector<Slot> call_slots(call ? call->slots.size() : 0);
  const Percentiles rounds_ns = measure_batches(options.seconds, [&] {
    Instance instance = value_or_die(options.file, pre.instantiate(instance_options(options)));
    if (!call) return;
    std::ranges::copy(call->slots, call_slots.begin());
    check_or_die(options.file,
                 value_or_die(options.file, instance.get_func(options.invoke)).call_raw(call_slots.data()));
  });

  const Percentiles made = percentiles_of(made_us), called = percentiles_of(called_us);
  const Percentiles dropped = percentiles_of(dropped_us), all = percentiles_of(all_us);
  const Module::DataInit data = module.data_init().value_or(Module::DataInit::copied);
  const double restored_pages = static_cast<double>(slots.restored_bytes) / 4096 / static_cast<double>(options.count);
  if (options.json) {
    nlohmann::ordered_json json;
    json["count"] = options.count;
    json["first_us"] = first_us;
    json["instantiate_us"] = json_of(made);
    if (call) json["call_us"] = json_of(called);
    json["drop_us"] = json_of(dropped);
    json["all_us"] = json_of(all);
    json["all_by_batches_ns"] = json_of(rounds_ns);
    json["data"] = text_of(data);
    json["slots"] = {{"made", slots.made},
                     {"reused", slots.reused},
                     {"untouched", slots.untouched},
                     {"compared", slots.compared},
                     {"scanned", slots.scanned},
                     {"discarded", slots.discarded},
                     {"restored_pages", restored_pages}};
    print("{}\n", json_text(json));
    return;
  }
  print("{} instances, after {} that are not counted; the first one took {:.1f} µs\n", options.count, uncounted + 1,
        first_us);
  print("{:<24} {:>9} {:>9} {:>9} {:>9}\n", "µs", "p50", "p90", "p99", "most");
  print_percentiles("instantiate", made);
  if (call) print_percentiles("look up and call", called);
  print_percentiles("drop", dropped);
  print_percentiles("all", all);
  print("all, by batches without reading the clock in between: p50 {:.0f} ns, least {:.0f} ns\n", rounds_ns.p50,
        rounds_ns.min);
  print("data of memories: {}\n", text_of(data));
  if (slots.made + slots.reused == 0) return;
  print(
      "memories: {} new, {} in the place of one before; never written {}, made clean by comparing {}, by scanning {}, "
      "by "
      "discarding {}; {:.1f} pages copied back an instance\n",
      slots.made, slots.reused, slots.untouched, slots.compared, slots.scanned, slots.discarded, restored_pages);
}

void bench_call(const InstancesOptions& options) {
  Engine engine = engine_or_die(options.engine);
  Module module = load_module_or_die(engine, options.file).module;
  Call call(options, module);
  Instance instance =
      value_or_die(options.file, stand_ins(engine, module).instantiate(module, instance_options(options)));
  const Func func = value_or_die(options.file, instance.get_func(options.invoke));
  const uint64_t fuel_before = options.engine.fuel ? value_or_die(options.file, instance.fuel()) : 0;
  const Clock::time_point begin = Clock::now();
  std::vector<Slot> slots = call.slots;
  check_or_die(options.file, func.call_raw(slots.data()));
  const double first_us = us_between(begin, Clock::now());
  const uint64_t fuel = options.engine.fuel ? fuel_before - value_or_die(options.file, instance.fuel()) : 0;
  auto call_once = [&] {
    std::ranges::copy(call.slots, slots.begin());
    check_or_die(options.file, func.call_raw(slots.data()));
  };
  const Percentiles alone = measure_batches(options.seconds, call_once);
  Stay stay = value_or_die(options.file, instance.stay());
  const Percentiles in_stay = measure_batches(options.seconds, call_once);
  if (options.json) {
    nlohmann::ordered_json json;
    json["first_us"] = first_us;
    json["call_ns"] = json_of(alone);
    json["call_in_stay_ns"] = json_of(in_stay);
    if (options.engine.fuel) json["first_fuel"] = fuel;
    print("{}\n", json_text(json));
    return;
  }
  print("the first call took {:.1f} µs{}\n", first_us,
        options.engine.fuel ? fmt::format(", and {} units of fuel", fuel) : "");
  print("{:<24} {:>9} {:>9} {:>9} {:>9}\n", "ns a call, by batches", "p50", "p90", "p99", "most");
  print_percentiles("call", alone);
  print_percentiles("call, in a stay", in_stay);
}

void add_common(CLI::App& command, const std::shared_ptr<InstancesOptions>& options,
                void (*run)(const InstancesOptions&)) {
  command.add_option("file", options->file, "a .wasm, .wat or code file; functions it imports fail if they are called")
      ->required();
  command.add_option("args", options->args, "arguments, by the export's types");
  command.add_flag("--json", options->json, "print the JSON line alone");
  options->engine.add_to(command);
  options->engine.add_fuel_to(command);
  // These let arguments such as -1 pass as numbers, not options.
  command.positionals_at_end(false);
  command.prefix_command(false);
  command.callback([options, run] {
    for (std::string* argument : {&options->file, &options->invoke}) unmark(*argument);
    for (std::string& argument : options->args) unmark(argument);
    run(*options);
  });
}

}  // namespace

void add_bench_instances(CLI::App& bench) {
  auto instances = std::make_shared<InstancesOptions>();
  CLI::App* instantiate =
      bench.add_subcommand("instantiate", "Measure making an instance, calling an export, and dropping it");
  instantiate->add_option("--invoke", instances->invoke, "the export that each instance calls; else none");
  instantiate->add_option("--seconds", instances->seconds, "how long to measure instances by batches, too")
      ->check(CLI::Range(1e-3, kMaxSeconds))
      ->capture_default_str();
  instantiate->add_option("--count", instances->count, "instances that are measured, one after another")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  add_common(*instantiate, instances, bench_instantiate);

  auto calls = std::make_shared<InstancesOptions>();
  CLI::App* call = bench.add_subcommand("call", "Measure calls of an export");
  call->add_option("--invoke", calls->invoke, "the export to call")->required();
  call->add_option("--seconds", calls->seconds, "how long to measure, outside and inside a stay each")
      ->check(CLI::Range(1e-3, kMaxSeconds))
      ->capture_default_str();
  add_common(*call, calls, bench_call);
}

}  // namespace rotor::cli
