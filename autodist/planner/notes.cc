#include "autodist/planner/notes.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace autodist::planner {
namespace {

using spec::Range;
using spec::TpShare;

std::vector<int64_t> Sizes(const std::vector<TpShare>& shares, Range TpShare::*member) {
  std::vector<int64_t> sizes;
  for (const TpShare& share : shares) sizes.push_back((share.*member).size());
  return sizes;
}

bool Uneven(const std::vector<int64_t>& sizes) {
  return std::any_of(sizes.begin(), sizes.end(),
                     [&](int64_t size) { return size != sizes.front(); });
}

// "4 4 3 3", or for many ranks "22 times 3, 10 times 2".
std::string SizeList(const std::vector<int64_t>& sizes) {
  if (sizes.size() <= 16) return fmt::format("{}", fmt::join(sizes, " "));
  std::vector<int64_t> kinds = sizes;
  std::sort(kinds.rbegin(), kinds.rend());
  kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
  std::vector<std::string> parts;
  for (const int64_t kind : kinds)
    parts.push_back(fmt::format("{} times {}", std::count(sizes.begin(), sizes.end(), kind), kind));
  return fmt::format("{}", fmt::join(parts, ", "));
}

void NoteHeads(const spec::ModelConfig& config, const std::vector<TpShare>& shares,
               std::vector<std::string>& notes) {
  const auto q = Sizes(shares, &TpShare::q_heads);
  if (Uneven(q))
    notes.push_back(fmt::format("heads are cut unevenly: {} query heads over tp {}: {}",
                                config.num_heads, shares.size(), SizeList(q)));
  int64_t held = 0;
  for (const int64_t size : Sizes(shares, &TpShare::kv_heads)) held += size;
  if (held > config.num_kv_heads)
    notes.push_back(fmt::format(
        "kv heads are replicated: tp {} ranks hold {} for the model's {}, because query heads "
        "that share a kv head lie on several ranks; the KV cache grows by as much",
        shares.size(), held, config.num_kv_heads));
}

void NoteFfn(const spec::ModelConfig& config, const Partition& partition,
             std::vector<std::string>& notes) {
  const auto sizes = Sizes(partition.shares, &TpShare::ffn);
  if (Uneven(sizes))
    notes.push_back(fmt::format("the feed-forward width {} is cut unevenly, in multiples of {}: {}",
                                config.ffn_size, partition.ffn_granularity, SizeList(sizes)));
  if (partition.ffn_granularity == 1 && sizes.size() > 1)
    notes.push_back(fmt::format(
        "the feed-forward width {} has no cut over tp {} in multiples of 64, 16 or 2: matrix "
        "products on odd widths are slower",
        config.ffn_size, sizes.size()));
}

void NoteVocab(const spec::ModelConfig& config, const Partition& partition,
               std::vector<std::string>& notes) {
  if (partition.padded_vocab_size == config.vocab_size || partition.shares.size() == 1) return;
  notes.push_back(
      fmt::format("the vocabulary of {} is padded to {} for tp {}: {} rows on each rank, the last "
                  "{} of all are padding",
                  config.vocab_size, partition.padded_vocab_size, partition.shares.size(),
                  partition.vocab_rows, partition.padded_vocab_size - config.vocab_size));
}

void NoteStages(const spec::ModelConfig& config, const Outline& outline,
                std::vector<std::string>& notes) {
  if (outline.mesh.pp == 1) return;
  std::vector<int64_t> sizes;
  for (const Range& range : outline.stage_layers) sizes.push_back(range.size());
  if (Uneven(sizes))
    notes.push_back(fmt::format("stages have different numbers of layers: {} layers as {}",
                                config.num_layers, SizeList(sizes)));
  if (config.tied_embedding)
    notes.push_back(
        "the tied embedding table lies on the first stage (look-up) and on the last one (head)");
}

void NoteMemory(const Outline& outline, const spec::Cluster& cluster,
                std::vector<std::string>& notes) {
  const spec::Mesh& mesh = outline.mesh;
  for (int stage = 0; stage < mesh.pp; ++stage) {
    const int first = mesh.RankOf(stage, 0, 0);
    for (int tp_index = 1; tp_index < mesh.tp; ++tp_index) {
      if (RankMemory(cluster, first) == RankMemory(cluster, first + tp_index)) continue;
      notes.push_back(fmt::format(
          "the tp ranks of stage {} have unequal memory; tp cuts by count, so the smallest of "
          "them is the limit: put unequal memory on different stages",
          stage));
      break;
    }
  }
}

}  // namespace

std::vector<std::string> MakeNotes(const spec::ModelConfig& config, const Outline& outline,
                                   const spec::Cluster& cluster) {
  std::vector<std::string> notes;
  NoteHeads(config, outline.partition.shares, notes);
  NoteFfn(config, outline.partition, notes);
  NoteVocab(config, outline.partition, notes);
  NoteStages(config, outline, notes);
  NoteMemory(outline, cluster, notes);
  return notes;
}

}  // namespace autodist::planner
