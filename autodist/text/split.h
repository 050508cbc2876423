// Cutting a text at matches, in the five ways that tokenizer.json knows.
#ifndef AUTODIST_TEXT_SPLIT_H_
#define AUTODIST_TEXT_SPLIT_H_

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "autodist/text/regex.h"

namespace autodist::text {

// On "the-final--countdown" with matches "-":
enum class SplitBehavior {
  kRemoved,             // the final countdown
  kIsolated,            // the - final - - countdown
  kMergedWithPrevious,  // the- final- - countdown
  kMergedWithNext,      // the -final - -countdown
  kContiguous,          // the - final -- countdown
};

// nullopt for an unknown name ("Removed", "Isolated", ...).
std::optional<SplitBehavior> ParseSplitBehavior(std::string_view name);

// The parts of a text of `size` bytes, in order; some may be empty. `matches` are ascending and do
// not overlap. With `invert` the text between the matches counts as match, and the matches as text.
std::vector<Span> SplitAtMatches(size_t size, const std::vector<Span>& matches,
                                 SplitBehavior behavior, bool invert);

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_SPLIT_H_
