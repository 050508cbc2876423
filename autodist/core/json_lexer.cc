#include "autodist/core/json_lexer.h"

#include <array>
#include <charconv>
#include <system_error>

#include "autodist/core/utf8.h"

namespace autodist::core {
namespace {

// Bytes that stand for themselves inside a string: printable ASCII but for '"' and '\'.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (size_t byte = 0x20; byte < 0x80; ++byte) plain[byte] = byte != '"' && byte != '\\';
  return plain;
}();

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

JsonLexer::JsonLexer(std::string_view text, std::string_view source)
    : text_(text), source_(source) {
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
}

Error JsonLexer::InvalidAt(size_t offset, std::string_view reason) const {
  return BadInput("{}: not valid JSON at byte {}: {}", source_, offset + 1, reason);
}

JsonToken JsonLexer::Next() {
  const auto is_white = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (at_ < text_.size() && is_white(text_[at_])) ++at_;
  begin_ = at_;
  if (at_ == text_.size()) return JsonToken::kEnd;
  switch (text_[at_++]) {
    case '{':
      return JsonToken::kBeginObject;
    case '}':
      return JsonToken::kEndObject;
    case '[':
      return JsonToken::kBeginArray;
    case ']':
      return JsonToken::kEndArray;
    case ':':
      return JsonToken::kColon;
    case ',':
      return JsonToken::kComma;
    case '"':
      return String();
    case 't':
      return Word("true", JsonToken::kTrue);
    case 'f':
      return Word("false", JsonToken::kFalse);
    case 'n':
      return Word("null", JsonToken::kNull);
    default:
      return Number();
  }
}

JsonToken JsonLexer::Word(std::string_view word, JsonToken token) {
  if (!text_.substr(begin_).starts_with(word)) throw Invalid("no value begins like this");
  at_ = begin_ + word.size();
  return token;
}

// Most strings hold no escape: they are views of the text.
JsonToken JsonLexer::String() {
  size_t copied = at_;  // the text up to here is in unescaped_, if anything is
  bool escaped = false;
  while (true) {
    while (at_ < text_.size() && kPlain[static_cast<unsigned char>(text_[at_])]) ++at_;
    if (at_ == text_.size()) throw InvalidAt(at_, "the text ends inside a string");
    const char c = text_[at_];
    if (c == '"') break;
    if (c == '\\') {
      if (!escaped) unescaped_.clear();
      escaped = true;
      unescaped_ += text_.substr(copied, at_ - copied);
      ++at_;
      AppendEscape();
      copied = at_;
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20)
      throw InvalidAt(at_, "a control character inside a string must be escaped");
    const size_t bytes = Utf8CharacterBytes(text_, at_);
    if (bytes == 0) throw InvalidAt(at_, "the string is not valid UTF-8");
    at_ += bytes;
  }
  string_ = text_.substr(copied, at_ - copied);
  if (escaped) string_ = unescaped_ += string_;
  ++at_;
  return JsonToken::kString;
}

void JsonLexer::AppendEscape() {
  if (at_ == text_.size()) throw InvalidAt(at_, "the text ends inside a string");
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const char letter = text_[at_++];
  if (const size_t index = kLetters.find(letter); index != kLetters.npos) {
    unescaped_ += kMeanings[index];
    return;
  }
  if (letter != 'u') throw InvalidAt(at_ - 1, "no escape begins like this");
  const size_t begin = at_ - 2;
  char32_t character = FourHexDigits();
  if (character >= 0xD800 && character < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
    at_ += 2;
    const char32_t low = FourHexDigits();
    character = low >= 0xDC00 && low < 0xE000
                    ? 0x10000 + ((character - 0xD800) << 10) + (low - 0xDC00)
                    : 0xD800;
  }
  if (character >= 0xD800 && character < 0xE000)
    throw InvalidAt(begin, "a surrogate without its other half");
  AppendUtf8(character, unescaped_);
}

char32_t JsonLexer::FourHexDigits() {
  uint32_t value = 0;
  const std::string_view digits = text_.substr(at_, 4);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, /*base=*/16);
  if (error != std::errc() || end != digits.data() + 4)
    throw InvalidAt(at_, "\\u must be followed by four hexadecimal digits");
  at_ += 4;
  return value;
}

void JsonLexer::SkipDigits() {
  if (at_ == text_.size() || !IsDigit(text_[at_])) throw InvalidAt(at_, "a digit is missing");
  while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
}

JsonToken JsonLexer::Number() {
  at_ = begin_;
  const bool negative = text_[at_] == '-';
  if (!negative && !IsDigit(text_[at_])) throw Invalid("no value begins like this");
  if (negative) ++at_;
  const bool zero = at_ < text_.size() && text_[at_] == '0';
  if (zero) {
    ++at_;  // no digit may follow: it would be a token of its own, which no rule allows
  } else {
    SkipDigits();
  }
  const size_t integer_end = at_;
  if (at_ < text_.size() && text_[at_] == '.') {
    ++at_;
    SkipDigits();
  }
  if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
    ++at_;
    if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
    SkipDigits();
  }
  const char* first = text_.data() + begin_;
  const char* last = text_.data() + at_;
  const std::string_view shown = text_.substr(begin_, at_ - begin_).substr(0, 40);
  if (at_ == integer_end) {
    const auto error = negative ? std::from_chars(first, last, signed_).ec
                                : std::from_chars(first, last, unsigned_).ec;
    if (error != std::errc())
      throw BadInput("{}: JSON integer {} does not fit 64 bits", source_, shown);
    return negative ? JsonToken::kSigned : JsonToken::kUnsigned;
  }
  if (std::from_chars(first, last, number_).ec != std::errc())
    throw BadInput("{}: JSON number {} does not fit a double", source_, shown);
  return JsonToken::kFloat;
}

}  // namespace autodist::core
