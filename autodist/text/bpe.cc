#include "autodist/text/bpe.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

// Up to this many symbols, looking at every pair again is faster than a heap.
constexpr size_t kShortWord = 32;

std::string StringOr(const Component& component, std::string_view name) {
  return component.fields().String(name).value_or("");
}

// The merges, whose number the table must know before they are read. Also checks that the document
// had what was taken.
const MergeList& RequiredMerges(const Component& component, BpeTables& tables) {
  const core::Json* vocab = component.fields().Find("vocab");
  if (vocab == nullptr || !vocab->is_object()) {
    throw core::BadInput("{}: field vocab must be an object of tokens and ids", component.where());
  }
  const core::Json* merges = component.fields().Find("merges");
  if (merges == nullptr || !merges->is_array())
    throw core::BadInput("{}: field merges must be an array", component.where());
  return tables.merges();
}

}  // namespace

BpeModel::BpeModel(const Component& component, BpeTables tables)
    : where_(component.where()),
      vocabulary_(std::move(tables.vocabulary()), component.where() + ".vocab"),
      merges_(RequiredMerges(component, tables).entries.size()),
      whole_(new std::atomic<Whole>[static_cast<size_t>(vocabulary_.size())]()),
      unk_token_(StringOr(component, "unk_token")),
      unk_id_(vocabulary_.Find(unk_token_)),
      continuing_subword_prefix_(StringOr(component, "continuing_subword_prefix")),
      end_of_word_suffix_(StringOr(component, "end_of_word_suffix")),
      has_affixes_(!continuing_subword_prefix_.empty() || !end_of_word_suffix_.empty()),
      fuse_unk_(component.BoolOr("fuse_unk", false)),
      byte_fallback_(component.BoolOr("byte_fallback", false)),
      ignore_merges_(component.BoolOr("ignore_merges", false)) {
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte)
    byte_ids_[byte] = vocabulary_.Find(fmt::format("<0x{:02X}>", byte));
  ReadCharacters();
  ReadMerges(tables.merges());
}

void BpeModel::ReadCharacters() {
  for (int32_t id = 0; id < vocabulary_.size(); ++id) {
    const std::string_view token = vocabulary_.Token(id).value_or("");
    if (token.empty() || CharacterBytes(token[0]) != token.size()) continue;
    size_t offset = 0;
    const char32_t character = NextCharacter(token, offset);
    if (character >= character_ids_.size()) character_ids_.resize(character + 1, kNoId);
    character_ids_[character] = id;
  }
}

void BpeModel::ReadMerges(const MergeList& merges) {
  const std::string_view bytes = merges.bytes;
  size_t begin = 0;
  std::string shorter;  // where the right token loses its prefix
  for (size_t rank = 0; rank < merges.entries.size(); ++rank) {
    const auto [middle, end] = merges.entries[rank];
    const std::string_view left = bytes.substr(begin, middle - begin);
    const std::string_view right = bytes.substr(middle, end - middle);
    const int32_t left_id = RequiredToken(left, rank);
    const int32_t right_id = RequiredToken(right, rank);
    if (right.size() < continuing_subword_prefix_.size()) {
      throw core::BadInput("{}.merges[{}]: \"{}\" is shorter than continuing_subword_prefix \"{}\"",
                           where_, rank, right, continuing_subword_prefix_);
    }
    std::string_view merged = bytes.substr(begin, end - begin);
    if (!continuing_subword_prefix_.empty()) {
      shorter = left;
      merged = shorter += right.substr(continuing_subword_prefix_.size());
    }
    begin = end;
    merges_.Add(left_id, right_id, {static_cast<int32_t>(rank), RequiredToken(merged, rank)});
    if (!left.empty() && !right.empty()) {
      size_t offset = 0;
      const int32_t before = CharacterId(CharacterBefore(left, left.size()));
      const int32_t behind = CharacterId(NextCharacter(right, offset));
      if (before != kNoId && behind != kNoId) junctions_.Add(before, behind);
    }
  }
}

int32_t BpeModel::RequiredToken(std::string_view token, size_t rank) const {
  const auto id = vocabulary_.Find(token);
  if (!id) {
    throw core::BadInput("{}.merges[{}]: token \"{}\" is not in the vocabulary", where_, rank,
                         token);
  }
  return *id;
}

int32_t BpeModel::UnknownId() const {
  if (!unk_id_)
    throw core::BadInput("{}: unk_token \"{}\" is needed, but it is not in the vocabulary", where_,
                         unk_token_);
  return *unk_id_;
}

int32_t BpeModel::AffixedCharacterId(std::string_view character, bool first, bool last) const {
  std::string token;
  if (!first) token += continuing_subword_prefix_;
  token += character;
  if (last) token += end_of_word_suffix_;
  return vocabulary_.Find(token).value_or(kNoId);
}

bool BpeModel::AppendBytes(std::string_view bytes, std::vector<int32_t>& ids) const {
  const size_t size_before = ids.size();
  for (const char byte : bytes) {
    const auto id = byte_ids_[static_cast<unsigned char>(byte)];
    if (!id) {
      ids.resize(size_before);
      return false;
    }
    ids.push_back(*id);
  }
  return true;
}

void BpeModel::AppendCharacterIds(std::string_view piece, std::vector<int32_t>& ids) const {
  bool unknown =
      false;  // an unk_token is due, and may still swallow the unknown characters that follow
  for (size_t begin = 0; begin < piece.size();) {
    const bool first = begin == 0;
    size_t end = begin;
    const char32_t code_point = NextCharacter(piece, end);
    const bool last = end == piece.size();
    const std::string_view character = piece.substr(begin, end - begin);
    begin = end;
    const int32_t id =
        has_affixes_ ? AffixedCharacterId(character, first, last) : CharacterId(code_point);
    if (id != kNoId) {
      if (std::exchange(unknown, false)) ids.push_back(UnknownId());
      ids.push_back(id);
      continue;
    }
    if (byte_fallback_) {
      // The bytes of the affixes count as well, and an unk_token that is due stays due: as in the
      // library.
      std::string bytes = first ? "" : continuing_subword_prefix_;
      bytes += character;
      if (last) bytes += end_of_word_suffix_;
      if (AppendBytes(bytes, ids)) continue;
    }
    if (unk_token_.empty()) continue;
    if (unknown && !fuse_unk_) ids.push_back(UnknownId());
    unknown = true;
  }
  if (unknown) ids.push_back(UnknownId());
}

void BpeModel::MergeShort(std::vector<int32_t>& ids, size_t begin) const {
  constexpr Merge kNone{INT32_MAX, kNoId};
  int32_t* const symbols = ids.data() + begin;
  size_t count = ids.size() - begin;
  std::array<Merge, kShortWord> merge_at;  // of symbols i and i + 1
  const auto look_up = [&](size_t i) {
    const Merge* merge = merges_.Find(symbols[i], symbols[i + 1]);
    merge_at[i] = merge != nullptr ? *merge : kNone;
  };
  for (size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (merge_at[i].rank < merge_at[best].rank) best = i;
    }
    if (merge_at[best].result == kNoId) break;
    symbols[best] = merge_at[best].result;
    std::copy(symbols + best + 2, symbols + count, symbols + best + 1);
    std::copy(merge_at.begin() + best + 1, merge_at.begin() + count - 1, merge_at.begin() + best);
    --count;
    if (best > 0) look_up(best - 1);
    if (best + 1 < count) look_up(best);
  }
  ids.resize(begin + count);
}

void BpeModel::MergeLong(std::vector<int32_t>& ids, size_t begin) const {
  struct Candidate {
    int32_t rank;
    int32_t at;  // of the left symbol
    int32_t result;

    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  const auto count = static_cast<int32_t>(ids.size() - begin);
  std::vector<Symbol> symbols;
  symbols.reserve(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) {
    symbols.push_back(
        {ids[begin + static_cast<size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1, false});
  }
  const auto symbol = [&symbols](int32_t at) -> Symbol& {
    return symbols[static_cast<size_t>(at)];
  };
  std::vector<Candidate> pairs;
  for (int32_t i = 0; i + 1 < count; ++i) {
    if (const Merge* merge = merges_.Find(symbol(i).id, symbol(i + 1).id))
      pairs.push_back({merge->rank, i, merge->result});
  }
  std::priority_queue queue(std::greater<Candidate>(), std::move(pairs));
  const auto push = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    if (const Merge* merge = merges_.Find(symbol(left).id, symbol(right).id)) {
      queue.push({merge->rank, left, merge->result});
    }
  };
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbol(top.at);
    if (left.removed || left.next < 0) continue;
    Symbol& right = symbol(left.next);
    // The pair may have changed since it was pushed; a pair that still gives the same token is the
    // same pair.
    const Merge* merge = merges_.Find(left.id, right.id);
    if (merge == nullptr || merge->result != top.result) continue;
    left.id = top.result;
    left.next = right.next;
    right.removed = true;
    if (left.next >= 0) symbol(left.next).previous = top.at;
    push(left.previous, top.at);
    push(top.at, left.next);
  }
  ids.resize(begin);
  for (const Symbol& s : symbols) {
    if (!s.removed) ids.push_back(s.id);
  }
}

void BpeModel::EncodeWord(std::string_view word, std::vector<int32_t>& ids) const {
  // Most words are tokens, and a token usually is what its own merges lead to: once that is seen,
  // one look-up encodes it.
  const std::optional<int32_t> same = vocabulary_.Find(word);
  std::atomic<Whole>* const whole = same ? &whole_[static_cast<size_t>(*same)] : nullptr;
  if (whole != nullptr && whole->load(std::memory_order_relaxed) == Whole::kYes) {
    ids.push_back(*same);
    return;
  }
  const size_t begin = ids.size();
  AppendCharacterIds(word, ids);
  if (ids.size() - begin <= kShortWord) {
    MergeShort(ids, begin);
  } else {
    MergeLong(ids, begin);
  }
  if (whole != nullptr) {
    const bool is_token = ids.size() == begin + 1 && ids.back() == *same;
    whole->store(is_token ? Whole::kYes : Whole::kNo, std::memory_order_relaxed);
  }
}

void BpeModel::Encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto id = vocabulary_.Find(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  if (piece.size() <= kShortWord || has_affixes_) return EncodeWord(piece, ids);
  // Two neighbours that no merge ever joins part the piece: what lies on either side merges without
  // regard to the other. So text that nothing has cut into words yet becomes words here. Neighbours
  // of characters without token stay, as a run of these may become one unk_token.
  size_t begin = 0;
  int32_t left = kNoId;
  for (size_t at = 0; at < piece.size();) {
    size_t end = at;
    const int32_t right = CharacterId(NextCharacter(piece, end));
    if (left != kNoId && right != kNoId && !junctions_.MayHold(left, right)) {
      EncodeWord(piece.substr(begin, at - begin), ids);
      begin = at;
    }
    left = right;
    at = end;
  }
  EncodeWord(piece.substr(begin), ids);
}

}  // namespace autodist::text
