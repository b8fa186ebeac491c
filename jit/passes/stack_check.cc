#include "jit/passes/stack_check.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "code/abi.h"
#include "jit/passes/opcodes.h"
#include "llvm/CodeGen/MachineFrameInfo.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/TargetFrameLowering.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/DebugInfoMetadata.h"

namespace rotor::jit {

namespace {

using llvm::MachineBasicBlock;

constexpr const char* kEntryLocation = "rotor.entry";
constexpr const char* kTailCallWords = "rotor-tail-call-words";

/// The bytes that rotor_tail_call pushes beside the words: rbp, a context, a count, a word for alignment, a return
/// address.
constexpr uint64_t kTailCallFrameBytes = 40;
/// The bytes below its stack pointer that a function which calls nothing may write (System V).
constexpr uint64_t kRedZoneBytes = 128;
constexpr uint64_t kReturnAddressBytes = 8;
/// The largest frame for which rsp - frame can't wrap: no stack lies in the first page.
constexpr uint64_t kFirstPageBytes = 4096;
/// x86's number of the condition "below": unsigned less than.
constexpr int64_t kBelow = 2;

bool calls(const llvm::MachineFunction& function) {
  for (const MachineBasicBlock& block : function)
    for (const llvm::MachineInstr& instruction : block)
      if (instruction.isCall()) return true;
  return false;
}

/// Returns the bytes that the function, or rotor_tail_call in its place, writes below the stack pointer that it is
/// entered with, with the return address of what it calls.
uint64_t frame_bytes(const llvm::MachineFunction& function, bool calls) {
  const llvm::MachineFrameInfo& frame = function.getFrameInfo();
  const llvm::TargetSubtargetInfo& target = function.getSubtarget();
  uint64_t bytes = frame.getStackSize() + (calls ? kReturnAddressBytes : kRedZoneBytes);
  if (target.getRegisterInfo()->hasStackRealignment(function)) bytes += frame.getMaxAlign().value();
  if (!target.getFrameLowering()->hasReservedCallFrame(function)) bytes += frame.getMaxCallFrameSize();
  uint64_t words = function.getFunction().getFnAttributeAsParsedInteger(kTailCallWords, 0);
  return std::max(bytes, kTailCallFrameBytes + words * 8);
}

class StackCheckPass : public llvm::MachineFunctionPass {
 public:
  static char id;
  StackCheckPass() : MachineFunctionPass(id) {}

  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    bool has_calls = calls(function);
    uint64_t bytes = frame_bytes(function, has_calls);
    if (!has_calls && bytes <= code::kUncheckedFrameBytes) return false;
    if (bytes > std::numeric_limits<int32_t>::max()) llvm::report_fatal_error("a frame of over 2 GiB");
    add_check(function, bytes,
              llvm::cast_or_null<llvm::DILocation>(function.getFunction().getMetadata(kEntryLocation)));
    return true;
  }

 private:
  void add_check(llvm::MachineFunction& function, uint64_t bytes, const llvm::DebugLoc& location) {
    const llvm::TargetInstrInfo& instructions = *function.getSubtarget().getInstrInfo();
    if (!opcodes_) opcodes_.emplace(function);
    const Opcodes& op = *opcodes_;
    MachineBasicBlock& body = function.front();
    // The check gets blocks of its own: if the body's first block is the head of a loop, the check does not become part
    // of the loop.
    auto new_block = [&](llvm::MachineFunction::iterator before) {
      MachineBasicBlock* block = function.CreateMachineBasicBlock();
      function.insert(before, block);
      return block;
    };
    MachineBasicBlock* overflow = new_block(function.end());
    llvm::BuildMI(overflow, location, instructions.get(op.trap)).addImm(static_cast<int64_t>(TrapKind::stack_overflow));
    auto add = [&](MachineBasicBlock* block, unsigned opcode) {
      return llvm::BuildMI(block, llvm::DebugLoc(), instructions.get(opcode));
    };
    auto address = [&](llvm::MachineInstrBuilder builder, unsigned base, int64_t displacement) {
      return builder.addReg(base).addImm(1).addReg(0).addImm(displacement).addReg(0);
    };
    auto branch_if_below = [&](MachineBasicBlock* block) {
      add(block, op.branch_if).addMBB(overflow).addImm(kBelow);
      block->addSuccessor(overflow);
    };
    MachineBasicBlock* check = new_block(function.begin());
    for (const auto& live : body.liveins()) check->addLiveIn(live);
    address(add(check, op.load).addDef(op.r11), op.context, offsetof(code::Context, activation));
    if (bytes <= kFirstPageBytes) {
      address(add(check, op.address).addDef(op.r10), op.stack_pointer, -static_cast<int64_t>(bytes));
    } else {
      add(check, op.move).addDef(op.r10).addReg(op.stack_pointer);
      add(check, op.subtract).addDef(op.r10).addReg(op.r10).addImm(static_cast<int64_t>(bytes));
      branch_if_below(check);
      MachineBasicBlock* rest = new_block(std::next(check->getIterator()));
      for (const auto& live : check->liveins()) rest->addLiveIn(live);
      check->addSuccessor(rest);
      check = rest;
    }
    address(add(check, op.compare).addReg(op.r10), op.r11, offsetof(code::Activation, stack_limit));
    branch_if_below(check);
    check->addSuccessor(&body);
  }

  struct Opcodes {
    explicit Opcodes(const llvm::MachineFunction& function) {
      const llvm::TargetSubtargetInfo& target = function.getSubtarget();
      find_opcodes(*target.getInstrInfo(), {{"UBSAN_UD1", trap},
                                            {"MOV64rm", load},
                                            {"LEA64r", address},
                                            {"MOV64rr", move},
                                            {"SUB64ri32", subtract},
                                            {"CMP64rm", compare},
                                            {"JCC_1", branch_if}});
      find_registers(*target.getRegisterInfo(), {{"R10", r10}, {"R11", r11}, {"R13", context}, {"RSP", stack_pointer}});
    }
    unsigned trap, load, address, move, subtract, compare, branch_if;
    unsigned r10, r11, context, stack_pointer;
  };
  std::optional<Opcodes> opcodes_;
};

char StackCheckPass::id = 0;

}  // namespace

void set_entry_location(llvm::Function& function, llvm::DILocation* location) {
  function.setMetadata(kEntryLocation, location);
}

void copy_stack_check(const llvm::Function& from, llvm::Function& to) {
  to.setMetadata(kEntryLocation, from.getMetadata(kEntryLocation));
  note_tail_call_words(to, from.getFnAttributeAsParsedInteger(kTailCallWords, 0));
}

void note_tail_call_words(llvm::Function& function, uint64_t words) {
  if (words > function.getFnAttributeAsParsedInteger(kTailCallWords, 0))
    function.addFnAttr(kTailCallWords, std::to_string(words));
}

llvm::MachineFunctionPass* create_stack_check_pass() { return new StackCheckPass; }

}  // namespace rotor::jit
