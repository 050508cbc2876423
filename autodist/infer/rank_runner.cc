#include "autodist/infer/rank_runner.h"

#include <algorithm>
#include <utility>

#include "autodist/infer/generation_loop.h"
#include "autodist/runtime/decoder_builder.h"

namespace autodist::infer {

RankRunner::RankRunner(const spec::ModelConfig& config, const spec::ParallelPlan& plan,
                       runtime::Rank& rank, const runtime::LoadedShard& shard)
    : config_(config),
      plan_(plan),
      rank_(rank),
      world_(std::make_unique<comm::TracedCommunicator>(rank.world->Split(0, rank.index, "ranks"),
                                                        *rank.log)),
      tp_(world_->Split(plan.mesh.StageOf(rank.index), plan.mesh.TpIndex(rank.index))),
      decoder_(runtime::BuildDecoder(config, plan, rank.index, shard, *tp_)),
      executor_(plan, rank.index, config.hidden_size, *world_, *rank.stream, *decoder_),
      sampler_(*tp_, plan.rank(rank.index).share.vocab, plan.vocab_size) {}

KvCache& RankRunner::EmptyCache(int64_t sequences, int64_t max_tokens) {
  const spec::RankPlan& own = plan_.rank(rank_.index);
  const kernels::KvPageLayout layout{.dtype = plan_.compute_dtype,
                                     .kv_heads = own.share.kv_heads.size(),
                                     .head_dim = config_.head_dim};
  const int64_t pages = KvCacheOptions::PagesFor(sequences, max_tokens, layout.page_tokens);
  if (cache_ && cache_->pages() >= pages) {
    cache_->ReleaseAll();  // Logits() leaves its pages
    return *cache_;
  }
  cache_.reset();  // not both in memory at once
  return cache_.emplace(KvCacheOptions{
      .layers = own.layers.size(), .layout = layout, .slots = plan_.batch_size, .pages = pages});
}

GenerateResult RankRunner::Generate(const GenerateRequest& request, const StopRules& rules) {
  rank_.log->ClearTotals();
  GenerateResult result = GenerationLoop(*this, request, rules).Run();
  if (rank_.stream->log() != nullptr) result.op_totals = GatherTotals();
  return result;
}

std::vector<device::OpTotals> RankRunner::GatherTotals() {
  const device::OpTotals own = rank_.log->totals();  // without this transfer
  std::vector<device::OpTotals> all(static_cast<size_t>(world_->size()));
  constexpr int64_t kBytes = sizeof(device::OpTotals);
  world_
      ->AllGather(core::ConstTensorView(&own, core::DType::kU8, 1, kBytes),
                  core::TensorView(all.data(), core::DType::kU8, world_->size(), kBytes))
      .Wait();
  return all;
}

void RankRunner::Logits(
    const std::vector<int32_t>& ids,
    const std::function<void(int64_t first_row, core::ConstTensorView rows)>& sink) {
  rank_.log->EnterPhase(device::OpPhase::kPrefill);
  const device::OpScope group(rank_.stream->log(), [] { return device::OpCost{.name = "logits"}; });
  const auto length = static_cast<int64_t>(ids.size());
  KvCache& cache = EmptyCache(1, length);
  cache.Reserve(0, length);
  std::vector<int32_t> positions(ids.size());
  for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i);
  const std::vector<int32_t> rope_lengths(ids.size(), static_cast<int32_t>(length));
  const int head_rank = plan_.mesh.RankOf(plan_.mesh.pp - 1, 0, 0);

  device::Buffer local, whole;
  for (int64_t first = 0; first < length; first += plan_.prefill_chunk) {
    const int64_t count = std::min(plan_.prefill_chunk, length - first);
    const auto part = [&](const std::vector<int32_t>& values) {
      return std::span<const int32_t>(values).subspan(static_cast<size_t>(first),
                                                      static_cast<size_t>(count));
    };
    std::vector<int64_t> rows(static_cast<size_t>(count));
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    const KvRows kv_rows{.slot = 0, .row = 0, .tokens = count, .first_position = first};
    const KvCacheView view(cache, {&kv_rows, 1});
    core::TensorView logits;
    if (last_stage()) {
      local =
          device::Buffer(static_cast<size_t>(count * decoder_->logit_columns()) * sizeof(float));
      logits = core::TensorView(local.as<float>(), count, decoder_->logit_columns());
    }
    executor_.Run(1, [&](int) {
      return runtime::StageCall{.rows = {.ids = part(ids),
                                         .positions = part(positions),
                                         .rope_lengths = part(rope_lengths)},
                                .kv = &view,
                                .logit_rows = rows,
                                .logits = logits};
    });
    whole = device::Buffer(static_cast<size_t>(count * plan_.vocab_size) * sizeof(float));
    const core::TensorView gathered(whole.as<float>(), count, plan_.vocab_size);
    if (last_stage()) {
      runtime::GatherVocabulary(*rank_.stream, *tp_, plan_, logits, gathered);
    }
    if (head_rank != 0 && rank_.index == head_rank) world_->Send(gathered, 0).Wait();
    if (head_rank != 0 && rank_.index == 0) world_->Receive(gathered, head_rank).Wait();
    if (rank_.index == 0) sink(first, gathered);
  }
}

}  // namespace autodist::infer
