// The "pre_tokenizer" of tokenizer.json: cuts pieces into smaller ones, which the model then
// encodes one by one.
#ifndef AUTODIST_TEXT_PRE_TOKENIZER_H_
#define AUTODIST_TEXT_PRE_TOKENIZER_H_

#include <memory>

#include "autodist/text/component.h"
#include "autodist/text/pieces.h"

namespace autodist::text {

// Immutable; Apply may run from several threads.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Replaces `pieces`; added tokens stay as they are. REQUIRES valid UTF-8. Throws core::Error when
  // a regular expression exceeds its limits.
  virtual void Apply(Pieces& pieces) const = 0;
};

// Reads ByteLevel, Metaspace, Split, Digits, Punctuation, Whitespace, WhitespaceSplit,
// CharDelimiterSplit and Sequence. Throws core::Error (bad input) naming the component for every
// other type.
std::unique_ptr<const PreTokenizer> ParsePreTokenizer(const Component& component);

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_PRE_TOKENIZER_H_
