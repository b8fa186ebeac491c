// The forms of a function's values: the algebra of jit/passes/wide_products.h, which says what it is about.
#pragma once

#include <bit>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "jit/passes/wide_form.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Instructions.h"

namespace rotor::jit {

/// A term of a sum that is to be made: a positive multiple of a monomial.
struct Multiple {
  Monomial monomial;
  uint64_t factor;
  bool operator==(const Multiple&) const = default;
  void add_to(wasm::KeyedHasher& hash) const {
    monomial.a.add_to(hash);
    monomial.b.add_to(hash);
    hash.add(factor);
  }
};
using Sum = llvm::SmallVector<Multiple, 8>;

/// A modular form as it can be calculated, modulo 2^64: whole + ((high - less) >> 64) + the sum of words >> 64 - the
/// sum of minus_words >> 64.
struct Split {
  Sum whole, high, less;
  llvm::SmallVector<Sum, 2> words, minus_words;
  bool has_fraction = false;  ///< otherwise the value is `whole` alone
};

/// Values are to be asked for in order of their definitions: that keeps recursion short.
class WideValues {
 public:
  explicit WideValues(llvm::Function& function)
      : function_(function), i64_(llvm::Type::getInt64Ty(function.getContext())) {}

  /// Looks for values of which a half is multiplied. Most functions have none, and are not to be looked at further.
  bool find_cut_values();
  /// Returns how many 64-bit multiplications the function has.
  size_t multiplications() const { return multiplications_; }
  /// Returns how to compute a value anew, if that is worth it: if it is a sum in which a product has come together.
  std::optional<Split> rewriting(llvm::Value* value);
  /// Returns the value of an atom; null if it is none of the program's.
  llvm::Value* value(Atom atom) const { return values_[atom.value()]; }

 private:
  /// What is known of an integer of 64 bits or fewer, read without a sign.
  struct Facts {
    uint64_t max = UINT64_MAX;       ///< it is at most this
    uint64_t possible = UINT64_MAX;  ///< bits that may be set
    std::optional<Form> exact;       ///< equals it, and says more than that it equals itself
    bool exact_open = false;
    std::optional<Form> modular;  ///< equals it modulo 2^64; not there until asked for
    bool modular_open = false;
    bool is_high_word = false;  ///< it is the high word of a whole product: closed, but its exact form is kept
    bool absorbed = false;      ///< the modular form contains those of open operands
    bool multiplied = false;    ///< a multiplication is among what was absorbed

    /// Returns the largest known n for which the value is a multiple of 2^n; 64 if it is 0.
    unsigned trailing_zeros() const { return static_cast<unsigned>(std::countr_zero(possible)); }
  };

  /// A factor of a multiplication that is itself an odd multiple of another value, modulo 2^64.
  struct OddMultiple {
    Atom factor;
    uint64_t inverse;  ///< of the odd constant, modulo 2^64
  };

  uint32_t add_value(llvm::Value* value);
  uint32_t number(llvm::Value* value);
  Facts& exact(llvm::Value* value);
  Facts& modular(llvm::Value* value);
  std::optional<Form> derive(llvm::Instruction& op, Facts& facts);
  std::optional<Form> derive_and(llvm::Instruction& op, Facts& facts);
  std::optional<Form> derive_shift(llvm::Instruction& op, Facts& facts);
  std::optional<Form> derive_sum(llvm::Instruction& op, Facts& facts);
  std::optional<Form> derive_product(llvm::Instruction& op, Facts& facts);
  std::optional<Form> derive_carry(llvm::ICmpInst& compare, Facts& facts);
  std::optional<Form> derive_modular(llvm::Value* value, bool& absorbed);
  std::optional<Form> exact_of(const Form& modular);
  Form seen(llvm::Value* value);
  Form seen_modular(llvm::Value* value);
  Form low_part(llvm::Value* value, unsigned bits);
  Atom low_atom(Form shifted, unsigned bits, llvm::Value* value);
  void note_multiple(llvm::Instruction& factor);
  const OddMultiple* multiple_of(const Monomial& x, uint64_t& times) const;
  Form in_multiples(const Form& modular);
  bool is_factor(const llvm::Instruction& op);
  bool absorbs_product(const llvm::Instruction& op) const;
  bool is_cut(llvm::Value* value);
  bool is_high_word(const Form& form);
  void expand_closed(Form& form);
  Form widened(Atom low, Coefficient factor);
  Form normalise(Form form);
  uint64_t max_of(Atom atom);
  bool is_worth_it(llvm::Value* value, const Facts& facts);
  std::optional<Split> split(const Form& form);
  void take_complete_words(Sum& products, Sum& low_halves, llvm::SmallVectorImpl<Sum>& words);
  bool drop_below_one(Split& split, const Sum& negative);

  /// Entries that are found by their member `form`.
  template <class Entry>
  struct ByForm {
    std::deque<Entry> entries;  ///< they stay where they are
    std::unordered_multimap<size_t, const Entry*> index;

    const Entry* find(const Form& form) const {
      auto [begin, end] = index.equal_range(form.hash());
      for (auto it = begin; it != end; ++it)
        if (it->second->form == form) return it->second;
      return nullptr;
    }
    /// Adds an entry and returns it; null if its form is void.
    const Entry* add(Entry entry) {
      if (entry.form.is_void()) return nullptr;
      entries.push_back(std::move(entry));
      index.emplace(entries.back().form.hash(), &entries.back());
      return &entries.back();
    }
  };
  /// A partial product, found by its form modulo 2^64.
  struct Partial {
    Form form, exact;
  };
  /// A low part, found by the form that it is congruent to: shifted to the left, modulo 2^64.
  struct Low {
    Form form;
    Atom atom;
  };

  llvm::Function& function_;
  llvm::Type* const i64_;
  size_t multiplications_ = 0;
  llvm::DenseSet<const llvm::Value*> cut_;  ///< a half of them is multiplied
  llvm::DenseMap<llvm::Value*, uint32_t> numbers_;
  std::vector<llvm::Value*> values_;  ///< by number
  std::deque<Facts> facts_;           ///< they stay where they are
  llvm::DenseMap<llvm::Value*, Facts*> facts_of_;
  unsigned depth_ = 0;  ///< of recursion
  ByForm<Partial> partials_;
  ByForm<Low> lows_;
  std::unordered_map<uint32_t, OddMultiple> multiples_;  ///< by the number of what they are multiples of
  std::unordered_map<uint32_t, const Low*> made_up_;     ///< low parts that the program has no value for, by number
};

}  // namespace rotor::jit
