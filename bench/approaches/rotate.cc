// The approaches with a proxy.
#include <algorithm>

#include "bench/approaches/approaches.h"
#include "hosts/wasm_bindgen/guest.h"
#include "hosts/wasm_bindgen/lease_executor.h"
#include "rotor/proxy.h"

namespace rotor::approaches {

using namespace wasm_bindgen;

Result<Outcome> rotate(const Workload& workload, bool images) {
  ROTOR_TRY(Policy policy, Policy::load_toml(workload.policy));
  policy.memory_limit_bytes = workload.limit_bytes;
  policy.image = images ? ImageMode::lazy : ImageMode::off;
  policy.group.workers = workload.workers;
  BindgenOptions guest_options;
  guest_options.max_pages = static_cast<uint32_t>(workload.limit_bytes / Memory::kPageBytes);

  Outcome out;
  bool in_load = false;
  ProxyOptions options;
  options.on_rotation = [&](const RotationEvent& event) {
    if (!in_load) return;
    out.exchanges++;
    out.pause(static_cast<double>(event.swap_pause_ns + event.wait_ns) / 1e6);
  };
  GuestFactory make_guest = bindgen_guests(workload.engine, workload.module, std::move(guest_options));
  ROTOR_TRY(Proxy proxy, Proxy::create(workload.module, std::move(make_guest), policy, std::move(options)));
  LeaseExecutor executor(workload.module, proxy.counters().rotating);
  TraceReplayer replayer(executor);
  Stopwatch setup;
  {
    ROTOR_TRY(Lease lease, proxy.acquire());
    executor.begin(lease, nullptr);
    ReplayReport report;
    ROTOR_CHECK(replayer.run(workload.setup, report));
  }
  // Prepares, as a server would before it serves: the first standby is the one that takes long.
  ROTOR_CHECK(proxy.prepare());
  out.setup_ms = setup.ms();
  in_load = true;
  const double cpu_before = cpu_ms();
  for (uint64_t i = 0; i < workload.calls; i++) {
    Stopwatch watch;
    ReplayReport report;
    Result<void> done;
    {
      auto lease = proxy.acquire();
      if (lease) {
        executor.begin(*lease, nullptr);
        done = replayer.run(workload.load, report);
      } else {
        done = std::unexpected(std::move(lease).error());
      }
    }
    if (!out.record(done, watch.ms(), report)) break;
    if (out.due(workload)) out.memory_bytes.emplace_back(i, proportional_bytes(proxy.counters().image_bytes));
  }
  out.cpu_ms = cpu_ms() - cpu_before;
  return out;
}

}  // namespace rotor::approaches
