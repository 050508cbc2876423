// The "normalizer" of tokenizer.json: text to text, before it is cut into pieces.
#ifndef AUTODIST_TEXT_NORMALIZER_H_
#define AUTODIST_TEXT_NORMALIZER_H_

#include <memory>
#include <string>

#include "autodist/text/component.h"

namespace autodist::text {

// A piece of text and whether its first character stems from the first character of the input
// (pieces.h).
struct NormalizedText {
  std::string text;
  bool at_origin = true;
};

// Immutable; Apply may run from several threads.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // REQUIRES valid UTF-8, and leaves it valid. Throws core::Error when a regular expression exceeds
  // its limits.
  virtual void Apply(NormalizedText& text) const = 0;
};

// Reads NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace and Sequence. Throws core::Error
// (bad input) naming the component for every other type.
std::unique_ptr<const Normalizer> ParseNormalizer(const Component& component);

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_NORMALIZER_H_
