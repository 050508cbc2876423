// The byte-level alphabet of GPT-2: each byte as one visible character, so that BPE never meets
// white space or controls.
//
// Bytes 33-126, 161-172 and 174-255 stand for themselves; the other 68 are U+0100 to U+0143 in
// ascending order (space is U+0120, line feed U+010A). Pure functions; safe from any thread.
#ifndef AUTODIST_TEXT_BYTE_ALPHABET_H_
#define AUTODIST_TEXT_BYTE_ALPHABET_H_

#include <string>
#include <string_view>

namespace autodist::text {

// Appends the characters of `bytes`.
void AppendByteLevel(std::string_view bytes, std::string& out);

// Appends the bytes that the characters of `token` stand for, or `token` itself when a character is
// outside of the alphabet. REQUIRES valid UTF-8.
void AppendByteLevelDecoded(std::string_view token, std::string& out);

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_BYTE_ALPHABET_H_
