#include "autodist/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

constexpr char32_t kAlphabetEnd = 0x144;  // one behind the largest character

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int16_t, kAlphabetEnd> byte{};  // -1: not in the alphabet
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  for (int16_t& byte : alphabet.byte) byte = -1;
  char32_t next = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    const bool visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    alphabet.character[byte] = visible ? static_cast<char32_t>(byte) : next++;
    alphabet.byte[alphabet.character[byte]] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();
static_assert(kAlphabet.character[' '] == 0x120 && kAlphabet.character['\n'] == 0x10A);
static_assert(kAlphabet.byte[0x143] == 173);

}  // namespace

void AppendByteLevel(std::string_view bytes, std::string& out) {
  for (const char byte : bytes)
    AppendCharacter(kAlphabet.character[static_cast<unsigned char>(byte)], out);
}

void AppendByteLevelDecoded(std::string_view token, std::string& out) {
  const size_t size_before = out.size();
  for (size_t offset = 0; offset < token.size();) {
    const char32_t character = NextCharacter(token, offset);
    if (character >= kAlphabetEnd || kAlphabet.byte[character] < 0) {
      out.resize(size_before);
      out += token;
      return;
    }
    out.push_back(static_cast<char>(kAlphabet.byte[character]));
  }
}

}  // namespace autodist::text
