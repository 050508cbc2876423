// The "model" of tokenizer.json, type BPE: byte-pair encoding of one piece of text, with byte
// fallback.
#ifndef AUTODIST_TEXT_BPE_H_
#define AUTODIST_TEXT_BPE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/text/bpe_tables.h"
#include "autodist/text/component.h"
#include "autodist/text/junction_set.h"
#include "autodist/text/merge_table.h"
#include "autodist/text/vocabulary.h"

namespace autodist::text {

// Encode may run from several threads; nothing that they can tell changes.
class BpeModel {
 public:
  // `component` is the model object, whose type was checked, and `tables` was taken from the same
  // document. `dropout` is ignored (it belongs to training). Throws core::Error (bad input) naming
  // the field: a merge of or into a token that is missing, tokens or ids that are there twice.
  BpeModel(const Component& component, BpeTables tables);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the ids of one piece: its characters, then the pair with the lowest rank merged (the
  // leftmost of equals) until none is left. A character without token becomes its bytes <0xNN> when
  // byte_fallback has them all, else unk_token, else nothing. O(n log n). REQUIRES valid UTF-8.
  // Throws core::Error (bad input) when unk_token is needed and not in the vocabulary.
  void Encode(std::string_view piece, std::vector<int32_t>& ids) const;

 private:
  struct Symbol {
    int32_t id;
    int32_t previous;  // indices into the list, -1: none
    int32_t next;
    bool removed;
  };
  // Whether merging the characters of a token gives this token; found out when it is first asked.
  enum class Whole : uint8_t { kUnknown, kYes, kNo };

  static constexpr int32_t kNoId = -1;

  void ReadCharacters();
  void ReadMerges(const MergeList& merges);
  int32_t RequiredToken(std::string_view token, size_t rank) const;
  int32_t UnknownId() const;
  // Both are kNoId when there is no such token.
  int32_t CharacterId(char32_t character) const {
    return character < character_ids_.size() ? character_ids_[character] : kNoId;
  }
  int32_t AffixedCharacterId(std::string_view character, bool first, bool last) const;
  bool AppendBytes(std::string_view character, std::vector<int32_t>& ids) const;
  void AppendCharacterIds(std::string_view piece, std::vector<int32_t>& ids) const;
  void EncodeWord(std::string_view word, std::vector<int32_t>& ids) const;
  // Both merge ids[begin...] in place: the first looks at all pairs for every merge, the second
  // keeps a heap.
  void MergeShort(std::vector<int32_t>& ids, size_t begin) const;
  void MergeLong(std::vector<int32_t>& ids, size_t begin) const;

  std::string where_;
  Vocabulary vocabulary_;
  std::vector<int32_t> character_ids_;  // of tokens that are one character, by code point
  MergeTable merges_;
  JunctionSet junctions_;
  std::unique_ptr<std::atomic<Whole>[]> whole_;  // by id
  std::string unk_token_;                        // empty: none
  std::optional<int32_t> unk_id_;
  std::string continuing_subword_prefix_;
  std::string end_of_word_suffix_;
  bool has_affixes_;  // one of the two above
  bool fuse_unk_;
  bool byte_fallback_;
  bool ignore_merges_;
  std::array<std::optional<int32_t>, 256> byte_ids_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_BPE_H_
