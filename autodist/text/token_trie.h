// A set of strings that finds the longest of them at a place in a text.
#ifndef AUTODIST_TEXT_TOKEN_TRIE_H_
#define AUTODIST_TEXT_TOKEN_TRIE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace autodist::text {

// Find is safe from any thread while nobody adds.
class TokenTrie {
 public:
  struct Match {
    size_t begin;
    size_t end;
    int32_t id;
  };

  // Returns false, and changes nothing, when the string is there already. REQUIRES a string that is
  // not empty.
  bool Add(std::string_view string, int32_t id);

  // The leftmost match at or behind `start`, the longest of those that begin there. O(text *
  // longest string).
  std::optional<Match> Find(std::string_view text, size_t start) const;

 private:
  static constexpr int32_t kNoId = -1;

  static uint64_t Key(size_t node, char byte) {
    return (uint64_t{node} << 8) | static_cast<unsigned char>(byte);
  }

  std::vector<int32_t> ids_ = {kNoId};  // by node; 0 is the root
  std::unordered_map<uint64_t, size_t> children_;
  std::array<bool, 256>
      begins_{};  // bytes that begin a string: most of a text is skipped by this alone
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_TOKEN_TRIE_H_
