#include "autodist/text/vocabulary.h"

#define XXH_INLINE_ALL  // tokens are a few bytes long: a call would cost as much as the hash
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::text {
namespace {

uint64_t Hash(std::string_view token) { return XXH3_64bits(token.data(), token.size()); }

uint32_t Tag(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

}  // namespace

Vocabulary::Vocabulary(TokenList tokens, std::string_view where)
    : bytes_(std::move(tokens.bytes)),
      slots_(std::bit_ceil(tokens.entries.size() * 3 / 2 + 1)),
      count_(tokens.entries.size()) {
  AUTODIST_CHECK(bytes_.size() < kNoToken);
  int32_t max_id = -1;
  for (const auto& [end, id] : tokens.entries) max_id = std::max(max_id, id);
  places_.resize(static_cast<size_t>(max_id + 1));
  uint32_t begin = 0;
  for (const auto& [end, id] : tokens.entries) {
    const Place place{begin, static_cast<uint32_t>(end) - begin};
    begin = static_cast<uint32_t>(end);
    Place& same_id = places_[static_cast<size_t>(id)];
    if (same_id.begin != kNoToken) {
      throw core::BadInput("{}: tokens \"{}\" and \"{}\" have the same id {}", where, Text(same_id),
                           Text(place), id);
    }
    same_id = place;
    const uint64_t hash = Hash(Text(place));
    Slot& slot = slots_[SlotOf(Text(place), hash)];
    if (slot.id >= 0) throw core::BadInput("{}: token \"{}\" appears twice", where, Text(place));
    slot = {Tag(hash), id};
  }
}

size_t Vocabulary::SlotOf(std::string_view token, uint64_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t at = static_cast<size_t>(hash) & mask;
  for (; slots_[at].id >= 0; at = (at + 1) & mask) {
    if (slots_[at].tag == Tag(hash) && Text(places_[static_cast<size_t>(slots_[at].id)]) == token)
      break;
  }
  return at;
}

std::optional<int32_t> Vocabulary::Find(std::string_view token) const {
  const int32_t id = slots_[SlotOf(token, Hash(token))].id;
  return id >= 0 ? std::optional(id) : std::nullopt;
}

std::optional<std::string_view> Vocabulary::Token(int32_t id) const {
  if (id < 0 || id >= size()) return std::nullopt;
  const Place& place = places_[static_cast<size_t>(id)];
  return place.begin != kNoToken ? std::optional(Text(place)) : std::nullopt;
}

}  // namespace autodist::text
