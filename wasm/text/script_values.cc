// Arguments and expected results.
#include "wasm/text/script_parser.h"

namespace rotor::wasm::text {
namespace {

std::optional<HeapType> heap_type_of(std::string_view word) {
  using Abstract = HeapType::Abstract;
  struct Row {
    std::string_view word;
    Abstract type;
  };
  constexpr Row kRows[] = {
      {"func", Abstract::func},         {"nofunc", Abstract::nofunc},  {"extern", Abstract::extern_},
      {"noextern", Abstract::noextern}, {"any", Abstract::any},        {"eq", Abstract::eq},
      {"i31", Abstract::i31},           {"struct", Abstract::struct_}, {"array", Abstract::array},
      {"none", Abstract::none},         {"exn", Abstract::exn},        {"noexn", Abstract::noexn},
  };
  for (const Row& row : kRows)
    if (row.word == word) return HeapType(row.type);
  return std::nullopt;
}

}  // namespace

uint64_t ScriptValue::bits() const {
  uint64_t bits = 0;
  for (unsigned i = 0; i < 8; ++i) bits |= uint64_t{bytes[i]} << 8 * i;
  return bits;
}

ScriptValue ScriptParser::value(bool is_result, unsigned depth) {
  using Kind = ScriptValue::Kind;
  ScriptValue out;
  if (cursor_.take_open("i32.const")) {
    out.kind = Kind::i32;
    number(out, LaneShape::i32x4, 0, is_result);
  } else if (cursor_.take_open("i64.const")) {
    out.kind = Kind::i64;
    number(out, LaneShape::i64x2, 0, is_result);
  } else if (cursor_.take_open("f32.const")) {
    out.kind = Kind::f32;
    number(out, LaneShape::f32x4, 0, is_result);
  } else if (cursor_.take_open("f64.const")) {
    out.kind = Kind::f64;
    number(out, LaneShape::f64x2, 0, is_result);
  } else if (cursor_.take_open("v128.const")) {
    out.kind = Kind::v128;
    vector(out, is_result);
  } else if (cursor_.take_open("ref.null")) {
    out.kind = Kind::ref_null;
    null(out);
  } else if (is_result && cursor_.take_open("either")) {
    out.kind = Kind::either;
    if (depth >= kMaxScriptNesting) cursor_.fail(cursor_.offset(), "values nested too deeply", ErrorKind::limit);
    while (cursor_.at(TokenKind::open)) out.alternatives.push_back(value(true, depth + 1));
  } else if (!reference(out, is_result)) {
    if (cursor_.at(TokenKind::open)) cursor_.next();
    cursor_.unexpected("a constant");
  }
  cursor_.expect_close();
  return out;
}

void ScriptParser::number(ScriptValue& out, LaneShape shape, unsigned lane, bool is_result) {
  if (is_result && has_float_lanes(shape)) {
    NanPattern pattern = NanPattern::none;
    if (cursor_.take_keyword("nan:canonical")) {
      pattern = NanPattern::canonical;
    } else if (cursor_.take_keyword("nan:arithmetic")) {
      pattern = NanPattern::arithmetic;
    }
    if (pattern != NanPattern::none) {
      out.nan[lane] = pattern;
      return;
    }
  }
  auto bits = read_lane(cursor_, shape);
  if (!bits) return;
  unsigned size = 16 / lane_count(shape);
  for (unsigned i = 0; i < size; ++i) out.bytes[lane * size + i] = static_cast<uint8_t>(*bits >> 8 * i);
}

void ScriptParser::vector(ScriptValue& out, bool is_result) {
  auto shape = take_lane_shape(cursor_);
  if (!shape) return;
  out.shape = *shape;
  for (unsigned lane = 0; lane < lane_count(*shape) && !cursor_.failed(); ++lane) {
    if (cursor_.at(TokenKind::close)) return cursor_.fail(cursor_.offset(), "wrong number of lane literals");
    number(out, *shape, lane, is_result);
  }
}

void ScriptParser::null(ScriptValue& out) {
  if (cursor_.at(TokenKind::close)) return;
  if (cursor_.at(TokenKind::natural)) {
    // The bound is the largest type index that a HeapType can hold.
    out.heap = HeapType::concrete(static_cast<uint32_t>(cursor_.expect_natural((1u << 23) - 1, "i32")));
    return;
  }
  out.heap = heap_type_of(cursor_.text(cursor_.peek()));
  if (!out.heap) return cursor_.unexpected("a heap type");
  cursor_.next();
}

bool ScriptParser::reference(ScriptValue& out, bool is_result) {
  constexpr std::string_view kPrefix = "ref.";
  const Token& word_token = cursor_.peek(1);
  if (!cursor_.at(TokenKind::open) || word_token.kind != TokenKind::keyword) return false;
  std::string_view word = cursor_.text(word_token);
  if (!word.starts_with(kPrefix)) return false;
  std::string_view kind = word.substr(kPrefix.size());
  bool is_host = kind == "host";
  auto heap = heap_type_of(kind);
  // An argument can only be a reference that a host can make.
  if (is_host ? false : !heap || (!is_result && kind != "extern")) return false;
  out.kind = is_host ? ScriptValue::Kind::ref_host : ScriptValue::Kind::ref;
  if (!is_host) out.heap = heap;
  cursor_.take_open(word);
  if (cursor_.at(TokenKind::natural)) {
    out.payload = cursor_.expect_natural(UINT64_MAX, "i64");
  } else if (is_host || !is_result) {
    cursor_.unexpected("a number");
  }
  return true;
}

}  // namespace rotor::wasm::text
