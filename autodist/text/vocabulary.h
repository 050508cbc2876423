// Tokens and their ids, both ways.
#ifndef AUTODIST_TEXT_VOCABULARY_H_
#define AUTODIST_TEXT_VOCABULARY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autodist::text {

// Ids of a file must be below this: it bounds the memory that one wrong id can ask for.
inline constexpr int32_t kMaxVocabularySize = 1 << 24;

// What a vocabulary is built from. Plain data.
struct TokenList {
  struct Entry {
    size_t end;  // in `bytes`; the token begins where the one before ends
    int32_t id;
  };

  std::string bytes;  // the tokens one behind the other
  std::vector<Entry> entries;

  void Add(std::string_view token, int32_t id) {
    bytes += token;
    entries.push_back({bytes.size(), id});
  }
};

// Immutable once built; safe from any thread.
class Vocabulary {
 public:
  // REQUIRES ids in [0, kMaxVocabularySize), which may have gaps, and less than 4 GiB of tokens.
  // Throws core::Error (bad input) starting with `where` when two tokens are equal or share an id.
  Vocabulary(TokenList tokens, std::string_view where);

  size_t count() const { return count_; }
  // One more than the largest id; larger than count() when there are gaps.
  int32_t size() const { return static_cast<int32_t>(places_.size()); }
  std::optional<int32_t> Find(std::string_view token) const;
  // nullopt for an id that no token has. Valid as long as this object.
  std::optional<std::string_view> Token(int32_t id) const;

 private:
  struct Place {
    uint32_t begin = kNoToken;  // in bytes_
    uint32_t size = 0;
  };
  // A hash table with open addressing, at most two thirds full. The tag keeps nearly all look-ups
  // that find nothing away from bytes_.
  struct Slot {
    uint32_t tag;
    int32_t id = -1;  // -1: free
  };
  static constexpr uint32_t kNoToken = UINT32_MAX;

  std::string_view Text(const Place& place) const {
    return std::string_view(bytes_).substr(place.begin, place.size);
  }
  // The slot of the token, or the free one where it belongs.
  size_t SlotOf(std::string_view token, uint64_t hash) const;

  std::string bytes_;
  std::vector<Place> places_;  // by id
  std::vector<Slot> slots_;    // a power of two
  size_t count_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_VOCABULARY_H_
