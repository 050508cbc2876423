// The "model" of tokenizer.json, type BPE: byte-pair encoding of one piece of text, with byte
// fallback.
#ifndef AUTODIST_TEXT_BPE_H_
#define AUTODIST_TEXT_BPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/text/component.h"
#include "autodist/text/merge_table.h"
#include "autodist/text/vocabulary.h"

namespace autodist::text {

// Immutable; Encode may run from several threads.
class BpeModel {
 public:
  // `component` is the model object; its type was checked. `dropout` is ignored (it belongs to
  // training). Throws core::Error (bad input) naming the field: a merge of or into a token that is
  // missing, ids that are taken twice or out of range.
  explicit BpeModel(const Component& component);

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

  static Vocabulary ReadVocabulary(const Component& component);
  void ReadMerges(const Component& component);
  void AddMerge(std::string_view left, std::string_view right, int32_t rank,
                std::string_view where);
  int32_t RequiredToken(std::string_view token, int32_t rank, std::string_view where) const;
  int32_t UnknownId() const;
  std::optional<int32_t> CharacterId(std::string_view character, bool first, bool last) const;
  bool AppendBytes(std::string_view character, std::vector<int32_t>& ids) const;
  void AppendCharacterIds(std::string_view piece, std::vector<int32_t>& ids) const;
  // Both merge ids[begin...] in place: the first looks at all pairs for every merge, the second
  // keeps a heap.
  void MergeShort(std::vector<int32_t>& ids, size_t begin) const;
  void MergeLong(std::vector<int32_t>& ids, size_t begin) const;

  std::string where_;
  Vocabulary vocabulary_;
  MergeTable merges_;
  std::string unk_token_;  // empty: none
  std::optional<int32_t> unk_id_;
  std::string continuing_subword_prefix_;
  std::string end_of_word_suffix_;
  bool fuse_unk_;
  bool byte_fallback_;
  bool ignore_merges_;
  std::array<std::optional<int32_t>, 256> byte_ids_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_BPE_H_
