#include "jit/testing/random_function.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "jit/testing/words.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"

namespace rotor::jit {

namespace {

using Words = llvm::SmallVector<Word, 16>;

/// Fields of the Pasta curves and their Montgomery constants, multipliers of hashes and divisions, and what sits at the
/// edges of words and halves.
constexpr uint64_t kConstants[] = {
    0xffffffff,
    0x992d30ed00000001,
    0x224698fc094cf91b,
    0x4000000000000000,
    0x8c46eb2100000001,
    0x224698fc0994a8dd,
    0x992d30ecffffffff,
    0x8c46eb20ffffffff,
    0,
    1,
    2,
    3,
    19,
    977,
    0x100000000,
    0x100000001,
    0xfffffffe,
    0x7fffffff,
    0x80000000,
    0xffffffff00000000,
    0xfffffffeffffffff,
    0x8000000000000000,
    0xffffffffffffffff,
    0x9e3779b97f4a7c15,
    0xcccccccccccccccd,
    0xa0761d6478bd642f,
    (UINT64_C(1) << 51) - 1,
};

constexpr auto low_mask = llvm::maskTrailingOnes<uint64_t>;

/// A factor, and what a program has as its halves.
struct Factor {
  Word whole, low, high;
};

/// The low word of a product, and what its high word is the sum of.
struct Product {
  Word low;
  Words high;
  Words bits;      ///< of i1: carries into the high word
  Words borrowed;  ///< of i1: to be subtracted from it
};

class Generator {
 public:
  Generator(llvm::Module& module, std::span<const uint8_t> bytes)
      : module_(module), b_(module.getContext()), bytes_(bytes) {}

  llvm::Function* run() {
    constexpr unsigned kArguments = 6, kResults = 9;
    llvm::Function* function = words_function(module_, kArguments, kResults);
    b_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "", function));
    for (llvm::Argument& argument : function->args()) pool_.push_back({&b_, &argument});
    // Half of all functions have one thing bent.
    if (unsigned at = byte(); at >= 128) bent_site_ = at - 128;
    statements(1 + below(6), 0);
    finish(kResults);
    return function;
  }

 private:
  // Choices.
  uint8_t byte() {
    if (next_ == bytes_.size()) return 0;
    return bytes_[next_++];
  }
  unsigned below(unsigned n) { return byte() % n; }
  bool one_in(unsigned n) { return below(n) == n - 1; }
  /// At one site of a bent function: do other than the idiom asks for.
  bool bend() { return bent_site_ && bent_site_-- == 1; }

  Word constant() {
    unsigned i = byte();
    if (i < 240) return word(kConstants[i % std::size(kConstants)]);
    uint64_t c = 0;
    for (int k = 0; k < 8; ++k) c = c << 8 | byte();
    return word(c);
  }
  Word word(uint64_t c) { return {&b_, b_.getInt64(c)}; }
  Word pick() { return pool_[(byte() + picks_++) % pool_.size()]; }
  Word operand() { return one_in(5) ? constant() : pick(); }
  void push(Word word) { pool_.push_back(word); }

  // Parts of idioms.
  unsigned shift_by(unsigned bits) { return bend() ? bits ^ 1u << below(3) : bits; }
  uint64_t masked_by(uint64_t mask) { return bend() ? mask ^ UINT64_C(1) << below(64) : mask; }

  Word low_half(Word x) {
    switch (below(4)) {
      // The mask is narrowed to bits that can be set, as LLVM does it.
      default: return x & masked_by(UINT32_MAX & ~zeros_.lookup(x.value));
      case 1: return x.narrow(bend() ? 31 + 2 * below(2) : 32).wide();
      case 2: return x & masked_by(UINT32_MAX);
      case 3: return (x << shift_by(32)) >> 32;
    }
  }
  Word high_half(Word x) {
    switch (below(4)) {
      default: return x >> shift_by(32);
      case 2: {
        unsigned bits = 1 + below(31);
        return (x >> bits) >> shift_by(32 - bits);
      }
      case 3: return (x >> shift_by(32)).narrow().wide();
    }
  }
  Factor factor(Word x) {
    switch (below(6)) {
      default: return {x, low_half(x), high_half(x)};
      case 4: {  // the mask is only on the upper half
        unsigned bits = 33 + below(31);
        return {x & low_mask(bits), low_half(x), (x >> shift_by(32)) & masked_by(low_mask(bits - 32))};
      }
      case 5: {  // both halves are cut from the word before it was shifted
        unsigned bits = 1 + below(31);
        return {x >> bits, low_half(x >> bits), x >> shift_by(32 + bits)};
      }
    }
  }
  Word times(Word x, Word y) { return one_in(2) ? y * x : x * y; }
  Word plus(Word x, Word y) {
    if (bend()) return x | y;
    return one_in(2) ? y + x : x + y;
  }

  /// Of w = x + something, or what nearly is it.
  Word carry(Word w, Word x) {
    if (bend()) {
      switch (below(4)) {
        case 0: return w > x;
        case 1: return {&b_, b_.CreateICmpULE(w.value, x.value)};
        case 2: return {&b_, b_.CreateICmpSLT(w.value, x.value)};
        default: return w < pick();
      }
    }
    return one_in(2) ? x > w : w < x;
  }
  /// A bit times a constant.
  Word multiple(Word bit, uint64_t c) {
    switch (below(4)) {
      default: return bit.wide() << static_cast<unsigned>(std::countr_zero(c));
      case 2: return {&b_, b_.CreateSelect(bit.value, b_.getInt64(c), b_.getInt64(0))};
      case 3: {
        Word narrow{&b_, b_.CreateZExt(bit.value, b_.getInt32Ty())};
        return narrow.wide() << static_cast<unsigned>(std::countr_zero(c));
      }
    }
  }
  /// Several bits as a number, added up in 32 or in 64 bits.
  Word count(Words bits) {
    if (!one_in(3)) {
      Words words;
      for (Word bit : bits) words.push_back(multiple(bit, 1));
      return sum(words);
    }
    Words narrow;
    for (Word bit : bits) narrow.push_back({&b_, b_.CreateZExt(bit.value, b_.getInt32Ty())});
    return sum(narrow).wide();
  }
  /// In any association and order.
  Word sum(Words terms) {
    if (bend() && terms.size() > 1) terms.erase(terms.begin() + below(terms.size()));
    while (terms.size() > 1) {
      auto i = terms.begin() + below(terms.size());
      Word x = *i;
      terms.erase(i);
      Word& y = terms[below(terms.size())];
      y = plus(x, y);
    }
    return terms.front();
  }

  // Products.
  Product product(Word word_x, Word word_y) {
    unsigned way = below(8);
    if (word_x.value == word_y.value && one_in(2)) way = 8;
    auto [x, x0, x1] = factor(word_x);
    auto [y, y0, y1] = way == 8 ? Factor{x, x0, x1} : factor(word_y);
    if (way == 7) return digits(x0, x1, y0, y1);
    Word ll = times(x0, y0), lh = times(x0, y1), hl = times(x1, y0), hh = times(x1, y1);
    bool plain = one_in(4);  // the low word is a plain product
    switch (way) {
      case 0:
      case 5: {  // hash mixers
        Word t = plus(ll, hl << shift_by(32));
        Word low = plain ? times(x, y) : plus(t, lh << shift_by(32));
        return {low, {hh, hl >> shift_by(32), lh >> shift_by(32)}, {carry(t, ll), carry(low, t)}, {}};
      }
      case 1:
      case 6: {  // schoolbook, with the carry of the middle sum
        Word mid = plus(hl, lh), shifted = mid << shift_by(32);
        Word low = plain ? times(x, y) : plus(ll, shifted);
        Word middle_carry = multiple(carry(mid, one_in(2) ? lh : hl), UINT64_C(1) << 32);
        return {low, {hh, mid >> shift_by(32), middle_carry}, {carry(low, one_in(2) ? ll : shifted)}, {}};
      }
      case 8: {  // squares
        Word doubled = lh << shift_by(33), low = plain ? times(x, x) : plus(ll, doubled);
        return {low, {hh, lh >> shift_by(31)}, {carry(low, one_in(2) ? ll : doubled)}, {}};
      }
      case 2: {  // the run-time library's, Hacker's Delight's
        Word t = plus(ll >> shift_by(32), hl), mid = plus(low_half(t), lh);
        return {plain ? times(x, y) : joined(mid, ll), {hh, t >> shift_by(32), mid >> shift_by(32)}, {}, {}};
      }
      case 3: {  // crosswise
        Word mid = sum({ll >> shift_by(32), low_half(hl), lh});
        return {plain ? times(x, y) : joined(mid, ll), {hh, hl >> shift_by(32), mid >> shift_by(32)}, {}, {}};
      }
      default: {  // both middle terms cut
        Word mid = sum({ll >> shift_by(32), low_half(hl), low_half(lh)});
        return {plain ? times(x, y) : joined(mid, ll),
                {hh, hl >> shift_by(32), lh >> shift_by(32), mid >> shift_by(32)},
                {},
                {}};
      }
    }
  }
  /// Digit by digit of 32 bits, and a word or two added to it on the way: the sums can't overflow.
  Product digits(Word x0, Word x1, Word y0, Word y1) {
    Word c = pick(), d = pick();
    bool with_c = one_in(2), with_d = one_in(2);
    Word first = times(x0, y0);
    if (with_c) first = plus(first, low_half(c));
    if (with_d) first = plus(first, low_half(d));
    Word second = plus(times(x1, y0), first >> shift_by(32));
    if (with_c) second = plus(second, high_half(c));
    Word third = plus(times(x0, y1), low_half(second));
    if (with_d) third = plus(third, high_half(d));
    Word low = joined(third, first);
    return {low, {times(x1, y1), second >> shift_by(32), third >> shift_by(32)}, {}, {}};
  }
  Word joined(Word high, Word low) {
    Word shifted = high << shift_by(32), rest = low_half(low);
    return one_in(2) ? shifted + rest : shifted | rest;
  }

  void accumulate(Product& product, Word addend) {
    Word low = plus(product.low, addend);
    product.bits.push_back(carry(low, one_in(2) ? addend : product.low));
    product.low = low;
  }
  void subtract(Product& product, Word subtrahend) {
    product.borrowed.push_back(carry(product.low, subtrahend));
    product.low = product.low - subtrahend;
  }
  Word high_word(Product& product) {
    Words terms = product.high;
    if (!product.bits.empty()) terms.push_back(count(product.bits));
    Word high = sum(terms);
    for (Word bit : product.borrowed) high = high - multiple(bit, 1);
    return high;
  }

  // Statements.
  void statements(unsigned count, unsigned depth) {
    constexpr unsigned kMaxDepth = 2;
    for (unsigned i = 0; i < count && products_ < kMaxProducts; ++i) switch (below(16)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4: one_product(); break;
        case 5:
        case 6: limbs(); break;
        case 7: column(); break;
        case 8: reduction(); break;
        case 9: plain_product(); break;
        case 10: piece(); break;
        case 11: multiple_of_power(); break;
        case 12: depth < kMaxDepth ? diamond(depth) : arithmetic(); break;
        case 13: depth < kMaxDepth ? loop(depth) : arithmetic(); break;
        default: arithmetic(); break;
      }
  }

  void one_product() {
    ++products_;
    Word x = pick(), y = operand();
    Product made = product(x, one_in(6) ? x : y);
    for (unsigned i = below(4); i > 0; --i) switch (below(6)) {
        default: accumulate(made, operand()); break;
        case 4: made.high.push_back(operand()); break;
        case 5: subtract(made, operand()); break;
      }
    bool low = !one_in(4);
    Word high = high_word(made);
    if (low) push(made.low);
    push(high);
  }

  void plain_product() {
    Word x = operand(), y = pick();
    push(times(x, y));
  }

  /// A number of several words times one of several.
  void limbs() {
    unsigned n = 1 + below(3), m = 1 + below(2);
    Words x, y, result;
    for (unsigned i = 0; i < n; ++i) x.push_back(operand());
    for (unsigned i = 0; i < m; ++i) y.push_back(operand());
    for (unsigned i = 0; i < m; ++i) {
      Word top = word(0);
      for (unsigned j = 0; j < n; ++j, ++products_) {
        Product made = product(x[j], y[i]);
        if (i > 0) accumulate(made, result[i + j]);
        if (j > 0) accumulate(made, top);
        i > 0 ? void(result[i + j] = made.low) : result.push_back(made.low);
        top = high_word(made);
      }
      result.push_back(top);
    }
    for (Word each : result) push(each);
  }

  /// Products that are added up in three words.
  void column() {
    Word c0 = operand(), c1 = operand(), c2 = operand();
    for (unsigned i = 1 + below(3); i > 0; --i, ++products_) {
      Word x = pick(), y = operand();
      Product made = product(x, y);
      accumulate(made, c0);
      c0 = made.low;
      Word high = high_word(made), next = plus(c1, high);
      c2 = plus(c2, multiple(carry(next, one_in(2) ? c1 : high), 1));
      c1 = next;
    }
    push(c0);
    push(c1);
    push(c2);
  }

  /// A step of Montgomery's.
  void reduction() {
    products_ += 2;
    Word low = pick(), factor = low * word(one_in(2) ? 0x8c46eb20ffffffff : 0x992d30ecffffffff);
    Product first = product(factor, word(0x992d30ed00000001));
    accumulate(first, low);
    Product second = product(factor, one_in(2) ? word(0x224698fc094cf91b) : word(0x4000000000000000));
    accumulate(second, operand());
    accumulate(second, high_word(first));
    push(second.low);
    push(high_word(second));
  }

  /// What is no product yet, for others to go on with.
  void piece() {
    Word x = pick(), y = operand();
    Product made = product(x, y);
    push(made.high[below(made.high.size())]);
    if (!made.bits.empty()) push(count(made.bits));
  }

  /// A word of which the lowest bits are known to be zero.
  void multiple_of_power() {
    unsigned bits = 1 + below(33);
    Word x = pick(), made = one_in(2) ? x & ~low_mask(bits) : x << bits;
    zeros_[made.value] = low_mask(std::min(bits, 31u));
    push(made);
  }

  void arithmetic() {
    Word x = pick(), y = operand();
    switch (below(15)) {
      case 0: return push(x + y);
      case 1: return push(x - y);
      case 2: return push(x ^ y);
      case 3: return push(x | y);
      case 4: return push(x & y);
      case 5: return push(x << below(64));
      case 6: return push(x >> below(64));
      case 7: return push({&b_, b_.CreateAShr(x.value, below(64))});
      case 8: {
        Word when = pick(), otherwise = operand();
        return push({&b_, b_.CreateSelect((x < y).value, when.value, otherwise.value)});
      }
      case 9: {  // a funnel shift, nearly
        Word right = x >> below(64), left = y << below(64);
        return push(right | left);
      }
      case 10: return push({&b_, b_.CreateSExt(x.narrow().value, b_.getInt64Ty())});
      case 11: return push(((x.narrow() * y.narrow()) + x.narrow()).wide());
      case 12: {
        Word right = x >> below(64);
        return push(right & masked_by(low_mask(below(65))));
      }
      case 13: {
        Word square = x * x;
        zeros_[square.value] = 2;  // it is 0 or 1 modulo 4
        return push(square);
      }
      default: return push((x < y).wide());
    }
  }

  // Branches.
  llvm::BasicBlock* block() {
    return llvm::BasicBlock::Create(module_.getContext(), "", b_.GetInsertBlock()->getParent());
  }
  Word merged(Word x, llvm::BasicBlock* of_x, Word y, llvm::BasicBlock* of_y) {
    llvm::PHINode* phi = b_.CreatePHI(b_.getInt64Ty(), 2);
    phi->addIncoming(x.value, of_x);
    phi->addIncoming(y.value, of_y);
    return {&b_, phi};
  }

  void diamond(unsigned depth) {
    llvm::BasicBlock *sides[] = {block(), block()}, *join = block();
    Word x = pick(), y = operand();
    b_.CreateCondBr((x < y).value, sides[0], sides[1]);
    constexpr unsigned kMerged = 2;
    Words out[2];
    for (int i = 0; i < 2; ++i) {
      size_t outside = pool_.size();
      b_.SetInsertPoint(sides[i]);
      statements(below(3), depth + 1);
      for (unsigned k = 0; k < kMerged; ++k) out[i].push_back(pick());
      sides[i] = b_.GetInsertBlock();
      b_.CreateBr(join);
      pool_.truncate(outside);
    }
    b_.SetInsertPoint(join);
    for (unsigned k = 0; k < kMerged; ++k) push(merged(out[0][k], sides[0], out[1][k], sides[1]));
  }

  /// What is made in its last round is seen behind it.
  void loop(unsigned depth) {
    llvm::BasicBlock *before = b_.GetInsertBlock(), *body = block(), *behind = block();
    Words first = {pick(), pick(), word(0)};
    b_.CreateBr(body);
    b_.SetInsertPoint(body);
    llvm::SmallVector<llvm::PHINode*> phis;
    for (Word start : first) {
      phis.push_back(b_.CreatePHI(b_.getInt64Ty(), 2));
      phis.back()->addIncoming(start.value, before);
      push({&b_, phis.back()});
    }
    statements(1 + below(3), depth + 1);
    Word next = pool_.back(), round = Word{&b_, phis[2]} + word(1);
    phis[0]->addIncoming(next.value, b_.GetInsertBlock());
    phis[1]->addIncoming(pick().value, b_.GetInsertBlock());
    phis[2]->addIncoming(round.value, b_.GetInsertBlock());
    b_.CreateCondBr((round < word(2 + below(2))).value, body, behind);
    b_.SetInsertPoint(behind);
  }

  /// The last words are returned, the others in one.
  void finish(unsigned results) {
    Words words;
    while (words.size() + 1 < results && !pool_.empty()) words.push_back(pool_.pop_back_val());
    Word rest = word(0);
    for (Word each : pool_) rest = rest ^ each;
    while (words.size() < results) words.push_back(rest);
    return_words(b_, words);
  }

  static constexpr unsigned kMaxProducts = 24;

  llvm::Module& module_;
  llvm::IRBuilder<> b_;
  std::span<const uint8_t> bytes_;
  size_t next_ = 0;
  unsigned picks_ = 0;
  unsigned bent_site_ = 0;  ///< counts down; 0: nothing is to be bent any more
  unsigned products_ = 0;
  llvm::SmallVector<Word, 64> pool_;              ///< words that are defined wherever `b_` stands
  llvm::DenseMap<llvm::Value*, uint64_t> zeros_;  ///< bits that can't be set
};

}  // namespace

llvm::Function* random_function(llvm::Module& module, std::span<const uint8_t> bytes) {
  return Generator(module, bytes).run();
}

}  // namespace rotor::jit
