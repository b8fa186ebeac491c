#include "jit/compile.h"

#include <time.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "jit/emit_function.h"
#include "jit/link.h"
#include "jit/pipeline.h"
#include "wasm/decode_body.h"
#include "wasm/reader.h"

namespace rotor::jit {

namespace {

/// Bodies a batch holds at most: a batch is what one worker has in memory and the grain of the work.
constexpr uint64_t kBatchBytes = 128 << 10;

double thread_cpu_ms() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

/// A function with more locals or a longer body than these is compiled as --opt 0 does at every level: LLVM's register
/// allocator takes time that grows with the square of the live values (4,000 locals live across a call: 15 s). The
/// largest function of kimchi has 193 local declarations and 39 KB.
constexpr uint64_t kManyLocals = 1000;
constexpr uint64_t kHugeBodyBytes = 512 << 10;

/// Defined functions [first, first + count).
struct Batch {
  uint32_t first;
  uint32_t count;
  bool huge;
};

/// True for a function that LLVM's optimising code generator would take too long for. The decoder checks the body
/// later.
bool is_huge(const wasm::FunctionBody& body, std::span<const uint8_t> bytes) {
  if (body.end - body.begin > kHugeBodyBytes) return true;
  wasm::ByteReader reader(bytes);
  reader.seek(body.begin);
  reader.set_end(body.end);
  uint32_t groups = 0, count = 0;
  uint64_t locals = 0;
  if (!reader.u32(groups)) return false;
  for (uint32_t i = 0; i < groups && locals <= kManyLocals; ++i) {
    if (!reader.u32(count) || !reader.skip(1)) return false;
    locals += count;
  }
  return locals > kManyLocals;
}

std::vector<Batch> make_batches(const wasm::Module& module, std::span<const uint8_t> bytes, uint32_t functions) {
  std::vector<Batch> batches;
  uint64_t batch_bytes = 0;
  for (uint32_t i = 0; i < module.bodies.size(); ++i) {
    uint64_t body = module.bodies[i].end - module.bodies[i].begin;
    bool huge = is_huge(module.bodies[i], bytes);
    if (batches.empty() || batches.back().count >= functions || batch_bytes + body > kBatchBytes ||
        huge != batches.back().huge) {
      batches.push_back({i, 0, huge});
      batch_bytes = 0;
    }
    ++batches.back().count;
    batch_bytes += body;
  }
  return batches;
}

class Compilation {
 public:
  Compilation(const wasm::Module& module, std::span<const uint8_t> bytes, const CompileOptions& options)
      : module_(module),
        bytes_(bytes),
        options_(options),
        plan_(module, options.opt != OptLevel::o0),
        batches_(make_batches(module, bytes, std::max(options.batch_functions, 1u))),
        objects_(batches_.size()) {
    plan_.interruptible = options.interruptible;
  }

  Result<Compiled> run() {
    auto start = std::chrono::steady_clock::now();
    ROTOR_TRY(cpu_, cpu_target(options_.cpu));
    unsigned workers = options_.workers ? options_.workers : std::max(1u, std::thread::hardware_concurrency());
    workers = static_cast<unsigned>(std::min<size_t>(workers, std::max<size_t>(batches_.size(), 1)));
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < workers; ++i) threads.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : threads) thread.join();
    if (error_) return std::unexpected(std::move(*error_));

    Compiled compiled;
    double cpu_before_link = thread_cpu_ms();
    ROTOR_TRY(compiled.image, link_objects(objects_, module_, options_.code_limit_bytes));
    compiled.cpu_features = cpu_.features;
    compiled.stats.functions = static_cast<uint32_t>(module_.bodies.size());
    compiled.stats.code_bytes = compiled.image.text_bytes + compiled.image.rodata_bytes;
    compiled.stats.cpu_ms = cpu_ms_ + (thread_cpu_ms() - cpu_before_link);
    compiled.stats.wall_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    return compiled;
  }

 private:
  /// One worker: batches until none is left or one failed.
  void work() {
    double before = thread_cpu_ms();
    if (auto done = work_on_batches(); !done) report(UINT32_MAX, std::move(done).error());
    std::scoped_lock lock(mutex_);
    cpu_ms_ += thread_cpu_ms() - before;
  }

  Result<void> work_on_batches() {
    ROTOR_TRY(std::unique_ptr<Pipeline> pipeline, Pipeline::create(options_.opt, cpu_));
    std::unique_ptr<Pipeline> fast;  // for huge functions
    wasm::BodyDecoder<FunctionEmitter> decoder(module_, bytes_, options_.features);
    for (size_t i; !stop_.load(std::memory_order_relaxed) && (i = next_.fetch_add(1)) < batches_.size();) {
      if (batches_[i].huge && !fast) {
        ROTOR_TRY(fast, Pipeline::create(OptLevel::o0, cpu_));
      }
      compile(batches_[i].huge ? *fast : *pipeline, decoder, i);
    }
    return {};
  }

  void compile(Pipeline& pipeline, wasm::BodyDecoder<FunctionEmitter>& decoder, size_t index) {
    llvm::LLVMContext context;
    context.setDiscardValueNames(true);
    ModuleEmitter module(plan_, pipeline.target(), context);
    FunctionEmitter emitter(module);
    const Batch& batch = batches_[index];
    for (uint32_t i = batch.first; i < batch.first + batch.count; ++i)
      if (auto ok = decoder.decode(wasm::FuncIndex{i + module_.imported_funcs}, emitter); !ok)
        return report(i, std::move(ok).error());
    llvm::SmallVector<char, 0> object;
    pipeline.run(*module.llvm_module, object);
    objects_[index].assign(object.begin(), object.end());
    uint32_t done = done_.fetch_add(batch.count) + batch.count;
    if (options_.progress) options_.progress(done, static_cast<uint32_t>(module_.bodies.size()));
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
  const CompileOptions& options_;
  ModulePlan plan_;
  CpuTarget cpu_;
  std::vector<Batch> batches_;
  std::vector<std::vector<char>> objects_;
  std::atomic<size_t> next_{0};
  std::atomic<uint32_t> done_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::optional<Error> error_;
  uint32_t error_function_ = 0;
  double cpu_ms_ = 0;
};

}  // namespace

Result<Compiled> compile_module(const wasm::Module& module, std::span<const uint8_t> bytes,
                                const CompileOptions& options) {
  return Compilation(module, bytes, options).run();
}

}  // namespace rotor::jit
