// Options of Metaspace, which tokenizer.json holds twice: as pre-tokenizer and as decoder.
#ifndef AUTODIST_TEXT_METASPACE_H_
#define AUTODIST_TEXT_METASPACE_H_

#include "autodist/text/component.h"

namespace autodist::text {

struct MetaspaceOptions {
  enum class Prepend { kFirst, kNever, kAlways };

  char32_t replacement;  // stands for a space, usually U+2581
  Prepend
      prepend;  // which pieces get a space in front: the one at the start of the input, none, each
};

// Reads `replacement`, `prepend_scheme` and the older `add_prefix_space`; the two must agree.
// Throws core::Error (bad input) naming the field.
MetaspaceOptions ParseMetaspaceOptions(const Component& component);

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_METASPACE_H_
