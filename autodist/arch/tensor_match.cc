#include "autodist/arch/tensor_match.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "autodist/arch/config_parts.h"
#include "autodist/core/error.h"

namespace autodist::arch {
namespace {

using spec::Slot;
using spec::StoredTensor;

// A checkpoint can hold a million unknown tensors; a remark need not.
constexpr size_t kNamesInRemark = 10;

std::optional<core::DType> DTypeOf(const std::string& word) {
  if (word == "F32") return core::DType::kF32;
  if (word == "F16") return core::DType::kF16;
  if (word == "BF16") return core::DType::kBF16;
  return std::nullopt;
}

class Matcher {
 public:
  Matcher(const Family& family, ParsedConfig parsed, const std::filesystem::path& model_dir,
          const spec::TensorCatalog& catalog)
      : family_(family), parsed_(std::move(parsed)), dir_(model_dir.string()), catalog_(catalog) {}

  ModelDescription Match() {
    TensorList list(parsed_.config);
    family_.list_tensors(list);
    std::vector<ExpectedTensor> entries = list.entries();
    FindPrefix(entries);
    for (ExpectedTensor& entry : entries) entry.tensor.source = OnDisk(entry.tensor.source);
    DecideTie(entries);
    RequireAll(entries);
    ModelDescription result;
    for (ExpectedTensor& entry : entries) {
      Check(entry);
      result.tensors.push_back(std::move(entry.tensor));
    }
    if (!parsed_.dtype_given) parsed_.config.checkpoint_dtype = result.tensors.front().stored;
    result.ignored = SortOutTheRest(result.tensors);
    result.config = std::move(parsed_.config);
    result.remarks = std::move(parsed_.remarks);
    return result;
  }

 private:
  bool Stored(const std::string& name) const { return catalog_.tensors.contains(name); }

  // Files saved from the bare model lack the prefix; one of the first layer's tensors tells.
  void FindPrefix(const std::vector<ExpectedTensor>& entries) {
    for (const ExpectedTensor& entry : entries) {
      const std::string& name = entry.tensor.source;
      if (!name.starts_with(family_.prefix)) continue;
      if (Stored(name)) return;
      if (Stored(name.substr(family_.prefix.size()))) {
        strip_prefix_ = true;
        return;
      }
    }
  }

  std::string OnDisk(const std::string& name) const {
    if (strip_prefix_ && name.starts_with(family_.prefix))
      return name.substr(family_.prefix.size());
    return name;
  }

  void DecideTie(std::vector<ExpectedTensor>& entries) {
    const auto at = [&](Slot slot) {
      return std::find_if(entries.begin(), entries.end(), [&](const ExpectedTensor& entry) {
        return entry.tensor.id.slot == slot;
      });
    };
    const auto head = at(Slot::kHead);
    const auto embedding = at(Slot::kTokenEmbedding);
    const bool head_stored = Stored(head->tensor.source);
    const bool may_tie = parsed_.tie_flag.value_or(true);
    if (head_stored && (Stored(embedding->tensor.source) || !may_tie)) {
      parsed_.config.tied_embedding = false;
      return;
    }
    if (!may_tie)
      throw core::BadInput(
          "{}: tensor {} is missing, and tie_word_embeddings is false in config.json", dir_,
          head->tensor.source);
    if (head_stored) embedding->tensor.source = head->tensor.source;
    if (!parsed_.config.tied_embedding)
      parsed_.remarks.push_back(fmt::format("{}: there is no {}, the head is the embedding table",
                                            dir_, head->tensor.source));
    parsed_.config.tied_embedding = true;
    entries.erase(head);
  }

  void RequireAll(const std::vector<ExpectedTensor>& entries) const {
    std::set<std::string> missing;  // the parts of a fused source name it once each
    for (const ExpectedTensor& entry : entries)
      if (!Stored(entry.tensor.source)) missing.insert(entry.tensor.source);
    if (missing.empty()) return;
    throw core::BadInput("{}: {} missing that the model needs: {}", dir_,
                         missing.size() == 1 ? std::string("1 tensor is")
                                             : fmt::format("{} tensors are", missing.size()),
                         fmt::join(missing, ", "));
  }

  void Check(ExpectedTensor& entry) const {
    spec::ModelTensor& tensor = entry.tensor;
    const StoredTensor& stored = catalog_.tensors.at(tensor.source);
    const std::string file = FileOf(stored);
    if (tensor.role == spec::Role::kVocab && stored.shape.size() == 2 &&
        stored.shape[0] != tensor.rows)
      throw core::BadInput("{}: tensor {} has {} rows, but vocab_size in config.json is {}", file,
                           tensor.source, stored.shape[0], tensor.rows);
    if (stored.shape != entry.stored_shape)
      throw core::BadInput("{}: tensor {} has shape [{}], must be [{}] by config.json", file,
                           tensor.source, fmt::join(stored.shape, ", "),
                           fmt::join(entry.stored_shape, ", "));
    const auto dtype = DTypeOf(stored.dtype);
    if (!dtype)
      throw core::BadInput("{}: tensor {} has type {}, must be F32, F16 or BF16", file,
                           tensor.source, Quoted(stored.dtype));
    tensor.stored = *dtype;
  }

  std::string FileOf(const StoredTensor& stored) const {
    const size_t index = static_cast<size_t>(stored.file);
    return index < catalog_.files.size() ? catalog_.files[index].path.string() : dir_;
  }

  bool Ignorable(const std::string& name) const {
    if (name.starts_with("mtp.") || name.starts_with("model.mtp.")) return true;
    return std::any_of(family_.ignored_endings.begin(), family_.ignored_endings.end(),
                       [&](std::string_view ending) { return name.ends_with(ending); });
  }

  // Every stored tensor that the model does not use is either known, and returned, or remarked on.
  std::vector<std::string> SortOutTheRest(const std::vector<spec::ModelTensor>& used) {
    std::set<std::string> needed;
    for (const spec::ModelTensor& tensor : used) needed.insert(tensor.source);
    std::vector<std::string> ignored;
    std::vector<std::string> unknown;
    for (const auto& [name, stored] : catalog_.tensors)
      if (!needed.contains(name))
        Ignorable(name) ? ignored.push_back(name) : unknown.push_back(Quoted(name));
    if (unknown.empty()) return ignored;
    const size_t shown = std::min(unknown.size(), kNamesInRemark);
    std::string remark =
        fmt::format("{}: {} tensors are not part of {} and are not used: {}", dir_, unknown.size(),
                    family_.model_type, fmt::join(unknown.begin(), unknown.begin() + shown, ", "));
    if (shown < unknown.size()) remark += fmt::format(" and {} more", unknown.size() - shown);
    parsed_.remarks.push_back(std::move(remark));
    return ignored;
  }

  const Family& family_;
  ParsedConfig parsed_;
  const std::string dir_;
  const spec::TensorCatalog& catalog_;
  bool strip_prefix_ = false;
};

}  // namespace

ModelDescription MatchTensors(const Family& family, ParsedConfig parsed,
                              const std::filesystem::path& model_dir,
                              const spec::TensorCatalog& catalog) {
  return Matcher(family, std::move(parsed), model_dir, catalog).Match();
}

}  // namespace autodist::arch
