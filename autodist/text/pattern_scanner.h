// The regular expressions that most tokenizer.json files cut words with, as hand-written scanners:
// one pass and a table look-up per character, where a backtracking engine takes most of the time
// that encoding needs.
#ifndef AUTODIST_TEXT_PATTERN_SCANNER_H_
#define AUTODIST_TEXT_PATTERN_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace autodist::text {

// Bytes [begin, end) of a text.
struct Span {
  size_t begin;
  size_t end;

  bool operator==(const Span&) const = default;
};

// The pattern of GPT-2, which is also what ByteLevel means by use_regex.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// That of cl100k, Llama 3, OLMo 2 (numbers in groups of three), and that of Qwen2 and Qwen3 (digit
// by digit).
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// Finds what Oniguruma would find, by Oniguruma's own character classes; pattern_scanner_test.cc
// compares the two. Immutable: FindAll may run from several threads.
class PatternScanner {
 public:
  // nullopt unless `pattern` is one of the three above, letter by letter. REQUIRES an initialised
  // Oniguruma.
  static std::optional<PatternScanner> For(std::string_view pattern);

  // The matches from left to right. These patterns match everywhere: the spans cover the text.
  // O(n). REQUIRES valid UTF-8.
  std::vector<Span> FindAll(std::string_view text) const;

 private:
  enum class Pattern { kGpt2, kLlama3, kQwen2 };
  enum class Class : uint8_t { kOther, kLetter, kNumber, kSpace, kLineEnd };  // the last: \r, \n
  struct Character {
    Class character_class;
    size_t end;  // byte offset behind it
  };

  explicit PatternScanner(Pattern pattern);

  static bool IsWhite(Class c) { return c == Class::kSpace || c == Class::kLineEnd; }
  Character At(std::string_view text, size_t offset) const;
  // The end of the characters of `wanted` from `offset` on, at most `most` of them.
  size_t EndOfRun(std::string_view text, size_t offset, Class wanted, size_t most = SIZE_MAX) const;
  // The end of the match that begins with the white space at `begin`.
  size_t EndOfWhite(std::string_view text, size_t begin) const;
  // The end of the match that begins at `begin`, in either family of patterns.
  size_t EndOfGpt2(std::string_view text, size_t begin) const;
  size_t EndOfLlama3(std::string_view text, size_t begin) const;

  Pattern pattern_;
  std::vector<Class> class_of_;  // by code point
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_PATTERN_SCANNER_H_
