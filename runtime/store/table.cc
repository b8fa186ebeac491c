#include "runtime/store/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>

#include "memory/os.h"
#include "runtime/access.h"
#include "runtime/engine.h"
#include "runtime/enter/func.h"

namespace rotor::runtime {

namespace {

/// The most elements of a table: those that a 32-bit index reaches, also where indices have 64 bits. It keeps products
/// with an element's size from wrapping.
constexpr uint64_t kMaxElements = UINT64_C(0xffffffff);

}  // namespace

Result<void> TableImpl::check_minimum() const {
  if (type_.limits.min > type_.limits.max)
    return fail(ErrorKind::invalid_argument, "a table's minimum is above its maximum");
  if (type_.limits.min <= max_elements_) return {};
  return fail(ErrorKind::limit,
              fmt::format("a table of {} elements, over table_elements = {}", type_.limits.min, budget_->limit()));
}

Result<std::shared_ptr<TableImpl>> TableImpl::create(std::shared_ptr<const EngineImpl> engine, const TableType& type,
                                                     uint64_t init, std::shared_ptr<Budget> elements) {
  std::shared_ptr<TableImpl> table(new TableImpl(std::move(engine), type, std::move(elements)));
  table->max_elements_ = std::min({type.limits.max, table->budget_->limit(), kMaxElements});
  ROTOR_CHECK(table->check_minimum());
  if (table->grow(type.limits.min, init) != UINT64_MAX) return table;
  const Budget& budget = *table->budget_;
  if (type.limits.min > budget.limit() - budget.used())
    return fail(ErrorKind::limit, fmt::format("a table of {} elements, where the tables of the instance have {} of {}, "
                                              "table_elements of all together",
                                              type.limits.min, budget.used(), budget.limit()));
  return fail(ErrorKind::io, "no memory for a table");
}

Result<std::shared_ptr<TableImpl>> TableImpl::create_for_host(std::shared_ptr<EngineImpl> engine, const TableType& type,
                                                              uint64_t limit_elements) {
  std::shared_ptr<TableImpl> table(new TableImpl(engine, type, std::make_shared<Budget>(limit_elements)));
  ROTOR_CHECK(engine->types.use(type.element, table->type_uses_));
  table->max_elements_ = std::min({type.limits.max, limit_elements, kMaxElements});
  ROTOR_CHECK(table->check_minimum());
  uint64_t reserved = memory::os::round_up_to_page(std::max<uint64_t>(table->max_elements_, 1) * sizeof(uint64_t));
  ROTOR_TRY(uint8_t* base, memory::os::reserve(reserved));
  table->def_.elements = reinterpret_cast<uint64_t*>(base);
  table->reserved_bytes_ = reserved;
  if (table->grow(type.limits.min, 0) == UINT64_MAX) return fail(ErrorKind::io, "no memory for a table");
  return table;
}

TableImpl::~TableImpl() {
  budget_->give_back(def_.size);
  if (reserved_bytes_)
    memory::os::release(def_.elements, reserved_bytes_);
  else
    std::free(def_.elements);
}

bool TableImpl::make_room(uint64_t elements) {
  uint64_t need = elements * sizeof(uint64_t);
  if (need <= room_bytes_) return true;
  if (reserved_bytes_) {
    need = memory::os::round_up_to_page(need);
    auto* base = reinterpret_cast<uint8_t*>(def_.elements);
    if (!memory::os::commit(base + room_bytes_, need - room_bytes_)) return false;
    room_bytes_ = need;
    return true;
  }
  // The room doubles, so that a table that grows by one element after another is copied a few times only.
  need = std::max(need, std::min(2 * room_bytes_, max_elements_ * sizeof(uint64_t)));
  auto* moved = static_cast<uint64_t*>(std::calloc(need, 1));
  if (!moved) return false;
  std::copy_n(def_.elements, def_.size, moved);
  std::free(std::exchange(def_.elements, moved));
  room_bytes_ = need;
  return true;
}

uint64_t TableImpl::grow(uint64_t delta, uint64_t init) {
  uint64_t old_size = def_.size;
  if (delta <= max_elements_ - old_size && budget_->take(delta)) {
    if (make_room(old_size + delta)) {
      if (init) std::fill_n(def_.elements + old_size, delta, init);  // else they are null already
      def_.size = old_size + delta;
      return old_size;
    }
    budget_->give_back(delta);
  }
  budget_->deny();
  return UINT64_MAX;
}

void TableImpl::write_places(std::span<const uint32_t> places, const code::Context* context) {
  assert(places.size() <= def_.size);
  const auto base = reinterpret_cast<uint64_t>(context);
  uint64_t* slot = def_.elements;
  // No branch: of a loop with one the compiler makes no vectors.
  for (uint32_t place : places) *slot++ = (base + place) & (place ? UINT64_MAX : 0);
}

TableType TableImpl::type() const {
  TableType type = type_;
  type.limits.min = def_.size;
  return type;
}

Result<uint64_t> slot_of_value(const Value& value, ValType wanted, const EngineImpl* engine, GroupTie& tie) {
  if (!is_of_kind(value.type(), wanted))
    return fail(ErrorKind::type_mismatch,
                fmt::format("a value of type {} for {}", to_string(value.type()), to_string(wanted)));
  if (wanted.is_func_ref() && !value.is_null()) {
    Func func = value.func();
    LinkGroup* group = group_of(func);
    if (!group || !group->alive()) return fail(ErrorKind::stale_handle, "the function's instance is gone");
    ROTOR_CHECK(tie.join(*group));
  }
  uint64_t slot = value.bits();
  std::shared_ptr<LinkGroup> group = tie.group();
  const bool is_owned = detail::Access::hold(value) && !wanted.is_func_ref();
  if (is_owned || (wanted.is_exn_ref() && !value.is_null())) {
    // What no instance has is not looked through for exceptions and objects that are referred to.
    if (!group)
      return fail(ErrorKind::unsupported, "an exception or object for a table or global that no instance imports");
    ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group.get()));
    ROTOR_TRY(slot, slot_of_owned(value, *group));
    if (slot_fits(slot, wanted, engine, group.get())) return slot;
  } else {
    if (names_object(value)) return fail(ErrorKind::type_mismatch, "a reference to no object");
    if (slot_fits(slot, wanted, engine, group.get())) return slot;
  }
  return fail(ErrorKind::type_mismatch, fmt::format("{} for {}", slot_type_text(slot, wanted), to_string(wanted)));
}

}  // namespace rotor::runtime

namespace rotor {

using runtime::GroupEntry;
using runtime::TableImpl;

namespace {
std::unexpected<Error> gone() { return fail(ErrorKind::stale_handle, "the table is gone"); }
std::unexpected<Error> out_of_bounds(uint64_t index, uint64_t size) {
  return fail(ErrorKind::invalid_argument,
              fmt::format("index {} is out of bounds of a table of {} elements", index, size));
}
}  // namespace

Result<Table> Table::create(const Engine& engine, const TableType& type, const Value& init, uint64_t limit_elements) {
  ROTOR_TRY(auto impl, TableImpl::create_for_host(runtime::impl_of(engine).shared_from_this(), type, limit_elements));
  Table table;
  table.strong_ = runtime::HostHold<TableImpl>::take(impl);
  ROTOR_TRY(uint64_t slot, runtime::slot_of_value(init, type.element, impl->engine(), impl->tie));
  std::fill_n(impl->slots(0), impl->size(), slot);
  return table;
}

uint64_t Table::size() const {
  auto impl = lock();
  return impl ? impl->size() : 0;
}

Result<Value> Table::get(uint64_t index) const {
  auto impl = lock();
  if (!impl) return gone();
  auto group = impl->tie.group();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group.get()));
  if (!impl->in_bounds(index, 1)) return out_of_bounds(index, impl->size());
  return runtime::value_of_slot(impl->element(), *impl->slots(index), group.get());
}

Result<void> Table::set(uint64_t index, const Value& value) const {
  auto impl = lock();
  if (!impl) return gone();
  ROTOR_TRY(uint64_t slot, runtime::slot_of_value(value, impl->element(), impl->engine(), impl->tie));
  auto group = impl->tie.group();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group.get()));
  if (!impl->in_bounds(index, 1)) return out_of_bounds(index, impl->size());
  *impl->slots(index) = slot;
  return {};
}

Result<uint64_t> Table::grow(uint64_t delta_elements, const Value& init) const {
  auto impl = lock();
  if (!impl) return gone();
  ROTOR_TRY(uint64_t slot, runtime::slot_of_value(init, impl->element(), impl->engine(), impl->tie));
  auto group = impl->tie.group();
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(group.get()));
  uint64_t old_size = impl->grow(delta_elements, slot);
  if (old_size == UINT64_MAX)
    return fail(ErrorKind::limit,
                fmt::format("growth by {} elements was refused: {} in use", delta_elements, impl->size()));
  return old_size;
}

const void* Table::identity() const { return lock().get(); }

TableType Table::type() const {
  auto impl = lock();
  return impl ? impl->type() : TableType{};
}

}  // namespace rotor
