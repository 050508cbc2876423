// Character properties and normal forms as HuggingFace tokenizers 0.23 sees them.
//
// That library takes each property from another Unicode version, and its ids depend on them. Ours
// come from utf8proc (Unicode 15), corrected by short tables in unicode.cc so that every code point
// answers as in that library; reference_test.cc compares all of them. Pure functions; safe from any
// thread.
#ifndef AUTODIST_TEXT_UNICODE_H_
#define AUTODIST_TEXT_UNICODE_H_

#include <string>
#include <string_view>

namespace autodist::text {

bool IsWhitespace(char32_t character);   // White_Space: not U+200B, U+FEFF or U+180E
bool IsNumeric(char32_t character);      // categories Nd, Nl, No (Unicode 17)
bool IsPunctuation(char32_t character);  // ASCII punctuation (with `$+<=>^|~` and the backquote),
                                         // or category P (Unicode 8)

// The lower case of one character without regard to its neighbours; U+0130 becomes two characters
// (Unicode 17).
void AppendLowercase(char32_t character, std::string& out);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// Normalises valid UTF-8 by the tables of Unicode 9: marks and compatibility characters added later
// stay as they are, where they stand. O(n log n), for any number of combining marks in a row.
std::string Normalize(std::string_view text, NormalForm form);

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_UNICODE_H_
