// The two parts of a BPE model that make tokenizer.json large, taken out of the document while it
// is parsed: as JSON values they would cost several times the rest of loading.
#ifndef AUTODIST_TEXT_BPE_TABLES_H_
#define AUTODIST_TEXT_BPE_TABLES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/core/json.h"
#include "autodist/text/vocabulary.h"

namespace autodist::text {

// Merges in the order of their ranks. Plain data.
struct MergeList {
  struct Entry {
    size_t middle;  // in `bytes`: where the left token ends and the right one begins
    size_t end;     // the left token begins where the entry before ends
  };

  std::string bytes;
  std::vector<Entry> entries;
};

// Takes `model.vocab` where it is an object and `model.merges` where it is an array, of one
// document. The members that take throw core::Error (bad input) for an id that is not an integer in
// [0, kMaxVocabularySize) and for a merge that is neither ["a", "b"] nor, as in older files, "a b"
// (where lines that start with #version are comments).
class BpeTables final : public core::JsonTaker {
 public:
  // `source` starts every message.
  explicit BpeTables(std::string source) : source_(std::move(source)) {}

  // Valid once the document is parsed; empty for what it lacks.
  TokenList& vocabulary() { return vocabulary_; }
  MergeList& merges() { return merges_; }

  bool Takes(std::string_view path, bool is_object) override;
  void Key(std::string_view name) override;
  void String(std::string_view value) override;
  void Scalar(const core::Json& value) override;
  void Open() override;
  void Close() override;

 private:
  core::Error BadId(const core::Json& value) const;
  core::Error BadMerge() const;

  std::string source_;
  TokenList vocabulary_;
  std::string token_;  // whose id follows
  MergeList merges_;
  bool in_merges_ = false;  // else in the vocabulary
  bool in_pair_ = false;    // ["a", "b"] is open
  int pair_tokens_ = 0;     // of it so far
  size_t pair_middle_ = 0;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_BPE_TABLES_H_
