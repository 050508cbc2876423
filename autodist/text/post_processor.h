// The "post_processor" of tokenizer.json, as far as one text is concerned: special tokens before
// and behind its ids.
#ifndef AUTODIST_TEXT_POST_PROCESSOR_H_
#define AUTODIST_TEXT_POST_PROCESSOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "autodist/text/component.h"

namespace autodist::text {

struct SpecialToken {
  int32_t id;
  std::string token;
};

// What surrounds the ids of a text. Plain data.
struct SpecialTokenFrame {
  std::vector<SpecialToken> before;
  std::vector<SpecialToken> behind;
};

// Reads TemplateProcessing (its template `single`), RobertaProcessing, BertProcessing, ByteLevel
// (which concerns offsets only) and Sequence of these, where at most one may add tokens. Throws
// core::Error (bad input) naming the component for every other type, for a template without exactly
// one text, and for ids outside [0, vocabulary_size).
SpecialTokenFrame ParsePostProcessor(const Component& component, int32_t vocabulary_size);

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_POST_PROCESSOR_H_
