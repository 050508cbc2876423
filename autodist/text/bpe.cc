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

const core::Json& RequiredArray(const Component& component, std::string_view name) {
  const core::Json* value = component.fields().Find(name);
  if (value == nullptr || !value->is_array()) {
    throw core::BadInput("{}: field {} must be an array", component.where(), name);
  }
  return *value;
}

}  // namespace

BpeModel::BpeModel(const Component& component)
    : where_(component.where()),
      vocabulary_(ReadVocabulary(component)),
      merges_(RequiredArray(component, "merges").size()),
      unk_token_(StringOr(component, "unk_token")),
      unk_id_(vocabulary_.Find(unk_token_)),
      continuing_subword_prefix_(StringOr(component, "continuing_subword_prefix")),
      end_of_word_suffix_(StringOr(component, "end_of_word_suffix")),
      fuse_unk_(component.BoolOr("fuse_unk", false)),
      byte_fallback_(component.BoolOr("byte_fallback", false)),
      ignore_merges_(component.BoolOr("ignore_merges", false)) {
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte)
    byte_ids_[byte] = vocabulary_.Find(fmt::format("<0x{:02X}>", byte));
  ReadMerges(component);
}

Vocabulary BpeModel::ReadVocabulary(const Component& component) {
  const core::Json* vocab = component.fields().Find("vocab");
  if (vocab == nullptr || !vocab->is_object()) {
    throw core::BadInput("{}: field vocab must be an object of tokens and ids", component.where());
  }
  std::vector<std::pair<std::string, int64_t>> entries;
  entries.reserve(vocab->size());
  for (const auto& [token, id] : vocab->items()) {
    if (!id.is_number_integer() ||
        (id.is_number_unsigned() && id.get<uint64_t>() >= kMaxVocabularySize)) {
      throw core::BadInput("{}: vocab token \"{}\" has id {}, must be an integer in [0, {})",
                           component.where(), token, core::DumpJson(id).substr(0, 40),
                           kMaxVocabularySize);
    }
    entries.emplace_back(token, id.get<int64_t>());
  }
  return Vocabulary(std::move(entries), component.where() + ".vocab");
}

// A merge is ["a", "b"], or "a b" in older files, where lines that start with #version are
// comments.
void BpeModel::ReadMerges(const Component& component) {
  const std::string where = where_ + ".merges";
  int32_t rank = 0;
  for (const core::Json& merge : RequiredArray(component, "merges")) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      AddMerge(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(),
               rank++, where);
      continue;
    }
    const std::string_view line =
        merge.is_string() ? std::string_view(merge.get_ref<const std::string&>()) : "";
    if (line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == line.npos || line.find(' ', space + 1) != line.npos) {
      throw core::BadInput("{}[{}]: {} is not a pair of tokens", where, rank,
                           core::DumpJson(merge).substr(0, 80));
    }
    AddMerge(line.substr(0, space), line.substr(space + 1), rank++, where);
  }
}

void BpeModel::AddMerge(std::string_view left, std::string_view right, int32_t rank,
                        std::string_view where) {
  const int32_t left_id = RequiredToken(left, rank, where);
  const int32_t right_id = RequiredToken(right, rank, where);
  if (right.size() < continuing_subword_prefix_.size()) {
    throw core::BadInput("{}[{}]: \"{}\" is shorter than continuing_subword_prefix \"{}\"", where,
                         rank, right, continuing_subword_prefix_);
  }
  std::string merged(left);
  merged += right.substr(continuing_subword_prefix_.size());
  merges_.Add(left_id, right_id, {rank, RequiredToken(merged, rank, where)});
}

int32_t BpeModel::RequiredToken(std::string_view token, int32_t rank,
                                std::string_view where) const {
  const auto id = vocabulary_.Find(token);
  if (!id)
    throw core::BadInput("{}[{}]: token \"{}\" is not in the vocabulary", where, rank, token);
  return *id;
}

int32_t BpeModel::UnknownId() const {
  if (!unk_id_)
    throw core::BadInput("{}: unk_token \"{}\" is needed, but it is not in the vocabulary", where_,
                         unk_token_);
  return *unk_id_;
}

std::optional<int32_t> BpeModel::CharacterId(std::string_view character, bool first,
                                             bool last) const {
  const bool prefixed = !first && !continuing_subword_prefix_.empty();
  const bool suffixed = last && !end_of_word_suffix_.empty();
  if (!prefixed && !suffixed) return vocabulary_.Find(character);
  std::string token;
  if (prefixed) token += continuing_subword_prefix_;
  token += character;
  if (suffixed) token += end_of_word_suffix_;
  return vocabulary_.Find(token);
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
    const size_t end = begin + CharacterBytes(piece[begin]);
    const bool first = begin == 0;
    const bool last = end == piece.size();
    const std::string_view character = piece.substr(begin, end - begin);
    begin = end;
    if (const auto id = CharacterId(character, first, last)) {
      if (std::exchange(unknown, false)) ids.push_back(UnknownId());
      ids.push_back(*id);
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
  while (true) {
    const Merge* best = nullptr;
    size_t best_at = 0;
    for (size_t i = begin; i + 1 < ids.size(); ++i) {
      const Merge* merge = merges_.Find(ids[i], ids[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        best_at = i;
      }
    }
    if (best == nullptr) return;
    ids[best_at] = best->result;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best_at) + 1);
  }
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
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto push = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    if (const Merge* merge = merges_.Find(symbol(left).id, symbol(right).id)) {
      queue.push({merge->rank, left, merge->result});
    }
  };
  for (int32_t i = 0; i + 1 < count; ++i) push(i, i + 1);
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

void BpeModel::Encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto id = vocabulary_.Find(piece)) {
      ids.push_back(*id);
      return;
    }
  }
  const size_t begin = ids.size();
  AppendCharacterIds(piece, ids);
  if (ids.size() - begin <= kShortWord) {
    MergeShort(ids, begin);
  } else {
    MergeLong(ids, begin);
  }
}

}  // namespace autodist::text
