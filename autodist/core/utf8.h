// What well-formed UTF-8 is (Unicode 15, table 3-7). Pure functions; safe from any thread.
#ifndef AUTODIST_CORE_UTF8_H_
#define AUTODIST_CORE_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace autodist::core {

// Bytes of the character that `lead` begins, 0 when no well-formed character begins with it.
inline size_t Utf8LeadBytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Whether `byte` may follow `lead` at `position`, which is 1 or more: the second byte is the only
// restricted one.
inline bool Utf8MayFollow(unsigned char lead, size_t position, unsigned char byte) {
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (position == 1) {
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  return byte >= low && byte <= high;
}

// Bytes of the character at `offset`, 0 when it is ill-formed (overlong, a surrogate, above
// U+10FFFF, cut off). REQUIRES offset < text.size().
inline size_t Utf8CharacterBytes(std::string_view text, size_t offset) {
  const auto lead = static_cast<unsigned char>(text[offset]);
  const size_t length = Utf8LeadBytes(lead);
  if (offset + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!Utf8MayFollow(lead, i, static_cast<unsigned char>(text[offset + i]))) return 0;
  }
  return length;
}

// REQUIRES a code point that is no surrogate.
void AppendUtf8(char32_t character, std::string& out);

}  // namespace autodist::core

#endif  // AUTODIST_CORE_UTF8_H_
