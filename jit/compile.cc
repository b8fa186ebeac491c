#include <fmt/format.h>
#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <thread>

#include "code/code_image.h"
#include "code/compiler.h"
#include "code/run_page.h"
#include "code/stubs.h"
#include "code/threads.h"
#include "jit/batches.h"
#include "jit/compile_thread.h"
#include "jit/emit/batch.h"
#include "jit/link.h"
#include "jit/pipeline.h"

namespace rotor::jit {

namespace {

/// What one thread needs to compile: a TargetMachine for each level it was asked for, and a decoder.
class Worker {
 public:
  Worker(const wasm::Module& module, std::span<const uint8_t> bytes, const code::CompileOptions& options,
         const CpuTarget& cpu)
      : cpu_(cpu),
        options_(options),
        counter_(module, bytes, options.settings),
        emitter_(module, bytes, options.settings.features) {}

  /// BodyDecoder::uses_floats of the functions compiled so far.
  bool uses_floats() const { return counter_.uses_floats(); }
  uint32_t used_features() const { return counter_.used_features(); }

  using Objects = std::vector<std::vector<char>>;
  /// Compiles functions; no functions give an empty object. `below`: functions that would take too long at `opt` are
  /// compiled at o0; else they are errors. Errors: that of the first bad function, whose index is left in `bad`; limit.
  Result<Objects> compile(const ModulePlan& plan, OptLevel opt, std::span<const uint32_t> defined_funcs, uint32_t& bad,
                          bool below = true) {
    ROTOR_TRY(SortedBatch sorted, sort_batch(counter_, defined_funcs, opt, options_, plan.module.imported_funcs, bad));
    if (!below && !sorted.at_o0.empty()) return fail(ErrorKind::limit, "the function is too large for tier 1");
    Objects objects;
    for (std::span<const BatchFunction> rest = sorted.at_o1; !rest.empty();)
      ROTOR_CHECK(compile_piece(plan, OptLevel::o1, rest, objects, bad));
    std::span<const BatchFunction> rest = sorted.at_o0;
    while (!rest.empty() || (defined_funcs.empty() && objects.empty()))
      ROTOR_CHECK(compile_piece(plan, OptLevel::o0, rest, objects, bad));
    return objects;
  }

 private:
  /// Compiles the first functions of `rest`, and takes them off.
  Result<void> compile_piece(const ModulePlan& plan, OptLevel opt, std::span<const BatchFunction>& rest,
                             Objects& objects, uint32_t& bad) {
    std::unique_ptr<Pipeline>& pipeline = pipelines_[opt == OptLevel::o0 ? 0 : 1];
    if (!pipeline) {
      ROTOR_TRY(pipeline, Pipeline::create(opt, cpu_, options_.settings.wide_products));
    }
    uint64_t memory_bytes;
    auto functions = take_piece(rest, memory_bytes);
    options_.memory->take(memory_bytes);
    auto llvm_module = emitter_.emit(plan, pipeline->target(), pipeline->context(functions.size()), functions,
                                     pipeline->wide_products(), bad);
    if (llvm_module) {
      std::span<const char> object = pipeline->run(**llvm_module);
      objects.emplace_back(object.begin(), object.end());
      llvm_module->reset();
    }
    options_.memory->give_back(memory_bytes);
    if (!llvm_module) return std::unexpected(std::move(llvm_module).error());
    return {};
  }

  const CpuTarget& cpu_;
  const code::CompileOptions& options_;
  CostCounter counter_;
  BatchEmitter emitter_;
  std::unique_ptr<Pipeline> pipelines_[2];
};

/// Compiles a whole module, on several threads.
class Compilation {
 public:
  Compilation(const wasm::Module& module, std::span<const uint8_t> bytes, const code::CompileOptions& options)
      : module_(module),
        bytes_(bytes),
        options_(options),
        opt_(options.settings.first_opt()),
        plan_(module, options.settings, opt_ == OptLevel::o0 ? Calls::slots : Calls::direct,
              options.settings.instrumented()),
        batches_(make_batches(module, std::max(options.batch_functions, 1u))),
        objects_(batches_.size()) {}

  Result<code::Compiled> run() {
    start_ = std::chrono::steady_clock::now();
    in_llvm(true);
    auto cpu = cpu_target(options_.settings.cpu);
    in_llvm(false);
    ROTOR_TRY(cpu_, std::move(cpu));
    unsigned workers = options_.workers ? options_.workers : std::max(1u, std::thread::hardware_concurrency());
    workers = static_cast<unsigned>(std::min<size_t>(workers, std::max<size_t>(batches_.size(), 1)));
    ROTOR_CHECK(run_on_compile_threads(workers, [this] { work(); }));
    if (error_) return std::unexpected(std::move(*error_));

    code::Compiled compiled;
    double cpu_before_link = code::thread_cpu_ms();
    ROTOR_CHECK(link(compiled));
    compiled.cpu_features = cpu_.features;
    compiled.uses_floats = uses_floats_;
    compiled.uses_heap = used_features_ & wasm::feature_bit(wasm::Feature::gc);
    compiled.stats.functions = static_cast<uint32_t>(module_.bodies.size());
    compiled.stats.code_bytes = compiled.image.text.size() + compiled.image.rodata.size();
    compiled.stats.hurried = hurried_;
    compiled.stats.cpu_ms = cpu_ms_ + (code::thread_cpu_ms() - cpu_before_link);
    compiled.stats.wall_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    return compiled;
  }

 private:
  void in_llvm(bool enters) const {
    if (options_.in_llvm) options_.in_llvm(enters);
  }

  /// Does the work of one worker: compiles batches until none is left or one failed.
  void work() {
    double before = code::thread_cpu_ms();
    Worker worker(module_, bytes_, options_, cpu_);
    std::vector<uint32_t> functions;
    for (size_t i; !stop_.load(std::memory_order_relaxed) && (i = next_.fetch_add(1)) < batches_.size();) {
      const Batch& batch = batches_[i];
      functions.resize(batch.count);
      std::iota(functions.begin(), functions.end(), batch.first);
      auto opt = level_in_time(batch.first);
      if (!opt) {
        report(UINT32_MAX, std::move(opt).error());
        break;
      }
      if (*opt != opt_) hurried_ = true;
      uint32_t bad = UINT32_MAX;
      in_llvm(true);
      auto objects = worker.compile(plan_, *opt, functions, bad);
      in_llvm(false);
      if (!objects) {
        report(bad, std::move(objects).error());
        break;
      }
      objects_[i] = std::move(*objects);
      uint32_t done = done_.fetch_add(batch.count) + batch.count;
      if (options_.progress) options_.progress(done, static_cast<uint32_t>(module_.bodies.size()));
    }
    std::scoped_lock lock(mutex_);
    cpu_ms_ += code::thread_cpu_ms() - before;
    uses_floats_ |= worker.uses_floats();
    used_features_ |= worker.used_features();
  }

  /// Returns the level to compile the next functions at, by the time that is left.
  Result<OptLevel> level_in_time(uint32_t next_func) const {
    if (options_.settings.deadline_ms == 0) return opt_;
    auto gone = std::chrono::steady_clock::now() - start_;
    constexpr uint64_t kAges = UINT64_C(1) << 40;  // ms; a larger one would overflow
    std::chrono::milliseconds deadline(std::min(options_.settings.deadline_ms, kAges));
    if (gone < deadline / 2) return opt_;
    if (gone < deadline) return OptLevel::o0;
    return fail(ErrorKind::limit, fmt::format("compile_deadline_ms of {} is over at function {}",
                                              options_.settings.deadline_ms, next_func + module_.imported_funcs));
  }

  Result<void> link(code::Compiled& compiled) {
    Worker::Objects objects;
    for (Worker::Objects& batch : objects_)
      objects.insert(objects.end(), std::move_iterator(batch.begin()), std::move_iterator(batch.end()));
    ROTOR_TRY(auto code, parse_objects(std::move(objects), module_));
    uint64_t stubs = 0;
    if (options_.settings.tiered) {
      ROTOR_TRY(compiled.region, code::tiered_region(module_, options_.code_limit_bytes));
      stubs = code::round_up_to_page(code::Stubs::stub(static_cast<uint32_t>(module_.bodies.size())));
    } else {
      compiled.region = {code->text_bytes(), code->rodata_bytes(),
                         code::round_up_to_page(code::RunPageLayout(module_).size_bytes)};
    }
    // RIP-relative displacements have 31 bits.
    uint64_t code_bytes = stubs + code->text_bytes() + code->rodata_bytes();
    if (code_bytes > options_.code_limit_bytes || compiled.region.total_bytes() > INT32_MAX ||
        stubs + code->text_bytes() > compiled.region.text_bytes || code->rodata_bytes() > compiled.region.rodata_bytes)
      return fail(ErrorKind::limit, fmt::format("compiled code of {} bytes is over the limit code_limit_bytes of {}",
                                                code_bytes, options_.code_limit_bytes));
    ROTOR_TRY(compiled.image, code->link(compiled.region, stubs, 0, opt_ == OptLevel::o0 ? 0 : 1));
    if (compiled.image.functions.size() != module_.bodies.size())
      return fail(ErrorKind::internal, fmt::format("linking compiled code: {} of {} functions are there",
                                                   compiled.image.functions.size(), module_.bodies.size()));
    return {};
  }

  /// Keeps the error of the first bad function, whichever worker met it first. Every function before it belongs to a
  /// batch that was taken before, so it is seen too.
  void report(uint32_t function, Error error) {
    std::scoped_lock lock(mutex_);
    stop_ = true;
    if (error_ && function >= error_function_) return;
    error_ = std::move(error);
    error_function_ = function;
  }

  const wasm::Module& module_;
  std::span<const uint8_t> bytes_;
  const code::CompileOptions& options_;
  const OptLevel opt_;
  const ModulePlan plan_;
  CpuTarget cpu_;
  std::chrono::steady_clock::time_point start_;
  std::vector<Batch> batches_;
  std::vector<Worker::Objects> objects_;  ///< of each batch
  std::atomic<size_t> next_{0};
  std::atomic<uint32_t> done_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> hurried_{false};
  std::mutex mutex_;
  std::optional<Error> error_;
  uint32_t error_function_ = 0;
  double cpu_ms_ = 0;
  bool uses_floats_ = false;
  uint32_t used_features_ = 0;
};

class LlvmFunctionCompiler final : public code::FunctionCompiler {
 public:
  LlvmFunctionCompiler(const wasm::Module& module, std::span<const uint8_t> bytes, const code::CompileOptions& options,
                       CpuTarget cpu)
      : module_(module),
        bytes_(bytes),
        options_(options),
        cpu_(std::move(cpu)),
        plans_{{module, options.settings, Calls::slots, options.settings.instrumented()},
               {module, options.settings, Calls::self, false}} {}

  const std::vector<std::string>& cpu_features() const override { return cpu_.features; }

  void warm_up() override {
    // An LLVM module without functions still goes through all of LLVM, which is what warms it up.
    if (module_.bodies.empty()) return;
    std::unique_ptr<Worker> worker = take_worker();
    uint32_t bad;
    (void)worker->compile(plans_[0], OptLevel::o0, {}, bad);
    give_back(std::move(worker));
  }

  Result<std::unique_ptr<code::UnlinkedCode>> compile(std::span<const uint32_t> defined_funcs, uint32_t tier) override {
    std::unique_ptr<Worker> worker = take_worker();
    uint32_t bad = 0;
    OptLevel opt = tier == 0 ? OptLevel::o0 : OptLevel::o1;
    auto objects = worker->compile(plans_[tier], opt, defined_funcs, bad, /*below=*/tier == 0);
    give_back(std::move(worker));
    if (!objects) return std::unexpected(std::move(objects).error());
    return parse_objects(std::move(*objects), module_);
  }

 private:
  std::unique_ptr<Worker> take_worker() {
    {
      std::scoped_lock lock(mutex_);
      if (!idle_.empty()) {
        auto worker = std::move(idle_.back());
        idle_.pop_back();
        return worker;
      }
    }
    return std::make_unique<Worker>(module_, bytes_, options_, cpu_);
  }
  void give_back(std::unique_ptr<Worker> worker) {
    std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(worker));
  }

  const wasm::Module& module_;
  std::span<const uint8_t> bytes_;
  const code::CompileOptions options_;
  const CpuTarget cpu_;
  const ModulePlan plans_[2];  ///< by tier
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> idle_;
};

}  // namespace

}  // namespace rotor::jit

namespace rotor::code {

Result<Compiled> compile_module(const wasm::Module& module, std::span<const uint8_t> bytes,
                                const CompileOptions& options) {
  return jit::Compilation(module, bytes, options).run();
}

Result<std::unique_ptr<FunctionCompiler>> FunctionCompiler::create(const wasm::Module& module,
                                                                   std::span<const uint8_t> bytes,
                                                                   const CompileOptions& options) {
  ROTOR_TRY(jit::CpuTarget cpu, jit::cpu_target(options.settings.cpu));
  return std::make_unique<jit::LlvmFunctionCompiler>(module, bytes, options, std::move(cpu));
}

}  // namespace rotor::code
