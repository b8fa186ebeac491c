#include "hosts/wasi/table.h"

#include <algorithm>
#include <utility>

namespace rotor::wasi {

Outcome<DescriptorRef> Table::get(uint32_t fd, Rights wanted) const {
  DescriptorRef found;
  {
    std::lock_guard lock(mutex_);
    if (!has(fd)) return fail(Errno::badf);
    found = open_[fd];
  }
  if (auto allowed = found->check(wanted); !allowed) return fail(allowed.error());
  return found;
}

Outcome<DescriptorRef> Table::directory(uint32_t fd, Rights wanted) const {
  auto found = get(fd, 0);
  if (!found) return found;
  if (!(*found)->is_directory()) return fail(Errno::notdir);
  if (auto allowed = (*found)->check(wanted); !allowed) return fail(allowed.error());
  return found;
}

Outcome<uint32_t> Table::add(DescriptorRef descriptor) {
  std::lock_guard lock(mutex_);
  note_change();
  auto free = std::ranges::find(open_, nullptr);
  if (free == open_.end()) {
    if (open_.size() >= max_) return fail(Errno::mfile);
    open_.push_back(std::move(descriptor));
    return static_cast<uint32_t>(open_.size() - 1);
  }
  *free = std::move(descriptor);
  return static_cast<uint32_t>(free - open_.begin());
}

Outcome<void> Table::close(uint32_t fd) {
  DescriptorRef closed;  // destroyed without the lock: closing may take long
  std::lock_guard lock(mutex_);
  if (!has(fd)) return fail(Errno::badf);
  note_change();
  closed = std::move(open_[fd]);
  return {};
}

Outcome<void> Table::renumber(uint32_t from, uint32_t to) {
  DescriptorRef closed;
  std::lock_guard lock(mutex_);
  if (!has(from) || !has(to)) return fail(Errno::badf);
  if (from == to) return {};
  note_change();
  closed = std::exchange(open_[to], std::move(open_[from]));
  open_[from] = nullptr;
  return {};
}

std::vector<SavedTable::Entry> Table::entries() const {
  std::vector<DescriptorRef> open;
  {
    std::lock_guard lock(mutex_);
    open = open_;
  }
  while (!open.empty() && !open.back()) open.pop_back();
  std::vector<SavedTable::Entry> entries;
  for (DescriptorRef& descriptor : open) {
    SavedTable::Entry& entry = entries.emplace_back();
    if (!descriptor) continue;
    entry.rights = descriptor->rights;
    entry.inheriting = descriptor->inheriting;
    entry.flags = descriptor->flags;
    // Who only appends has no position that matters; that of the process's own streams is not the guest's alone.
    const bool appends = entry.flags & kAppend && !(entry.rights & kFdRead);
    if (descriptor->is_file() && !descriptor->is_inherited() && !appends)
      if (auto position = descriptor->object->seek(0, Whence::current))
        entry.position = static_cast<int64_t>(*position);
    entry.descriptor = std::move(descriptor);
  }
  return entries;
}

SavedTable Table::save() const {
  SavedTable saved;
  saved.changes = changes_.load(std::memory_order_relaxed);  // before: what changes meanwhile counts as a change
  saved.taken = taken_.load(std::memory_order_relaxed);
  saved.entries = entries();
  return saved;
}

bool Table::equals(const SavedTable& saved) const {
  if (saved.taken != taken_.load(std::memory_order_relaxed)) return false;
  return saved.changes == changes_.load(std::memory_order_relaxed) || saved.entries == entries();
}

void Table::restore(const SavedTable& saved) {
  std::vector<DescriptorRef> open;  // what was opened since is closed without the lock
  for (const SavedTable::Entry& entry : saved.entries) {
    open.push_back(entry.descriptor);
    if (!entry.descriptor) continue;
    entry.descriptor->rights = entry.rights;
    entry.descriptor->inheriting = entry.inheriting;
    entry.descriptor->flags = entry.flags;
    if (entry.position >= 0) (void)entry.descriptor->object->seek(entry.position, Whence::set);
  }
  {
    std::lock_guard lock(mutex_);
    open_.swap(open);
    note_change();
  }
}

size_t Table::count() const {
  std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::ranges::count_if(open_, [](const DescriptorRef& d) { return d != nullptr; }));
}

}  // namespace rotor::wasi
