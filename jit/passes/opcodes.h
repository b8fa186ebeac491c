// The target's instructions and registers by their names: LLVM's public headers do not have their numbers.
#pragma once

#include <initializer_list>
#include <utility>

#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/Support/ErrorHandling.h"

namespace rotor::jit {

using NumberByName = std::pair<const char*, unsigned&>;

/// Looks names up by `name_of(number)`. A name that is not there ends the process: this LLVM is not the one that Rotor
/// was written for.
template <class NameOf>
void find_by_name(unsigned count, NameOf&& name_of, std::initializer_list<NumberByName> wanted) {
  size_t found = 0;
  for (unsigned number = 1; number < count && found < wanted.size(); ++number) {
    llvm::StringRef name = name_of(number);
    for (const NumberByName& one : wanted)
      if (name == one.first) {
        one.second = number;
        ++found;
      }
  }
  if (found < wanted.size())
    llvm::report_fatal_error("LLVM's x86-64 target has not the instructions or registers of the names we know");
}

inline void find_opcodes(const llvm::TargetInstrInfo& instructions, std::initializer_list<NumberByName> wanted) {
  find_by_name(instructions.getNumOpcodes(), [&](unsigned i) { return instructions.getName(i); }, wanted);
}

inline void find_registers(const llvm::TargetRegisterInfo& registers, std::initializer_list<NumberByName> wanted) {
  find_by_name(registers.getNumRegs(), [&](unsigned i) { return llvm::StringRef(registers.getName(i)); }, wanted);
}

}  // namespace rotor::jit
