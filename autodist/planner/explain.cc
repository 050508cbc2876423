#include "autodist/planner/explain.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <vector>

#include "autodist/planner/memory_model.h"

namespace autodist::planner {
namespace {

using spec::ParallelPlan;
using spec::Range;
using spec::RankPlan;

constexpr size_t kColumns = 100;
constexpr size_t kSliceColumns = 38;  // what the columns before it leave

using Text = std::back_insert_iterator<std::string>;

std::string Plural(int64_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

// "3-5", or "3".
std::string Span(int64_t first, int64_t last) {
  return first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
}

void WriteHead(Text out, const spec::ModelConfig& config, const ParallelPlan& plan) {
  fmt::format_to(out, "model   {}: {} of {}, {} ({} kv) of {}, feed-forward {}, vocabulary {}\n",
                 config.model_type, Plural(config.num_layers, "layer"), config.hidden_size,
                 Plural(config.num_heads, "head"), config.num_kv_heads, config.head_dim,
                 config.ffn_size, config.vocab_size);
  fmt::format_to(
      out, "mesh    tp {} x pp {} = {}, in {}{}\n", plan.mesh.tp, plan.mesh.pp,
      Plural(plan.mesh.world(), "rank"), core::NameOf(plan.compute_dtype),
      plan.quantisation ? fmt::format(", weights in {}", core::NameOf(*plan.quantisation)) : "");
  fmt::format_to(out,
                 "run     {}, micro-batches of {}, KV cache for {} each, prompts in chunks of {}\n",
                 Plural(plan.batch_size, "sequence"), plan.micro_batch_size,
                 Plural(plan.max_model_len, "position"), plan.prefill_chunk);
}

void WriteStages(Text out, const spec::ModelConfig& config, const ParallelPlan& plan) {
  fmt::format_to(out, "\n{:<7}{:<12}{}\n", "stage", "ranks", "layers");
  for (int stage = 0; stage < plan.mesh.pp; ++stage) {
    const int first = plan.mesh.RankOf(stage, 0, 0);
    const Range layers = plan.rank(first).layers;
    std::string_view ends = "";
    const bool last = stage + 1 == plan.mesh.pp;
    if (stage == 0 && last) {
      ends = config.tied_embedding ? " + embedding, which is also the head" : " + embedding, head";
    } else if (stage == 0) {
      ends = " + embedding";
    } else if (last) {
      ends = config.tied_embedding ? " + head (the embedding table)" : " + head";
    }
    fmt::format_to(out, "{:<7}{:<12}{:<12}{}{}\n", stage, Span(first, first + plan.mesh.tp - 1),
                   Span(layers.first, layers.last - 1), Plural(layers.size(), "layer"), ends);
  }
}

// The shard of tensor `index` on each tp rank of a stage that holds it.
std::vector<spec::TensorShard> ShardsOf(const ParallelPlan& plan, int index) {
  std::vector<spec::TensorShard> shards;
  for (const RankPlan& rank : plan.ranks) {
    if (rank.tp_index != static_cast<int>(shards.size())) continue;
    // Shards are in the order of their tensors.
    const auto found =
        std::lower_bound(rank.shards.begin(), rank.shards.end(), index,
                         [](const spec::TensorShard& shard, int i) { return shard.tensor < i; });
    if (found != rank.shards.end() && found->tensor == index) shards.push_back(*found);
  }
  return shards;
}

// "rows 0:32 | 32:64"; the middle of a long list is left out.
std::string SliceText(const spec::ModelTensor& tensor,
                      const std::vector<spec::TensorShard>& shards) {
  const auto whole = [&](const spec::TensorShard& shard) {
    return shard.rows.size() == tensor.rows && shard.cols.size() == tensor.cols;
  };
  if (std::all_of(shards.begin(), shards.end(), whole))
    return tensor.role == spec::Role::kRow && tensor.vector ? "whole, added after the sum"
                                                            : "whole";
  const bool by_cols = tensor.role == spec::Role::kRow;
  std::vector<std::string> ranges;
  for (const spec::TensorShard& shard : shards) {
    const Range range = by_cols ? shard.cols : shard.rows;
    ranges.push_back(range.size() == 0 ? "none" : fmt::format("{}:{}", range.first, range.last));
  }
  const std::string_view cut = by_cols ? "cols" : "rows";
  for (const std::string& text :
       {fmt::format("{} {}", cut, fmt::join(ranges, " | ")),
        fmt::format("{} {} | {} .. {}", cut, ranges[0], ranges[1], ranges.back())})
    if (text.size() <= kSliceColumns) return text;
  return fmt::format("{} {} .. {}", cut, ranges[0], ranges.back());
}

void WriteTensors(Text out, const ParallelPlan& plan) {
  fmt::format_to(out, "\n{:<34}{:<12}{:<16}{}\n", "tensor", "role", "shape",
                 "slice of each tp rank");
  std::set<spec::TensorId> written;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const spec::ModelTensor& tensor = plan.tensors[i];
    spec::TensorId kind = tensor.id;
    if (kind.layer > 0) kind.layer = 0;
    if (!written.insert(kind).second) continue;
    std::string name = spec::ToString(kind);
    if (kind.layer == 0) name = "layers.*" + name.substr(std::string_view("layers.0").size());
    const std::string shape = tensor.vector ? fmt::format("[{}]", tensor.rows)
                                            : fmt::format("[{}, {}]", tensor.rows, tensor.cols);
    fmt::format_to(out, "{:<34}{:<12}{:<16}{}\n", name, spec::NameOf(tensor.role), shape,
                   SliceText(tensor, ShardsOf(plan, static_cast<int>(i))));
  }
}

bool SameBytes(const RankPlan& a, const RankPlan& b) {
  return a.stage == b.stage && a.bytes.weights == b.bytes.weights &&
         a.bytes.kv_cache == b.bytes.kv_cache && a.bytes.activations == b.bytes.activations &&
         a.bytes.buffers == b.bytes.buffers && a.bytes.read == b.bytes.read;
}

void WriteBytes(Text out, const ParallelPlan& plan) {
  fmt::format_to(out, "\n{:<12}{:>12}{:>12}{:>14}{:>12}{:>12}{:>14}\n", "rank", "weights",
                 "KV cache", "activations", "buffers", "total", "read");
  for (size_t first = 0, end = 0; first < plan.ranks.size(); first = end) {
    while (end < plan.ranks.size() && SameBytes(plan.ranks[first], plan.ranks[end])) ++end;
    const spec::RankBytes& bytes = plan.ranks[first].bytes;
    fmt::format_to(out, "{:<12}{:>12}{:>12}{:>14}{:>12}{:>12}{:>14}\n",
                   Span(static_cast<int64_t>(first), static_cast<int64_t>(end) - 1),
                   FormatBytes(bytes.weights), FormatBytes(bytes.kv_cache),
                   FormatBytes(bytes.activations), FormatBytes(bytes.buffers),
                   FormatBytes(bytes.total()), FormatBytes(bytes.read));
  }
}

// "- " and the sentence, broken between words and indented.
void WriteItem(Text out, std::string_view sentence) {
  fmt::format_to(out, "-");
  size_t column = 1;
  while (!sentence.empty()) {
    const std::string_view word = sentence.substr(0, sentence.find(' '));
    if (column + 1 + word.size() > kColumns) {
      fmt::format_to(out, "\n ");
      column = 1;
    }
    fmt::format_to(out, " {}", word);
    column += 1 + word.size();
    sentence.remove_prefix(std::min(sentence.size(), word.size() + 1));
  }
  fmt::format_to(out, "\n");
}

void WriteList(Text out, std::string_view title, const std::vector<std::string>& items) {
  if (items.empty()) return;
  fmt::format_to(out, "\n{}\n", title);
  for (const std::string& item : items) WriteItem(out, item);
}

}  // namespace

std::string Explain(const spec::ModelConfig& config, const spec::ParallelPlan& plan) {
  std::string text;
  const Text out(text);
  WriteHead(out, config, plan);
  WriteStages(out, config, plan);
  WriteTensors(out, plan);
  WriteBytes(out, plan);
  WriteList(out, "notes", plan.notes);
  WriteList(out, "why", plan.reasons);
  return text;
}

}  // namespace autodist::planner
