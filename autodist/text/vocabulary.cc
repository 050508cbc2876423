#include "autodist/text/vocabulary.h"

#include <algorithm>

#include "autodist/core/error.h"

namespace autodist::text {

Vocabulary::Vocabulary(std::vector<std::pair<std::string, int64_t>> entries,
                       std::string_view where) {
  int64_t max_id = -1;
  for (const auto& [token, id] : entries) {
    if (id < 0 || id >= kMaxVocabularySize) {
      throw core::BadInput("{}: token \"{}\" has id {}, must be in [0, {})", where, token, id,
                           kMaxVocabularySize);
    }
    max_id = std::max(max_id, id);
  }
  token_of_.resize(static_cast<size_t>(max_id + 1));
  id_of_.reserve(entries.size());
  for (auto& [token, id] : entries) {
    auto& slot = token_of_[static_cast<size_t>(id)];
    if (slot)
      throw core::BadInput("{}: tokens \"{}\" and \"{}\" have the same id {}", where, *slot, token,
                           id);
    slot = std::move(token);
    id_of_.emplace(*slot, static_cast<int32_t>(id));
  }
}

std::optional<int32_t> Vocabulary::Find(std::string_view token) const {
  const auto found = id_of_.find(token);
  if (found == id_of_.end()) return std::nullopt;
  return found->second;
}

const std::string* Vocabulary::Token(int32_t id) const {
  if (id < 0 || id >= size()) return nullptr;
  const auto& slot = token_of_[static_cast<size_t>(id)];
  return slot ? &*slot : nullptr;
}

}  // namespace autodist::text
