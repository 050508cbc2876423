#include "autodist/infer/generation_loop.h"

#include <algorithm>
#include <utility>

#include "autodist/core/check.h"

namespace autodist::infer {
namespace {

std::vector<int64_t> LengthsOf(const std::vector<std::vector<int32_t>>& prompts) {
  std::vector<int64_t> lengths;
  for (const auto& prompt : prompts) lengths.push_back(static_cast<int64_t>(prompt.size()));
  return lengths;
}

// Positions that the longest sequence of the request fills.
int64_t LongestSequence(const GenerateRequest& request, const StopRules& rules) {
  int64_t longest = 0;
  for (const int64_t prompt : LengthsOf(request.prompts))
    longest = std::max(longest, prompt + rules.OutputLimit(prompt));
  return longest;
}

int64_t SlotsFor(const spec::ParallelPlan& plan, const GenerateRequest& request) {
  return std::min(plan.batch_size, static_cast<int64_t>(request.prompts.size()));
}

}  // namespace

GenerationLoop::GenerationLoop(RankRunner& runner, const GenerateRequest& request,
                               const StopRules& rules)
    : runner_(runner),
      request_(request),
      rules_(rules),
      scheduler_({.batch_size = SlotsFor(runner.plan_, request),
                  .micro_batch_size =
                      std::min(runner.plan_.micro_batch_size, SlotsFor(runner.plan_, request)),
                  .prefill_chunk = runner.plan_.prefill_chunk},
                 LengthsOf(request.prompts)),
      cache_(runner.EmptyCache(SlotsFor(runner.plan_, request), LongestSequence(request, rules))),
      timing_(request.prompts.size()),
      slot_of_(request.prompts.size(), -1),
      chosen_(static_cast<size_t>(scheduler_.micro_batches())) {
  for (const auto& prompt : request.prompts) {
    Sequence& sequence = sequences_.emplace_back();
    sequence.ids = prompt;
    sequence.prompt_length = static_cast<int64_t>(prompt.size());
    if (!request.stop.empty()) {
      sequence.decoder =
          std::make_unique<text::StreamDecoder>(*request.tokenizer, /*skip_special_tokens=*/true);
      sequence.stop = std::make_unique<text::StopMatcher>(request.stop);
    }
  }
}

GenerateResult GenerationLoop::Run() {
  std::vector<std::optional<Turn>> open(static_cast<size_t>(scheduler_.micro_batches()));
  for (size_t m = 0; !scheduler_.done(); m = (m + 1) % open.size()) {
    if (open[m]) {
      EnterPhaseOf(*open[m]);
      Apply(*open[m], TokensOf(*open[m]));
      open[m].reset();
    }
    Turn turn = scheduler_.Next(static_cast<int>(m));
    if (turn.calls.empty()) continue;
    Execute(turn);
    open[m] = std::move(turn);
  }
  AUTODIST_CHECK_EQ(cache_.pages_in_use(), 0);
  runner_.rank_.log->EnterPhase(device::OpPhase::kOther);
  GenerateResult result;
  for (const Sequence& sequence : sequences_)
    result.sequences.push_back(
        {{sequence.ids.begin() + static_cast<std::ptrdiff_t>(sequence.prompt_length),
          sequence.ids.end()},
         *sequence.finished});
  result.timing =
      timing_.Finish(runner_.rank_.log->totals().Seconds(device::OpKind::kCommunication));
  return result;
}

// As Timing does: turns that read prompts are the prefill.
void GenerationLoop::EnterPhaseOf(const Turn& turn) {
  runner_.rank_.log->EnterPhase(turn.starts.empty() ? device::OpPhase::kDecode
                                                    : device::OpPhase::kPrefill);
}

void GenerationLoop::Execute(const Turn& turn) {
  EnterPhaseOf(turn);
  const device::OpScope group(runner_.rank_.stream->log(), [&] {
    return device::OpCost{.name = turn.starts.empty() ? "decode" : "prefill",
                          .rows = static_cast<int64_t>(turn.sequences.size())};
  });
  for (const Piece& start : turn.starts) slot_of_[static_cast<size_t>(start.sequence)] = start.slot;
  if (runner_.last_stage()) {
    const size_t bytes = turn.sequences.size() *
                         static_cast<size_t>(runner_.decoder_->logit_columns()) * sizeof(float);
    if (logits_.bytes() < bytes) logits_ = device::Buffer(bytes);
  }
  int64_t logit_row = 0;
  runner_.executor_.Run(static_cast<int>(turn.calls.size()), [&](int i) {
    if (request_.check_cancelled) request_.check_cancelled();
    runtime::StageCall call = Prepare(turn, turn.calls[static_cast<size_t>(i)], logit_row);
    logit_row += static_cast<int64_t>(call.logit_rows.size());
    return call;
  });
  if (!runner_.last_stage()) return;
  std::vector<int32_t> tokens = SampleTokens(turn);
  // Each earlier stage's rank with this tp index learns the tokens from here.
  const spec::Mesh& mesh = runner_.plan_.mesh;
  for (int stage = 0; stage + 1 < mesh.pp; ++stage) {
    runner_.world_
        ->Send(core::ConstTensorView(tokens.data(), 1, static_cast<int64_t>(tokens.size())),
               mesh.RankOf(stage, 0, runner_.tp_index()))
        .Wait();
  }
  chosen_[static_cast<size_t>(turn.micro_batch)] = std::move(tokens);
}

runtime::StageCall GenerationLoop::Prepare(const Turn& turn, const ForwardCall& call,
                                           int64_t first_logit_row) {
  ids_.clear();
  positions_.clear();
  rope_lengths_.clear();
  logit_rows_.clear();
  std::vector<KvRows> kv_rows;
  for (const Piece& piece : call.pieces) {
    const Sequence& sequence = sequences_[static_cast<size_t>(piece.sequence)];
    cache_.Reserve(piece.slot, piece.first_position + piece.count);
    kv_rows.push_back({.slot = piece.slot,
                       .row = static_cast<int64_t>(ids_.size()),
                       .tokens = piece.count,
                       .first_position = piece.first_position});
    for (int64_t j = 0; j < piece.count; ++j) {
      const int64_t position = piece.first_position + j;
      ids_.push_back(sequence.ids[static_cast<size_t>(position)]);
      positions_.push_back(static_cast<int32_t>(position));
      rope_lengths_.push_back(static_cast<int32_t>(std::max(sequence.prompt_length, position + 1)));
    }
    if (piece.sample) logit_rows_.push_back(static_cast<int64_t>(ids_.size()) - 1);
  }
  view_.emplace(cache_, kv_rows);
  core::TensorView logits;
  if (runner_.last_stage()) {
    const core::TensorView all(logits_.as<float>(), static_cast<int64_t>(turn.sequences.size()),
                               runner_.decoder_->logit_columns());
    logits = all.Rows(first_logit_row, static_cast<int64_t>(logit_rows_.size()));
  }
  return {.rows = {.ids = ids_, .positions = positions_, .rope_lengths = rope_lengths_},
          .kv = &*view_,
          .logit_rows = logit_rows_,
          .logits = logits};
}

std::vector<int32_t> GenerationLoop::SampleTokens(const Turn& turn) {
  std::vector<SampleRow> rows;
  for (const int index : turn.sequences) {
    const Sequence& sequence = sequences_[static_cast<size_t>(index)];
    rows.push_back({.options = &request_.sampling,
                    .sequence = static_cast<uint64_t>(index),
                    .position = static_cast<uint32_t>(sequence.generated()),
                    .history = sequence.ids,
                    .excluded = rules_.ExcludedIds(sequence.generated())});
  }
  const core::TensorView logits(logits_.as<float>(), static_cast<int64_t>(rows.size()),
                                runner_.decoder_->logit_columns());
  return runner_.sampler_.Sample(*runner_.rank_.stream, logits, rows);
}

std::vector<int32_t> GenerationLoop::TokensOf(const Turn& turn) {
  if (runner_.last_stage()) return std::move(chosen_[static_cast<size_t>(turn.micro_batch)]);
  std::vector<int32_t> tokens(turn.sequences.size());
  const spec::Mesh& mesh = runner_.plan_.mesh;
  runner_.world_
      ->Receive(core::TensorView(tokens.data(), 1, static_cast<int64_t>(tokens.size())),
                mesh.RankOf(mesh.pp - 1, 0, runner_.tp_index()))
      .Wait();
  return tokens;
}

void GenerationLoop::Apply(const Turn& turn, const std::vector<int32_t>& tokens) {
  int64_t prompt_tokens = 0;
  for (const Piece& start : turn.starts) prompt_tokens += start.count;
  timing_.Turn(prompt_tokens, turn.sequences);
  std::vector<bool> finished;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto index = static_cast<size_t>(turn.sequences[i]);
    Sequence& sequence = sequences_[index];
    sequence.finished = Append(sequence, tokens[i]);
    finished.push_back(sequence.finished.has_value());
    if (sequence.finished) cache_.Release(slot_of_[index]);
    if (runner_.rank_.index == 0 && request_.on_token)
      request_.on_token(index, tokens[i], sequence.finished);
  }
  scheduler_.Complete(turn, finished);
}

std::optional<FinishReason> GenerationLoop::Append(Sequence& sequence, int32_t token) {
  sequence.ids.push_back(token);
  const auto reason = rules_.After(token, sequence.prompt_length, sequence.generated());
  if (sequence.stop == nullptr) return reason;
  // The text decides too. Every rank has the same tokens, so every rank comes to the same end.
  sequence.stop->Push(sequence.decoder->Push(token));
  if (!sequence.stop->stopped() && reason) sequence.stop->Push(sequence.decoder->Flush());
  return sequence.stop->stopped() ? FinishReason::kStop : reason;
}

}  // namespace autodist::infer
