#include "proxy/held_results.h"

#include <fmt/format.h>

#include <algorithm>

namespace rotor::proxy {

void HeldResults::note_returned(uint64_t number, uint32_t export_index, uint64_t call_number) {
  revive(number);
  if (held() == 0) held_since_ = call_number;
  if (auto found = newer_.find(number); found != newer_.end()) {
    held_ += found->second.dropped;
    found->second = {.export_index = export_index};
  } else if (newer_.size() == kMaxHeld) {
    overflow_++;
  } else {
    newer_.emplace(number, Newer{.export_index = export_index});
    held_++;
  }
}

void HeldResults::note_released(uint64_t number) {
  auto found = newer_.find(number);
  if (found == newer_.end()) return;
  held_ -= !found->second.dropped;
  newer_.erase(found);
}

bool HeldResults::drop(uint64_t number) {
  auto found = newer_.find(number);
  if (found == newer_.end() || found->second.dropped) return false;
  found->second.dropped = true;
  held_--;
  return true;
}

void HeldResults::note_checkpoint() {
  newer_.clear();
  held_ = overflow_ = 0;
}

void HeldResults::note_rewind(uint64_t rotation) {
  if (dead_.size() + newer_.size() > kMaxDead) dead_.clear();
  for (const auto& [number, newer] : newer_) {
    if (dead_.size() == kMaxDead) break;
    dead_.insert_or_assign(number, Dead{.export_index = newer.export_index, .rotation = rotation});
  }
  note_checkpoint();
}

const HeldResults::Dead* HeldResults::find_dead(uint64_t number) const {
  auto found = dead_.find(number);
  return found == dead_.end() ? nullptr : &found->second;
}

std::string HeldResults::holders(const Plan& plan) const {
  std::vector<uint64_t> counts(plan.exports.size());
  for (const auto& [number, newer] : newer_) counts[newer.export_index] += !newer.dropped;
  std::string text = counts_text(plan, counts);
  if (overflow_) text += fmt::format("{}{} that are not told apart", text.empty() ? "" : ", ", overflow_);
  return text;
}

std::string counts_text(const Plan& plan, const std::vector<uint64_t>& count_by_export) {
  constexpr size_t kShown = 5;
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < count_by_export.size(); i++)
    if (count_by_export[i]) order.push_back(i);
  std::ranges::stable_sort(order, std::greater(), [&](uint32_t i) { return count_by_export[i]; });
  std::string text;
  for (uint32_t i : std::span(order).first(std::min(kShown, order.size())))
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", plan.exports[i].shown, count_by_export[i]);
  if (order.size() > kShown) text += fmt::format(" and {} more", order.size() - kShown);
  return text;
}

}  // namespace rotor::proxy
