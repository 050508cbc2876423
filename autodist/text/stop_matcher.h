// Stop strings in text that arrives in parts.
#ifndef AUTODIST_TEXT_STOP_MATCHER_H_
#define AUTODIST_TEXT_STOP_MATCHER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace autodist::text {

// Lets text through up to the stop string that is complete first; of several that end at the same
// place, the longest counts. How the text is cut into parts makes no difference. Time per byte does
// not depend on how many stop strings there are (Aho-Corasick). Not thread-safe; one per sequence.
class StopMatcher {
 public:
  // Throws core::Error (bad input) when a stop string is empty or not valid UTF-8. Without stop
  // strings, all passes.
  explicit StopMatcher(const std::vector<std::string>& stops);

  // The text that can be no part of a stop string, earlier held text included; whole characters
  // when `text` is. What may be the beginning of a stop string is held back. REQUIRES !stopped().
  std::string Push(std::string_view text);
  // The end of the text: what is held, unless stopped.
  std::string Flush();

  // A stop string has been found. It, and all behind it, was dropped.
  bool stopped() const { return stopped_; }

 private:
  struct Node {
    uint32_t depth = 0;  // bytes of a stop string that have been read here
    uint32_t failure =
        0;               // the node of the longest suffix of those bytes that begins a stop string
    uint32_t match = 0;  // length of the longest stop string that ends here, 0: none
  };

  static uint64_t Key(uint32_t node, char byte) {
    return (uint64_t{node} << 8) | static_cast<unsigned char>(byte);
  }
  void AddStop(std::string_view stop, std::vector<uint64_t>& edges);
  uint32_t Next(uint32_t node, char byte) const;

  std::vector<Node> nodes_ = {Node{}};  // 0 is the root
  std::unordered_map<uint64_t, uint32_t> children_;
  uint32_t state_ = 0;
  std::string held_;  // exactly the bytes of state_: nodes_[state_].depth of them
  bool stopped_ = false;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_STOP_MATCHER_H_
