// Which region of code an address lies in, for signal handlers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace rotor::code {

class CodeRegion;

/// Makes the addresses [begin, end) known as the text of `region`, until it is taken back. Thread-safe.
void add_to_table(const CodeRegion* region, uintptr_t begin, uintptr_t end);
void take_from_table(const CodeRegion* region);

/// Returns the region whose text holds `pc`, or nullptr. Lock-free and async-signal-safe. The result may be used while
/// the caller knows that the module lives (because it runs the module's code).
const CodeRegion* find_code_region(uintptr_t pc);

/// Calls `visit` for each region in the table, from which none can be taken meanwhile: `visit` must not let a module
/// go. Thread-safe.
void for_each_code_region(const std::function<void(const CodeRegion&)>& visit);

/// How many regions find_code_region knows, and how many places it has for them, which are used again and never fewer.
struct CodeRegionCount {
  size_t regions = 0;
  size_t places = 0;
};
CodeRegionCount count_code_regions();

}  // namespace rotor::code
