#include "autodist/text/utf8.h"

namespace autodist::text {
using core::Utf8CharacterBytes;
using core::Utf8LeadBytes;
using core::Utf8MayFollow;

std::optional<size_t> FindInvalidUtf8(std::string_view text) {
  for (size_t offset = 0; offset < text.size();) {
    const size_t length = Utf8CharacterBytes(text, offset);
    if (length == 0) return offset;
    offset += length;
  }
  return std::nullopt;
}

char32_t NextCharacter(std::string_view text, size_t& offset) {
  const char lead = text[offset];
  const size_t length = CharacterBytes(lead);
  char32_t character = static_cast<unsigned char>(lead);
  if (length > 1) character &= 0x7Fu >> length;
  for (size_t i = 1; i < length; ++i) {
    character = (character << 6) | (static_cast<unsigned char>(text[offset + i]) & 0x3Fu);
  }
  offset += length;
  return character;
}

char32_t CharacterBefore(std::string_view text, size_t offset) {
  do {
    --offset;
  } while ((static_cast<unsigned char>(text[offset]) & 0xC0u) == 0x80u);
  return NextCharacter(text, offset);
}

size_t CountCharacters(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0u) != 0x80u;
  return count;
}

void LossyUtf8::Push(std::string_view bytes, std::string& out) {
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    if (held_bytes_ > 0) {
      if (Utf8MayFollow(static_cast<unsigned char>(held_[0]), held_bytes_, value)) {
        held_[held_bytes_++] = byte;
        if (held_bytes_ == needed_bytes_) {
          out.append(held_, held_bytes_);
          held_bytes_ = 0;
        }
        continue;
      }
      Finish(out);  // the held part was ill-formed; `byte` starts afresh
    }
    const size_t length = Utf8LeadBytes(value);
    if (length == 1) {
      out.push_back(byte);
    } else if (length == 0) {
      AppendCharacter(kReplacementCharacter, out);
    } else {
      held_[0] = byte;
      held_bytes_ = 1;
      needed_bytes_ = length;
    }
  }
}

void LossyUtf8::Finish(std::string& out) {
  if (held_bytes_ == 0) return;
  held_bytes_ = 0;
  AppendCharacter(kReplacementCharacter, out);
}

}  // namespace autodist::text
