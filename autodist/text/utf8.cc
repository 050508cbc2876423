#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

// Bytes of the character that `lead` begins, 0 when no valid character begins with it.
size_t LeadLength(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// Whether `byte` may follow `lead` at `position` (Unicode table 3-7: the second byte is the only
// restricted one).
bool MayFollow(unsigned char lead, size_t position, unsigned char byte) {
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

}  // namespace

std::optional<size_t> FindInvalidUtf8(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    const auto lead = static_cast<unsigned char>(text[offset]);
    const size_t length = LeadLength(lead);
    if (length == 0 || offset + length > text.size()) return offset;
    for (size_t i = 1; i < length; ++i) {
      if (!MayFollow(lead, i, static_cast<unsigned char>(text[offset + i]))) return offset;
    }
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

void AppendCharacter(char32_t character, std::string& out) {
  const auto push = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (character < 0x80) {
    push(character);
  } else if (character < 0x800) {
    push(0xC0u | (character >> 6));
    push(0x80u | (character & 0x3Fu));
  } else if (character < 0x10000) {
    push(0xE0u | (character >> 12));
    push(0x80u | ((character >> 6) & 0x3Fu));
    push(0x80u | (character & 0x3Fu));
  } else {
    push(0xF0u | (character >> 18));
    push(0x80u | ((character >> 12) & 0x3Fu));
    push(0x80u | ((character >> 6) & 0x3Fu));
    push(0x80u | (character & 0x3Fu));
  }
}

void LossyUtf8::Push(std::string_view bytes, std::string& out) {
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    if (held_bytes_ > 0) {
      if (MayFollow(static_cast<unsigned char>(held_[0]), held_bytes_, value)) {
        held_[held_bytes_++] = byte;
        if (held_bytes_ == needed_bytes_) {
          out.append(held_, held_bytes_);
          held_bytes_ = 0;
        }
        continue;
      }
      Finish(out);  // the held part was ill-formed; `byte` starts afresh
    }
    const size_t length = LeadLength(value);
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
