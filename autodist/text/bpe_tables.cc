#include "autodist/text/bpe_tables.h"

#include "autodist/core/error.h"

namespace autodist::text {

bool BpeTables::Takes(std::string_view path, bool is_object) {
  in_merges_ = path == "model.merges";
  return in_merges_ ? !is_object : path == "model.vocab" && is_object;
}

core::Error BpeTables::BadId(const core::Json& value) const {
  return core::BadInput("{}: model: vocab token \"{}\" has id {}, must be an integer in [0, {})",
                        source_, token_, core::DumpJson(value).substr(0, 40), kMaxVocabularySize);
}

core::Error BpeTables::BadMerge() const {
  return core::BadInput("{}: model.merges[{}] is not a pair of tokens", source_,
                        merges_.entries.size());
}

void BpeTables::Key(std::string_view name) {
  if (in_merges_) throw BadMerge();
  token_ = name;
}

void BpeTables::Scalar(const core::Json& value) {
  if (in_merges_) throw BadMerge();
  if (!value.is_number_unsigned() || value.get<uint64_t>() >= kMaxVocabularySize) {
    throw BadId(value);
  }
  vocabulary_.Add(token_, value.get<int32_t>());
}

void BpeTables::String(std::string_view value) {
  if (!in_merges_) throw BadId(core::Json(value));
  if (in_pair_) {
    if (++pair_tokens_ > 2) throw BadMerge();
    if (pair_tokens_ == 2) pair_middle_ = merges_.bytes.size();
    merges_.bytes += value;
    return;
  }
  if (value.starts_with("#version")) return;
  const size_t space = value.find(' ');
  if (space == value.npos || value.find(' ', space + 1) != value.npos) throw BadMerge();
  merges_.bytes += value.substr(0, space);
  const size_t middle = merges_.bytes.size();
  merges_.bytes += value.substr(space + 1);
  merges_.entries.push_back({middle, merges_.bytes.size()});
}

void BpeTables::Open() {
  if (!in_merges_) throw BadId(core::Json());
  if (in_pair_) throw BadMerge();
  in_pair_ = true;
  pair_tokens_ = 0;
}

void BpeTables::Close() {
  if (pair_tokens_ != 2) throw BadMerge();
  in_pair_ = false;
  merges_.entries.push_back({pair_middle_, merges_.bytes.size()});
}

}  // namespace autodist::text
