// The words of a JSON document (RFC 8259), one after the other; json.cc puts values together.
#ifndef AUTODIST_CORE_JSON_LEXER_H_
#define AUTODIST_CORE_JSON_LEXER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "autodist/core/error.h"

namespace autodist::core {

enum class JsonToken {
  kBeginObject,
  kEndObject,
  kBeginArray,
  kEndArray,
  kColon,
  kComma,
  kString,
  kSigned,    // a negative integer (-0 included)
  kUnsigned,  // any other
  kFloat,     // a number with a fraction or an exponent
  kTrue,
  kFalse,
  kNull,
  kEnd,
};

class JsonLexer {
 public:
  // Both must outlive this; `source` starts every message. A byte order mark in front is skipped.
  JsonLexer(std::string_view text, std::string_view source);

  // The next token. Throws core::Error (bad input) naming the byte, counted from 1, for what is
  // none: also for ill-formed UTF-8, a lone surrogate, an integer outside [-2^63, 2^64) and a
  // number that a double cannot hold.
  JsonToken Next();

  // Of the last token, where its kind has it. The string is valid until the next call of Next.
  std::string_view string() const { return string_; }
  int64_t signed_integer() const { return signed_; }
  uint64_t unsigned_integer() const { return unsigned_; }
  double number() const { return number_; }

  // "<source>: not valid JSON at byte <where the last token begins>: <reason>".
  Error Invalid(std::string_view reason) const { return InvalidAt(begin_, reason); }

 private:
  Error InvalidAt(size_t offset, std::string_view reason) const;
  JsonToken Word(std::string_view word, JsonToken token);
  JsonToken String();
  void AppendEscape();
  char32_t FourHexDigits();
  JsonToken Number();
  void SkipDigits();

  std::string_view text_;
  std::string_view source_;
  size_t begin_ = 0;  // of the last token
  size_t at_ = 0;     // behind it
  std::string_view string_;
  std::string unescaped_;
  int64_t signed_ = 0;
  uint64_t unsigned_ = 0;
  double number_ = 0;
};

}  // namespace autodist::core

#endif  // AUTODIST_CORE_JSON_LEXER_H_
