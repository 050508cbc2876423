// Tokens and their ids, both ways.
#ifndef AUTODIST_TEXT_VOCABULARY_H_
#define AUTODIST_TEXT_VOCABULARY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace autodist::text {

// Ids of a file must be below this: it bounds the memory that one wrong id can ask for.
inline constexpr int32_t kMaxVocabularySize = 1 << 24;

// Immutable once built; safe from any thread.
class Vocabulary {
 public:
  // `entries`: ids are in [0, kMaxVocabularySize) and may have gaps. Throws core::Error (bad input)
  // starting with `where` when two tokens share an id or an id is out of range. REQUIRES tokens
  // that differ.
  Vocabulary(std::vector<std::pair<std::string, int64_t>> entries, std::string_view where);

  size_t count() const { return id_of_.size(); }
  // One more than the largest id; larger than count() when there are gaps.
  int32_t size() const { return static_cast<int32_t>(token_of_.size()); }
  std::optional<int32_t> Find(std::string_view token) const;
  // nullptr for an id that no token has. Valid as long as this object.
  const std::string* Token(int32_t id) const;

 private:
  std::vector<std::optional<std::string>> token_of_;
  std::unordered_map<std::string_view, int32_t>
      id_of_;  // keys point into token_of_, which never changes
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_VOCABULARY_H_
