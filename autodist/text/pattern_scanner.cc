#include "autodist/text/pattern_scanner.h"

#include <oniguruma.h>

#include <algorithm>
#include <string>

#include "autodist/core/check.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

constexpr size_t kCodePoints = 0x110000;

// The end of 's, 't, 're, 've, 'm, 'll or 'd at `begin`, or `begin` when there is none. REQUIRES an
// apostrophe at `begin`.
size_t EndOfContraction(std::string_view text, size_t begin, bool fold_case) {
  const auto letter_at = [&](size_t offset) {
    if (offset >= text.size()) return '\0';
    const char c = text[offset];
    return fold_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char second = letter_at(begin + 2);
  switch (letter_at(begin + 1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return begin + 2;
    case 'r':
    case 'v':
      return second == 'e' ? begin + 3 : begin;
    case 'l':
      return second == 'l' ? begin + 3 : begin;
    default:
      break;
  }
  constexpr std::string_view kLongS = "\u017F";  // the only other character that folds to one here
  return fold_case && text.substr(begin + 1).starts_with(kLongS) ? begin + 1 + kLongS.size()
                                                                 : begin;
}

}  // namespace

std::optional<PatternScanner> PatternScanner::For(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return PatternScanner(Pattern::kGpt2);
  if (pattern == kLlama3Pattern) return PatternScanner(Pattern::kLlama3);
  if (pattern == kQwen2Pattern) return PatternScanner(Pattern::kQwen2);
  return std::nullopt;
}

PatternScanner::PatternScanner(Pattern pattern)
    : pattern_(pattern), class_of_(kCodePoints, Class::kOther) {
  const OnigEncoding encoding = ONIG_ENCODING_UTF8;
  const auto assign = [&](std::string name, Class character_class) {
    auto* letters = reinterpret_cast<OnigUChar*>(name.data());
    const int type = ONIGENC_PROPERTY_NAME_TO_CTYPE(encoding, letters, letters + name.size());
    AUTODIST_CHECK(type >= 0);
    OnigCodePoint single_byte_end = 0;
    const OnigCodePoint* ranges = nullptr;  // a count, then the first and the last of each
    AUTODIST_CHECK_EQ(ONIGENC_GET_CTYPE_CODE_RANGE(encoding, static_cast<OnigCtype>(type),
                                                   &single_byte_end, &ranges),
                      ONIG_NORMAL);
    for (OnigCodePoint i = 0; i < ranges[0]; ++i) {
      AUTODIST_CHECK(ranges[2 * i + 2] < kCodePoints);
      std::fill(class_of_.begin() + ranges[2 * i + 1], class_of_.begin() + ranges[2 * i + 2] + 1,
                character_class);
    }
  };
  assign("L", Class::kLetter);
  assign("N", Class::kNumber);
  assign("Space", Class::kSpace);
  class_of_['\r'] = class_of_['\n'] = Class::kLineEnd;
}

PatternScanner::Character PatternScanner::At(std::string_view text, size_t offset) const {
  const char32_t character = NextCharacter(text, offset);
  return {class_of_[character], offset};
}

size_t PatternScanner::EndOfRun(std::string_view text, size_t offset, Class wanted,
                                size_t most) const {
  for (; most > 0 && offset < text.size(); --most) {
    const Character character = At(text, offset);
    if (character.character_class != wanted) break;
    offset = character.end;
  }
  return offset;
}

// \s*[\r\n]+ (the Llama 3 family only), \s+(?!\S) and \s+, in this order.
size_t PatternScanner::EndOfWhite(std::string_view text, size_t begin) const {
  size_t end = begin;
  size_t last = begin;          // where the last character of the run begins
  size_t line_end_end = begin;  // behind the last line end of the run
  while (end < text.size()) {
    const Character character = At(text, end);
    if (!IsWhite(character.character_class)) break;
    last = end;
    end = character.end;
    if (character.character_class == Class::kLineEnd) line_end_end = end;
  }
  if (pattern_ != Pattern::kGpt2 && line_end_end > begin) return line_end_end;
  // What is not white may take the last character along; one alone stays.
  return end == text.size() || last == begin ? end : last;
}

size_t PatternScanner::EndOfGpt2(std::string_view text, size_t begin) const {
  if (text[begin] == '\'') {
    const size_t end = EndOfContraction(text, begin, /*fold_case=*/false);
    if (end > begin) return end;
  }
  Character first = At(text, begin);
  if (text[begin] == ' ' && first.end < text.size()) {
    const Character second = At(text, first.end);
    if (!IsWhite(second.character_class)) first = second;
  }
  return IsWhite(first.character_class) ? EndOfWhite(text, begin)
                                        : EndOfRun(text, first.end, first.character_class);
}

size_t PatternScanner::EndOfLlama3(std::string_view text, size_t begin) const {
  if (text[begin] == '\'') {
    const size_t end = EndOfContraction(text, begin, /*fold_case=*/true);
    if (end > begin) return end;
  }
  const Character first = At(text, begin);
  switch (first.character_class) {
    case Class::kLetter:
      return EndOfRun(text, first.end, Class::kLetter);
    case Class::kNumber:
      return EndOfRun(text, first.end, Class::kNumber, pattern_ == Pattern::kLlama3 ? 2 : 0);
    case Class::kLineEnd:
      return EndOfWhite(text, begin);
    default:
      break;
  }
  const Class next =
      first.end < text.size() ? At(text, first.end).character_class : Class::kLineEnd;
  if (next == Class::kLetter) return EndOfRun(text, first.end, Class::kLetter);
  if (first.character_class == Class::kOther || (text[begin] == ' ' && next == Class::kOther)) {
    return EndOfRun(text, EndOfRun(text, first.end, Class::kOther), Class::kLineEnd);
  }
  return EndOfWhite(text, begin);
}

std::vector<Span> PatternScanner::FindAll(std::string_view text) const {
  std::vector<Span> matches;
  matches.reserve(text.size() / 4 + 1);
  for (size_t begin = 0; begin < text.size(); begin = matches.back().end) {
    matches.push_back(
        {begin, pattern_ == Pattern::kGpt2 ? EndOfGpt2(text, begin) : EndOfLlama3(text, begin)});
  }
  return matches;
}

}  // namespace autodist::text
