#include "runtime/compile/tiering.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "code/code_image.h"
#include "code/region.h"
#include "code/stubs.h"
#include "code/threads.h"
#include "memory/perturb.h"
#include "runtime/engine.h"
#include "runtime/store/link_group.h"

namespace rotor::runtime {

Tiering::Tiering(EngineImpl& engine, const wasm::Module& module, std::span<const uint8_t> bytes,
                 code::CodeRegion& region, CallGraph calls)
    : engine_(engine), module_(module), bytes_(bytes), region_(region), calls_(std::move(calls)), run_page_(module) {}

std::unique_ptr<Tiering> Tiering::create(EngineImpl& engine, const wasm::Module& module, std::span<const uint8_t> bytes,
                                         code::CodeRegion& region, CallGraph calls) {
  std::unique_ptr<Tiering> tiering(new Tiering(engine, module, bytes, region, std::move(calls)));
  uint32_t functions = module.defined_funcs();
  tiering->states_.assign(functions, State::empty);
  region.for_each_function([&](const code::FunctionCode& code) {
    State& state = tiering->states_[code.func];
    state = std::max(state, code.tier ? State::tier1 : State::tier0);
  });
  for (uint32_t i = 0; i < functions; ++i) {
    if (tiering->states_[i] == State::empty)
      tiering->slot(i) = reinterpret_cast<uint64_t>(region.text() + code::Stubs::lazy(i));
    tiering->counter(i) = tiering->hot_count(i);
  }
  return tiering;
}

Tiering::~Tiering() { stop(); }

void Tiering::stop() {
  engine_.foreground.cancel(this);
  engine_.background.cancel(this);
}

std::atomic_ref<uint64_t> Tiering::slot(uint32_t defined_func) const {
  return std::atomic_ref(*reinterpret_cast<uint64_t*>(region_.run_page() + run_page_.slot(defined_func)));
}

std::atomic_ref<int32_t> Tiering::counter(uint32_t defined_func) const {
  return std::atomic_ref(*reinterpret_cast<int32_t*>(region_.run_page() + run_page_.counter(defined_func)));
}

int32_t Tiering::hot_count(uint32_t defined_func) const {
  const Config& config = engine_.config;
  if (config.opt == OptLevel::o0) return INT32_MAX;
  const wasm::FunctionBody& body = module_.bodies[defined_func];
  uint64_t count = config.hot_count + (body.end - body.begin) * config.hot_count / 1024;
  return static_cast<int32_t>(std::min<uint64_t>(count, INT32_MAX));
}

code::FunctionCompiler* Tiering::compiler() {
  std::call_once(compiler_once_, [&] {
    if (auto made = code::FunctionCompiler::create(module_, bytes_, engine_.compile_options()))
      compiler_ = std::move(*made);
    else
      compiler_error_ = std::move(made).error();
  });
  return compiler_.get();
}

/// The wait of a guest's thread for a function.
class Tiering::Wait final : public Sleeper {
 public:
  explicit Wait(Tiering& tiering) : tiering_(tiering) {}
  void interrupt() override {
    std::scoped_lock lock(tiering_.mutex_);
    interrupted_ = true;
    tiering_.changed_.notify_all();
  }
  /// Waits until the function is compiled, or can't be. Returns false if it was interrupted before.
  bool run(uint32_t defined_func) {
    std::unique_lock lock(tiering_.mutex_);
    auto is_over = [&] { return tiering_.states_[defined_func] != State::compiling; };
    tiering_.changed_.wait(lock, [&] { return interrupted_ || is_over(); });
    return is_over();
  }

 private:
  Tiering& tiering_;
  bool interrupted_ = false;  ///< guarded by the mutex
};

Result<const void*> Tiering::code_of(uint32_t defined_func, LinkGroup& group) {
  for (bool asked = false;; asked = true) {
    {
      std::scoped_lock lock(mutex_);
      const State& state = states_[defined_func];
      if (state < State::compiling && !(asked && state == State::refused)) {
        ROTOR_CHECK(submit_tier0(defined_func));
        guess_calls_of(defined_func);
      }
      if (state == State::failed || state == State::refused) return std::unexpected(errors_.at(defined_func));
      if (state > State::compiling)
        return reinterpret_cast<const void*>(slot(defined_func).load(std::memory_order_acquire));
    }
    ROTOR_CHECK(engine_.foreground.see_to_threads());
    // The wait begins without the mutex: the group's mutex comes before it in the order of locks.
    Wait self(*this);
    if (!group.begin_wait(self)) return nullptr;
    const bool is_over = self.run(defined_func);
    group.end_wait();
    if (!is_over) return nullptr;
  }
}

Result<void> Tiering::submit_tier0(uint32_t defined_func) {
  states_[defined_func] = State::compiling;
  auto submitted = engine_.foreground.submit(this, CompilePool::Urgency::waited_for,
                                             [this, defined_func] { compile({defined_func}, 0); });
  if (!submitted) states_[defined_func] = State::empty;
  return submitted;
}

void Tiering::guess_calls_of(uint32_t defined_func) {
  for (uint32_t func : calls_.calls_of(defined_func)) {
    if (module_.is_imported(wasm::FuncIndex{func})) continue;
    uint32_t callee = func - module_.imported_funcs;
    if (states_[callee] != State::empty) continue;
    states_[callee] = State::guessed;
    auto compile_it = [this, callee] {
      {
        std::scoped_lock lock(mutex_);
        if (states_[callee] != State::guessed) return;  // it was called meanwhile
        states_[callee] = State::compiling;
      }
      compile({callee}, 0);
    };
    if (!engine_.foreground.submit(this, CompilePool::Urgency::patient, compile_it)) states_[callee] = State::empty;
  }
}

void Tiering::warm_up() {
  // If there is no thread, the first function's compilation reports that.
  (void)engine_.foreground.submit(this, CompilePool::Urgency::waited_for, [this] {
    if (code::FunctionCompiler* compiler = this->compiler()) compiler->warm_up();
  });
}

void Tiering::tier_up(uint32_t defined_func) {
  std::scoped_lock lock(mutex_);
  // Code is in its slot, for other threads to run, a little before the state says tier 0: the function is to count, and
  // to ask, again.
  bool too_early = states_[defined_func] == State::compiling;
  counter(defined_func).store(too_early ? hot_count(defined_func) : INT32_MAX, std::memory_order_relaxed);
  if (states_[defined_func] != State::tier0 || engine_.config.opt == OptLevel::o0) return;
  states_[defined_func] = State::tier1_queued;
  ++background_;
  auto submitted = engine_.background.submit(this, CompilePool::Urgency::waited_for,
                                             [this, defined_func] { compile({defined_func}, 1); });
  if (submitted) return;
  // The function stays at tier 0, and asks again when it has become hot once more: there may be a thread by then.
  states_[defined_func] = State::tier0;
  --background_;
  counter(defined_func).store(hot_count(defined_func), std::memory_order_relaxed);
}

Result<void> Tiering::complete() {
  std::unique_lock lock(mutex_);
  for (uint32_t i = 0; i < states_.size(); ++i)
    if (states_[i] < State::compiling) ROTOR_CHECK(submit_tier0(i));
  ROTOR_CHECK(engine_.foreground.see_to_threads());
  changed_.wait(lock, [&] { return std::ranges::find(states_, State::compiling) == states_.end(); });
  if (!errors_.empty()) return std::unexpected(errors_.begin()->second);
  return {};
}

void Tiering::wait_for_background() {
  std::unique_lock lock(mutex_);
  if (!engine_.background.see_to_threads()) return;  // nobody will do it
  changed_.wait(lock, [&] { return background_ == 0; });
}

/// Keeps the states: what is queued is still to be compiled in the child (CompilePool).
void Tiering::after_fork_in_child() {
  memory::make_anew(mutex_);
  memory::make_anew(changed_);
}

void Tiering::compile(const std::vector<uint32_t>& functions, uint32_t tier) {
  double before = code::thread_cpu_ms();
  Result<void> done = compile_and_add(functions, tier);
  double cpu_ms = code::thread_cpu_ms() - before;
  ROTOR_PERTURB_POINT();
  {
    std::scoped_lock lock(mutex_);
    (tier ? stats_.tier1_cpu_ms : stats_.tier0_cpu_ms) += cpu_ms;
    if (tier) --background_;
    if (done) {
      (tier ? stats_.tier1_compiled : stats_.tier0_compiled) += static_cast<uint32_t>(functions.size());
      for (uint32_t i : functions) {
        states_[i] = tier ? State::tier1 : State::tier0;
        errors_.erase(i);
      }
      new_code_ = true;
    } else if (tier) {
      // Where tier 1 could not be had, tier-0 code stays in use.
      for (uint32_t i : functions) states_[i] = State::tier0;
    } else {
      const bool for_good = done.error().kind != ErrorKind::io;
      for (uint32_t i : functions) {
        states_[i] = for_good ? State::failed : State::refused;
        errors_.insert_or_assign(i, done.error());
      }
    }
  }
  changed_.notify_all();
}

Result<void> Tiering::compile_and_add(const std::vector<uint32_t>& functions, uint32_t tier) {
  code::FunctionCompiler* compiler = this->compiler();
  if (!compiler) return std::unexpected(*compiler_error_);
  ROTOR_TRY(auto code, compiler->compile(functions, tier));
  ROTOR_TRY(code::CodeRegion::Place place, region_.allocate(code->text_bytes(), code->rodata_bytes()));
  ROTOR_TRY(code::CodeImage image, code->link(region_.layout(), place.text_offset, place.rodata_offset, tier));
  std::vector<code::FunctionCode> linked = image.functions;
  ROTOR_CHECK(region_.add(std::move(image)));
  ROTOR_PERTURB_POINT();
  // From now on other threads may run the code, which is mapped already.
  for (const code::FunctionCode& function : linked)
    slot(function.func).store(reinterpret_cast<uint64_t>(region_.text() + function.begin), std::memory_order_release);
  return {};
}

void Tiering::add_to(TierStats& stats) const {
  std::scoped_lock lock(mutex_);
  stats.tier0_compiled += stats_.tier0_compiled;
  stats.tier1_compiled += stats_.tier1_compiled;
  stats.tier0_cpu_ms += stats_.tier0_cpu_ms;
  stats.tier1_cpu_ms += stats_.tier1_cpu_ms;
}

bool Tiering::take_new_code() {
  std::scoped_lock lock(mutex_);
  return std::exchange(new_code_, false);
}

void Tiering::return_new_code() {
  std::scoped_lock lock(mutex_);
  new_code_ = true;
}

}  // namespace rotor::runtime
