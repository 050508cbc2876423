#include "autodist/text/split.h"

#include <algorithm>

namespace autodist::text {
namespace {

struct Part {
  Span span;
  bool is_match;
};

// Covers the whole text by matches and what lies between them.
std::vector<Part> Cover(size_t size, const std::vector<Span>& matches, bool invert) {
  std::vector<Part> parts;
  parts.reserve(2 * matches.size() + 1);
  size_t end = 0;
  for (const Span& match : matches) {
    if (end != match.begin) parts.push_back({{end, match.begin}, invert});
    parts.push_back({match, !invert});
    end = match.end;
  }
  if (end != size) parts.push_back({{end, size}, invert});
  return parts;
}

}  // namespace

std::optional<SplitBehavior> ParseSplitBehavior(std::string_view name) {
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return std::nullopt;
}

std::vector<Span> SplitAtMatches(size_t size, const std::vector<Span>& matches,
                                 SplitBehavior behavior, bool invert) {
  const std::vector<Part> parts = Cover(size, matches, invert);
  std::vector<Span> result;
  result.reserve(parts.size());
  // A match behind a match stands alone when merging: only the first of a row is merged.
  bool previous_match = false;
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Part& part : parts) {
        if (!part.is_match) result.push_back(part.span);
      }
      break;
    case SplitBehavior::kIsolated:
      for (const Part& part : parts) result.push_back(part.span);
      break;
    case SplitBehavior::kContiguous:
      for (const Part& part : parts) {
        if (part.is_match == previous_match && !result.empty()) {
          result.back().end = part.span.end;
        } else {
          result.push_back(part.span);
        }
        previous_match = part.is_match;
      }
      break;
    case SplitBehavior::kMergedWithPrevious:
      for (const Part& part : parts) {
        if (part.is_match && !previous_match && !result.empty()) {
          result.back().end = part.span.end;
        } else {
          result.push_back(part.span);
        }
        previous_match = part.is_match;
      }
      break;
    case SplitBehavior::kMergedWithNext:
      for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        if (part->is_match && !previous_match && !result.empty()) {
          result.back().begin = part->span.begin;
        } else {
          result.push_back(part->span);
        }
        previous_match = part->is_match;
      }
      std::reverse(result.begin(), result.end());
      break;
  }
  return result;
}

}  // namespace autodist::text
