// UTF-8 as bytes: validation, one character at a time, and decoding of bytes that arrive in pieces.
//
// Pure functions; safe from any thread.
#ifndef AUTODIST_TEXT_UTF8_H_
#define AUTODIST_TEXT_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "autodist/core/utf8.h"

namespace autodist::text {

// Byte offset of the first ill-formed sequence (overlong forms, surrogates, values above U+10FFFF
// and truncated characters included), or nullopt when all of `text` is valid.
std::optional<size_t> FindInvalidUtf8(std::string_view text);

// Bytes of the character that starts with `lead`: 1 to 4. REQUIRES the lead byte of a valid
// character.
inline size_t CharacterBytes(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The character that starts at `offset`, which is moved behind it. REQUIRES valid UTF-8 and offset
// < text.size().
char32_t NextCharacter(std::string_view text, size_t& offset);

// The character that ends before `offset`. REQUIRES valid UTF-8 and offset > 0.
char32_t CharacterBefore(std::string_view text, size_t offset);

// Characters in `text`. REQUIRES valid UTF-8.
size_t CountCharacters(std::string_view text);

inline void AppendCharacter(char32_t character, std::string& out) {
  core::AppendUtf8(character, out);
}

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

// Bytes that may be invalid, or cut anywhere, to valid UTF-8: each maximal ill-formed part becomes
// one U+FFFD (Unicode 15, section 3.9, "U+FFFD Substitution of Maximal Subparts"). At most 3 bytes
// are held back, namely the beginning of a character that may still become whole, so cutting the
// input differently does not change the output.
class LossyUtf8 {
 public:
  void Push(std::string_view bytes, std::string& out);
  // The held bytes, if any, become one U+FFFD.
  void Finish(std::string& out);

 private:
  char held_[4] = {};
  size_t held_bytes_ = 0;
  size_t needed_bytes_ = 0;  // of the whole character
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_UTF8_H_
