#include "autodist/core/utf8.h"

namespace autodist::core {

void AppendUtf8(char32_t character, std::string& out) {
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

}  // namespace autodist::core
