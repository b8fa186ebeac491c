#include "proxy/verifier.h"

#include "rotor/printable.h"

namespace rotor::proxy {

Result<VerifyReport> Verifier::verify(const StandbyImage& image) {
  Result<VerifyReport> report = replay_and_compare(image);
  if (!passed(report)) failed_++;
  verified_++;
  return report;
}

Result<VerifyReport> Verifier::replay_and_compare(const StandbyImage& image) {
  VerifyReport report;
  if (image.stands_alone) return report;
  ROTOR_TRY(std::unique_ptr<LiveGuest> guest, source_.make(image.base.get(), false));
  ROTOR_CHECK(guest->start_workers());
  for (const auto& call : image.calls) {
    ROTOR_CHECK(replayer_.replay(*call, *guest));
    report.calls++;
  }
  // Threads allocate in another order each time, so for a group with workers only the calls' results are compared.
  report.compared_digests = plan_.group.workers == 0;
  if (!report.compared_digests) return report;
  ROTOR_TRY(Snapshot again, guest->instance().snapshot());
  ROTOR_TRY(SnapshotDigest got, again.digest());
  ROTOR_TRY(SnapshotDigest wanted, image.snapshot.digest());
  report.digests_equal = got == wanted;
  return report;
}

void Verifier::report(ProxyCounters& to) const {
  to.verified = verified_;
  to.verify_failed = failed_;
}

bool passed(const Result<VerifyReport>& report) {
  return report && (report->digests_equal || !report->compared_digests);
}

std::string fault_of(const Result<VerifyReport>& report) {
  if (passed(report)) return {};
  return report ? "the digests differ" : printable(report.error().message);
}

}  // namespace rotor::proxy
