#include "tools/rotor/latency.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace rotor::cli {

Percentiles percentiles_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  auto at = [&](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::clamp<size_t>(rank, 1, values.size()) - 1];
  };
  return {values.size(), values.front(), at(0.5), at(0.9), at(0.99), at(0.999), values.back()};
}

LatencyBySwap latency_by_swap(std::span<const Repetition> repetitions) {
  std::vector<double> all, before, during, after;
  size_t next_swap = 0;  // the first swap from here on
  std::optional<size_t> last_swap;
  for (size_t i = 0; i < repetitions.size(); i++) {
    const Repetition& item = repetitions[i];
    all.push_back(item.ms);
    if (item.swapped) {
      during.push_back(item.ms);
      last_swap = i;
      continue;
    }
    next_swap = std::max(next_swap, i + 1);
    while (next_swap < repetitions.size() && !repetitions[next_swap].swapped) next_swap++;
    if (next_swap < repetitions.size() && next_swap - i <= kAroundSwap) before.push_back(item.ms);
    if (last_swap && i - *last_swap <= kAroundSwap) after.push_back(item.ms);
  }
  return {percentiles_of(std::move(all)), percentiles_of(std::move(before)), percentiles_of(std::move(during)),
          percentiles_of(std::move(after))};
}

}  // namespace rotor::cli
