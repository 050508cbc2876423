// Regular expressions of tokenizer files, on Oniguruma: the engine, syntax and iteration of
// HuggingFace tokenizers. The few patterns that nearly all files hold have scanners of their own.
#ifndef AUTODIST_TEXT_REGEX_H_
#define AUTODIST_TEXT_REGEX_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/text/pattern_scanner.h"

struct re_pattern_buffer;

namespace autodist::text {

// A compiled pattern. Immutable: FindAll may run from several threads at once.
class Regex {
 public:
  // `where` (file and field) starts every message. Throws core::Error (bad input) when the pattern
  // does not compile.
  Regex(std::string pattern, std::string where);

  // Matches from left to right without overlap; an empty match right behind the previous match is
  // skipped. Positions are byte offsets at character boundaries. Throws core::Error (bad input)
  // naming the pattern when it takes back more steps, or more time, than any sane pattern needs for
  // a text of this size: patterns come from files that nobody vouches for, and `(a+)+$` would
  // otherwise run for years. REQUIRES valid UTF-8.
  std::vector<Span> FindAll(std::string_view text) const;

  const std::string& pattern() const { return pattern_; }

 private:
  struct Free {
    void operator()(re_pattern_buffer* regex) const;
  };

  std::string pattern_;
  std::string where_;
  std::unique_ptr<re_pattern_buffer, Free> compiled_;  // null where there is a scanner
  std::optional<PatternScanner> scanner_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_REGEX_H_
