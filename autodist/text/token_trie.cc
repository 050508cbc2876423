#include "autodist/text/token_trie.h"

namespace autodist::text {

bool TokenTrie::Add(std::string_view string, int32_t id) {
  size_t node = 0;
  for (const char byte : string) {
    const auto [child, is_new] = children_.try_emplace(Key(node, byte), ids_.size());
    if (is_new) ids_.push_back(kNoId);
    node = child->second;
  }
  if (ids_[node] != kNoId) return false;
  ids_[node] = id;
  begins_[static_cast<unsigned char>(string.front())] = true;
  return true;
}

std::optional<TokenTrie::Match> TokenTrie::Find(std::string_view text, size_t start) const {
  for (size_t begin = start; begin < text.size(); ++begin) {
    if (!begins_[static_cast<unsigned char>(text[begin])]) continue;
    std::optional<Match> longest;
    size_t node = 0;
    for (size_t end = begin; end < text.size();) {
      const auto child = children_.find(Key(node, text[end]));
      if (child == children_.end()) break;
      node = child->second;
      ++end;
      if (ids_[node] != kNoId) longest = Match{begin, end, ids_[node]};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

}  // namespace autodist::text
