// wide_products_test MODULE [--inputs N] [--seed N] [--only FUNC,...] [--callees N]
//
// Every function of a wasm-bindgen module that Config::wide_products changes, against itself compiled without, on
// random and on corner inputs, N of each: results, traps with their backtraces, globals and memory must be the same.
// Which functions are changed it finds out itself. What they call indirectly is left out of the module, so that such
// calls trap, on both sides. Functions that call are compiled to be interruptible, for some inputs make them loop for
// long: those are counted, and not compared. Functions that need more than N others (the default: 100) are named and
// left out: they take long to compile, and random inputs don't get far in them.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <future>
#include <map>
#include <optional>
#include <string_view>

#include "hosts/wasm_bindgen/host.h"
#include "rotor/rotor.h"
#include "runtime/testing/guest_inputs.h"
#include "runtime/testing/pruned_module.h"
#include "wasm/names.h"

namespace rotor::runtime::test {
namespace {

struct Options {
  std::string path;
  uint64_t inputs = 1000;
  uint64_t seed = 1;
  uint64_t callees = 100;
  std::vector<uint32_t> only;
};

// ---- which functions are rewritten --------------------------------------------------------------------------------

struct Code {
  std::string text;
  uint32_t multiplications = 0;
};

/// The IR of each function, without what numbers metadata and attributes, which depend on the other functions.
Result<std::map<uint32_t, Code>> optimised_ir(const Engine& engine, std::span<const uint8_t> bytes) {
  ROTOR_TRY(std::string all, Module::emit_text(engine, bytes, CodeText::llvm_ir));
  std::map<uint32_t, Code> functions;
  Code* code = nullptr;
  for (size_t begin = 0, end; begin < all.size(); begin = end + 1) {
    end = std::min(all.find('\n', begin), all.size());
    std::string_view line = std::string_view(all).substr(begin, end - begin);
    if (line.starts_with("define ")) {
      size_t name = line.find("@f");
      uint32_t func = 0;
      if (name == line.npos ||
          std::from_chars(line.data() + name + 2, line.data() + line.size(), func).ec != std::errc())
        return fail(ErrorKind::internal, fmt::format("not a function's definition: {}", line));
      code = &functions[func];
    } else if (line == "}") {
      code = nullptr;
    } else if (code) {
      line = line.substr(0, std::min(line.find(", !"), line.find(" #")));
      code->multiplications += line.find(" = mul ") != line.npos;
      (code->text += line) += '\n';
    }
  }
  return functions;
}

struct Rewritten {
  uint32_t func = 0;
  uint32_t multiplications_before = 0, multiplications_after = 0;
};

/// A function without a product and without two carries is left as it is.
std::vector<uint32_t> candidates(const LargeModule& large) {
  std::vector<uint32_t> funcs;
  for (uint32_t func = large.module().imported_funcs; func < large.functions(); ++func)
    if (large.multiplies(func) || large.summary(func).below >= 2) funcs.push_back(func);
  return funcs;
}

/// Among `funcs`.
Result<std::vector<Rewritten>> find_rewritten(const LargeModule& large, std::span<const uint32_t> funcs,
                                              const Engine& with, const Engine& without) {
  // A short callee may be inlined.
  std::set<uint32_t> kept(funcs.begin(), funcs.end());
  for (uint32_t func : funcs)
    std::ranges::copy_if(large.summary(func).callees, std::inserter(kept, kept.end()),
                         [&](uint32_t callee) { return !large.is_imported(callee) && large.multiplies(callee); });
  std::vector<uint8_t> bytes = large.pruned(kept, {});
  auto other = std::async(std::launch::async, [&] { return optimised_ir(without, bytes); });
  ROTOR_TRY(auto after, optimised_ir(with, bytes));
  ROTOR_TRY(auto before, other.get());
  std::vector<Rewritten> found;
  for (uint32_t func : funcs) {
    const Code &a = after[func], &b = before[func];
    if (a.text.empty() || b.text.empty()) return fail(ErrorKind::internal, fmt::format("no code of function {}", func));
    if (a.text != b.text) found.push_back({func, b.multiplications, a.multiplications});
  }
  return found;
}

// ---- one guest ----------------------------------------------------------------------------------------------------

/// The module compiled in one way, with an instance.
class Side {
 public:
  /// What frames may take.
  static constexpr uint32_t kStackWindowBytes = 64 << 10;
  static constexpr uint32_t kMaxPages = 256;

  static Result<Side> create(const Engine& engine, std::span<const uint8_t> bytes) {
    ROTOR_TRY(Module module, Module::compile(engine, bytes));
    return Side(engine, std::move(module));
  }

  /// A new instance, with pages for the areas at the end of its memory.
  Result<void> begin() {
    wasm_bindgen::BindgenOptions options;
    options.max_pages = kMaxPages;
    ROTOR_TRY(host_, wasm_bindgen::BindgenHost::create(engine_, module_, std::move(options)));
    memory_ = host_->memory().pinned();
    ROTOR_TRY(uint64_t pages, memory_.grow(1));
    areas_address_ = static_cast<uint32_t>(pages * memory_.page_bytes());
    globals_.clear();
    pristine_globals_.clear();
    for (const ExportInfo& item : module_.exports()) {
      if (!item.name.starts_with(LargeModule::global_name(0).substr(0, 7))) continue;
      ROTOR_TRY(Global global, host_->instance().get_global(item.name));
      ROTOR_TRY(Value value, global.get());
      globals_.push_back(global);
      pristine_globals_.push_back(value);
    }
    return {};
  }

  /// Ends calls that still run by then. Of a side that is interruptible.
  Result<void> limit_calls(std::chrono::milliseconds time) const {
    return host_->instance().set_deadline(InterruptHandle::Clock::now() + time);
  }
  Result<Func> func(uint32_t index) const { return host_->instance().get_func(LargeModule::func_name(index)); }
  std::span<uint8_t> memory() const { return {memory_.data(), static_cast<size_t>(memory_.size_bytes())}; }
  uint32_t areas_address() const { return areas_address_; }
  /// The guest's stack pointer, its first mutable global; the stack grows downwards.
  uint32_t stack() const { return static_cast<uint32_t>(pristine_globals_.front().i32()); }
  uint32_t window_begin() const { return stack() - kStackWindowBytes; }
  bool has_stack() const { return !globals_.empty() && stack() > kStackWindowBytes && stack() < memory_.size_bytes(); }

  Result<std::vector<uint64_t>> globals() const {
    std::vector<uint64_t> bits;
    for (const Global& global : globals_) {
      ROTOR_TRY(Value value, global.get());
      bits.push_back(value.bits());
    }
    return bits;
  }
  Result<void> reset_globals() {
    for (size_t i = 0; i < globals_.size(); ++i) ROTOR_CHECK(globals_[i].set(pristine_globals_[i]));
    return {};
  }

 private:
  Side(Engine engine, Module module) : engine_(std::move(engine)), module_(std::move(module)) {}

  Engine engine_;
  Module module_;
  std::unique_ptr<wasm_bindgen::BindgenHost> host_;
  Memory memory_;
  uint32_t areas_address_ = 0;
  std::vector<Global> globals_;
  std::vector<Value> pristine_globals_;
};

// ---- one function -------------------------------------------------------------------------------------------------

/// What came out of a call: empty if it returned.
std::string ending(const Result<void>& result) {
  if (result) return {};
  const Error& error = result.error();
  if (!error.trap) return fmt::format("{}: {}", to_string(error.kind), error.message);
  std::string text = fmt::format("trap: {}", to_string(error.trap->kind));
  const char* where = " at";
  for (const Frame& frame : error.trap->frames()) {
    text += fmt::format("{} f{}+{:#x}", where, frame.func_index, frame.module_offset);
    where = " in";
  }
  return text;
}

/// Whether two calls ended alike. Short callees may be inlined with wide products: then what traps in one is reported
/// where the call stands, a frame less (jit/emit/batch.h).
bool is_same(const Result<void>& with, const Result<void>& without) {
  if (with || without || !with.error().trap || !without.error().trap) return ending(with) == ending(without);
  const Trap &a = *with.error().trap, &b = *without.error().trap;
  auto is_same_frame = [](const Frame& x, const Frame& y) {
    return x.func_index == y.func_index && x.module_offset == y.module_offset;
  };
  auto frames = std::span(b.frames());
  return a.kind == b.kind &&
         (std::ranges::equal(a.frames(), frames, is_same_frame) ||
          (a.frames().size() + 1 == frames.size() && std::ranges::equal(a.frames(), frames.subspan(1), is_same_frame)));
}

bool is_interrupted(const Result<void>& result) {
  return !result && result.error().trap && result.error().trap->kind == TrapKind::interrupted;
}

struct Counts {
  uint64_t inputs = 0, returned = 0, trapped = 0, interrupted = 0, differences = 0;
  uint64_t effective = 0;  ///< returned, and left results or wrote into the areas
  std::map<std::string, uint64_t> endings;
};

class Comparison {
 public:
  Comparison(Side& with, Side& without, uint32_t func, FuncType type, bool calls, uint64_t seed)
      : with_(with), without_(without), func_(func), type_(std::move(type)), calls_(calls), random_(seed) {}

  Result<Counts> run(uint64_t inputs) {
    ROTOR_CHECK(begin());
    for (; counts_.inputs < inputs && counts_.differences < kShownDifferences; ++counts_.inputs) {
      const uint64_t layout = choose_layout();
      make_input(layout);
      Slots a = slots_, b = slots_;
      if (calls_) ROTOR_CHECK(with_.limit_calls(kTimeLimit));
      const Result<void> with = func_with_.call_raw(a.data());
      if (calls_) ROTOR_CHECK(without_.limit_calls(kTimeLimit));
      const Result<void> without = func_without_.call_raw(b.data());
      if (is_interrupted(with) || is_interrupted(without)) {
        counts_.interrupted++;
        ROTOR_CHECK(begin());
        continue;
      }
      if (!is_same(with, without))
        differ(fmt::format("ends \"{}\", without \"{}\"", ending(with), ending(without)));
      else if (with)
        compare_results(a, b);
      ROTOR_CHECK(compare_state());
      count(layout, a, ending(without));
      ROTOR_CHECK(reset(!with || !without));
    }
    ROTOR_CHECK(compare_memory(0));
    return std::move(counts_);
  }

 private:
  static constexpr size_t kSlots = 32;
  using Slots = std::array<Slot, kSlots>;
  static constexpr uint64_t kShownDifferences = 3;
  /// Hundreds of times what calls take.
  static constexpr std::chrono::milliseconds kTimeLimit{20};
  static constexpr size_t kMaxGoodLayouts = 64;
  /// The stack, the guest's data and its heap are compared, and put back, after so many inputs, all of the memory after
  /// so many more.
  static constexpr uint64_t kThoroughEvery = 16, kWholeEvery = 4096;
  /// What traps leave in the host's own objects is not put back: a new instance after so many.
  static constexpr uint64_t kFreshAfterTraps = 64;

  Result<void> begin() {
    if (type_.params.size() > kSlots || type_.results.size() > kSlots)
      return fail(ErrorKind::unsupported, fmt::format("function {} takes too many values", func_));
    ROTOR_CHECK(with_.begin());
    ROTOR_CHECK(without_.begin());
    if (!with_.has_stack()) return fail(ErrorKind::unsupported, "a module without a stack pointer");
    ROTOR_TRY(func_with_, with_.func(func_));
    ROTOR_TRY(func_without_, without_.func(func_));
    areas_.address = with_.areas_address();
    pristine_.assign(with_.memory().begin(), with_.memory().end());
    traps_ = 0;
    return compare_memory(0);
  }

  bool is_thorough() const { return counts_.inputs % kThoroughEvery == 0; }

  uint64_t choose_layout() {
    if (!good_layouts_.empty() && !random_.one_in(4)) return good_layouts_[random_.below(good_layouts_.size())];
    return random_.one_in(calls_ ? 8 : 2) ? Layout::kPlain : random_.bits() | 1;
  }

  void make_input(uint64_t layout) {
    Layout(layout).make(type_.params, random_, areas_, slots_.data());
    for (Side* side : {&with_, &without_})
      std::memcpy(side->memory().data() + areas_.address, areas_.bytes.data(), Areas::kBytes);
  }

  void compare_results(const Slots& a, const Slots& b) {
    for (size_t i = 0; i < type_.results.size(); ++i)
      if (a[i] != b[i]) differ(fmt::format("result {} is {:#x}, without {:#x}", i, a[i], b[i]));
  }

  Result<void> compare_state() {
    ROTOR_TRY(auto globals_with, with_.globals());
    ROTOR_TRY(auto globals_without, without_.globals());
    if (globals_with != globals_without) differ("globals");
    if (counts_.inputs % kWholeEvery == 0) return compare_memory(0);
    if (calls_ && is_thorough()) return compare_memory(with_.window_begin());
    // Frames, and what arguments lead to.
    constexpr uint32_t kFramesBytes = 4096;
    ROTOR_CHECK(compare_memory(with_.stack() - kFramesBytes, with_.stack()));
    return compare_memory(areas_.address, areas_.address + Areas::kBytes + 64);
  }

  Result<void> compare_memory(uint64_t begin, uint64_t end = UINT64_MAX) {
    std::span<const uint8_t> a = with_.memory(), b = without_.memory();
    if (a.size() != b.size()) {
      differ(fmt::format("{} bytes of memory, without {}", a.size(), b.size()));
      return {};
    }
    end = std::min<uint64_t>(end, a.size());
    if (std::memcmp(a.data() + begin, b.data() + begin, end - begin) == 0) return {};
    const auto at = std::mismatch(a.begin() + begin, a.begin() + end, b.begin() + begin).first - a.begin();
    differ(fmt::format("memory at {:#x} (the areas: {:#x}) is {:#x}, without {:#x}", at, areas_.address, a[at], b[at]));
    return {};
  }

  void differ(const std::string& what) {
    counts_.differences++;
    fmt::print("DIFFERENCE f{} input {}: {}\n  arguments", func_, counts_.inputs, what);
    for (size_t i = 0; i < type_.params.size(); ++i) fmt::print(" {:#x}", slots_[i]);
    fmt::print("\n");
    for (size_t i = 0; i < type_.params.size(); ++i) {
      if (type_.params[i] != ValType::i32 || slots_[i] < areas_.address) continue;
      const uint64_t offset = slots_[i] - areas_.address;
      if (offset + sizeof(Element) * 2 > Areas::kBytes) continue;
      std::array<uint64_t, 8> words;
      std::memcpy(words.data(), areas_.bytes.data() + offset, sizeof words);
      fmt::print("  at {:#x}: {:#018x}\n", slots_[i], fmt::join(words, " "));
    }
  }

  void count(uint64_t layout, const Slots& results, const std::string& end) {
    (end.empty() ? counts_.returned : counts_.trapped)++;
    if (!end.empty()) {
      counts_.endings[end.substr(0, end.find(" in "))]++;
      return;
    }
    bool wrote = std::memcmp(with_.memory().data() + areas_.address, areas_.bytes.data(), Areas::kBytes) != 0;
    if (!wrote && std::equal(results.begin(), results.begin() + type_.results.size(), slots_.begin())) return;
    if (!wrote && type_.results.empty()) return;
    counts_.effective++;
    if (layout != Layout::kPlain && good_layouts_.size() < kMaxGoodLayouts) good_layouts_.push_back(layout);
  }

  /// Puts back what the next input must not see.
  Result<void> reset(bool trapped) {
    if (with_.memory().size() != pristine_.size() || (trapped && ++traps_ % kFreshAfterTraps == 0)) return begin();
    if (trapped) {
      ROTOR_CHECK(with_.reset_globals());
      ROTOR_CHECK(without_.reset_globals());
    }
    if (!trapped && !(calls_ && is_thorough())) return {};
    const uint32_t begin = with_.window_begin();
    for (Side* side : {&with_, &without_})
      std::memcpy(side->memory().data() + begin, pristine_.data() + begin, pristine_.size() - begin);
    return {};
  }

  Side &with_, &without_;
  const uint32_t func_;
  const FuncType type_;
  const bool calls_;
  Random random_;
  Func func_with_, func_without_;
  Areas areas_;
  Slots slots_{};
  std::vector<uint8_t> pristine_;
  std::vector<uint64_t> good_layouts_;
  uint64_t traps_ = 0;
  Counts counts_;
};

// ---- all of them --------------------------------------------------------------------------------------------------

class Program {
 public:
  explicit Program(Options options) : options_(std::move(options)) {}

  Result<bool> run() {
    std::ifstream in(options_.path, std::ios::binary);
    if (!in) return fail(ErrorKind::io, fmt::format("can't read {}", options_.path));
    std::vector<uint8_t> bytes(std::istreambuf_iterator<char>(in), {});
    ROTOR_TRY(large_, LargeModule::decode(std::move(bytes)));
    ROTOR_TRY(Engine with, engine(true, false));
    ROTOR_TRY(Engine without, engine(false, false));
    say("decoded");
    for (uint32_t func : options_.only)
      if (func >= large_.functions() || large_.is_imported(func))
        return fail(ErrorKind::invalid_argument, fmt::format("the module defines no function {}", func));
    const std::vector<uint32_t> funcs = options_.only.empty() ? candidates(large_) : options_.only;
    ROTOR_TRY(std::vector<Rewritten> rewritten, find_rewritten(large_, funcs, with, without));
    const size_t found = rewritten.size();
    const auto leaves =
        std::ranges::count_if(rewritten, [&](const Rewritten& r) { return !large_.summary(r.func).calls; });
    say(fmt::format("{} functions are rewritten, of {} that may be", found, funcs.size()));
    names_ = wasm::decode_display_names(large_.module(), large_.bytes());
    std::erase_if(rewritten, [&](const Rewritten& r) { return !wanted(r.func); });
    for (bool calls : {false, true}) {
      std::vector<Rewritten> tested;
      std::ranges::copy_if(rewritten, std::back_inserter(tested),
                           [&](const Rewritten& r) { return large_.summary(r.func).calls == calls; });
      ROTOR_CHECK(compile(tested, calls));
      for (const Rewritten& r : tested) ROTOR_CHECK(compare(r));
    }
    say(fmt::format(
        "{} functions are rewritten, {} of which call nothing; {} compared: {} inputs, {} returned, {} trapped, "
        "{} took long, {} differences",
        found, leaves, rewritten.size(), all_.inputs, all_.returned, all_.trapped, all_.interrupted, all_.differences));
    for (const std::string& name : never_returned_)
      fmt::print("no input returned with an effect, compared was what it had written: {}\n", name);
    return all_.differences == 0 && !rewritten.empty();
  }

 private:
  static Result<Engine> engine(bool wide_products, bool interruptible) {
    Config config;
    config.mode = CompileMode::aot;
    config.wide_products = wide_products;
    config.interruptible = interruptible;
    return Engine::create(config);
  }

  /// Whether it is to be compared. Says what is left out.
  bool wanted(uint32_t func) {
    const size_t callees = large_.with_callees(std::span(&func, 1)).size() - 1;
    if (callees > options_.callees) fmt::print("left out, for it needs {} others: {}\n", callees, name_of(func));
    return callees <= options_.callees;
  }

  Result<void> compile(std::span<const Rewritten> tested, bool interruptible) {
    std::vector<uint32_t> exported;
    for (const Rewritten& r : tested) exported.push_back(r.func);
    std::vector<uint32_t> needed = exported;
    for (const wasm::Export& item : large_.module().exports)
      if (item.kind == wasm::ExternKind::func && item.name == "__wbindgen_start") needed.push_back(item.index);
    std::set<uint32_t> kept = large_.with_callees(needed);
    std::vector<uint8_t> bytes = large_.pruned(kept, exported);
    ROTOR_TRY(Engine with, engine(true, interruptible));
    ROTOR_TRY(Engine without, engine(false, interruptible));
    ROTOR_TRY(with_, Side::create(with, bytes));
    ROTOR_TRY(without_, Side::create(without, bytes));
    say(fmt::format("{} functions, {} with those that they call, are compiled", tested.size(), kept.size()));
    return {};
  }

  std::string name_of(uint32_t func) { return fmt::format("f{} {}", func, names_.functions[func].substr(0, 100)); }

  Result<void> compare(const Rewritten& r) {
    const bool calls = large_.summary(r.func).calls;
    const FuncType& type = large_.module().func_type(wasm::FuncIndex{r.func});
    Comparison comparison(*with_, *without_, r.func, type, calls, options_.seed * 1'000'003 + r.func);
    ROTOR_TRY(Counts counts, comparison.run(options_.inputs));
    all_.inputs += counts.inputs;
    all_.returned += counts.returned;
    all_.trapped += counts.trapped;
    all_.interrupted += counts.interrupted;
    all_.differences += counts.differences;
    const std::string name = name_of(r.func);
    if (!counts.effective) never_returned_.push_back(name);
    say(
        fmt::format("{} {}: {} -> {} multiplications{}; {} inputs: {} returned, {} of them with an effect, {} trapped, "
                    "{} took long",
                    name, to_string(type), r.multiplications_before, r.multiplications_after, calls ? ", calls" : "",
                    counts.inputs, counts.returned, counts.effective, counts.trapped, counts.interrupted));
    if (calls)
      for (const auto& [end, count] : counts.endings) fmt::print("          {} x {}\n", count, end);
    return {};
  }

  void say(const std::string& text) const {
    std::chrono::duration<double> passed = std::chrono::steady_clock::now() - started_;
    fmt::print("{:6.1f} s  {}\n", passed.count(), text);
    std::fflush(stdout);
  }

  Options options_;
  LargeModule large_;
  wasm::Names names_;
  std::optional<Side> with_, without_;
  Counts all_;
  std::vector<std::string> never_returned_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

template <class T>
bool read_number(std::string_view text, T& number) {
  auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

std::optional<Options> parse(std::span<char*> arguments) {
  Options options;
  for (size_t i = 1; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    if (!word.starts_with("--") && options.path.empty()) {
      options.path = word;
    } else if (++i == arguments.size()) {
      return {};
    } else if (std::string_view value = arguments[i]; word == "--only") {
      for (size_t begin = 0; begin <= value.size();) {
        size_t end = std::min(value.find(',', begin), value.size());
        if (!read_number(value.substr(begin, end - begin), options.only.emplace_back())) return {};
        begin = end + 1;
      }
    } else {
      uint64_t* number = word == "--inputs"    ? &options.inputs
                         : word == "--seed"    ? &options.seed
                         : word == "--callees" ? &options.callees
                                               : nullptr;
      if (!number || !read_number(value, *number)) return {};
    }
  }
  if (options.path.empty()) return {};
  return options;
}

}  // namespace
}  // namespace rotor::runtime::test

int main(int argc, char** argv) {
  using namespace rotor::runtime::test;
  auto options = parse({argv, static_cast<size_t>(argc)});
  if (!options) {
    fmt::print(stderr, "usage: {} MODULE [--inputs N] [--seed N] [--only FUNC,...] [--callees N]\n", argv[0]);
    return 2;
  }
  auto equal = Program(std::move(*options)).run();
  if (!equal) {
    fmt::print(stderr, "error: {}\n", equal.error().message);
    return 1;
  }
  return *equal ? 0 : 1;
}
