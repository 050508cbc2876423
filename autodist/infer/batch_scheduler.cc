#include "autodist/infer/batch_scheduler.h"

#include <algorithm>
#include <utility>

#include "autodist/core/check.h"

namespace autodist::infer {

BatchScheduler::BatchScheduler(const Options& options, std::vector<int64_t> prompt_lengths)
    : options_(options), prompt_lengths_(std::move(prompt_lengths)) {
  AUTODIST_CHECK(options_.micro_batch_size >= 1 &&
                 options_.micro_batch_size <= options_.batch_size);
  AUTODIST_CHECK_GE(options_.prefill_chunk, 1);
  for (int64_t first = 0; first < options_.batch_size; first += options_.micro_batch_size) {
    const int64_t slots = std::min(options_.micro_batch_size, options_.batch_size - first);
    micro_batches_.emplace_back(static_cast<size_t>(slots));
  }
}

Turn BatchScheduler::Next(int micro_batch) {
  Turn turn;
  turn.micro_batch = micro_batch;
  ForwardCall decode;
  std::vector<Piece> entering;
  auto& slots = micro_batches_[static_cast<size_t>(micro_batch)];
  for (size_t i = 0; i < slots.size(); ++i) {
    Running& running = slots[i];
    const int slot =
        static_cast<int>(micro_batch * options_.micro_batch_size + static_cast<int64_t>(i));
    if (running.sequence >= 0) {
      decode.pieces.push_back({running.sequence, slot, running.length, 1, true});
      ++running.length;
    } else if (next_prompt_ < static_cast<int64_t>(prompt_lengths_.size())) {
      const int64_t length = prompt_lengths_[static_cast<size_t>(next_prompt_)];
      entering.push_back({static_cast<int>(next_prompt_), slot, 0, length, false});
      running = {static_cast<int>(next_prompt_), length};
      ++next_prompt_;
    }
  }
  PlanPrompts(entering, &turn);
  if (!decode.pieces.empty()) turn.calls.push_back(std::move(decode));
  for (const ForwardCall& call : turn.calls)
    for (const Piece& piece : call.pieces)
      if (piece.sample) turn.sequences.push_back(piece.sequence);
  return turn;
}

// Fills calls of at most prefill_chunk rows with the prompts one after the other; a long prompt
// spans several calls.
void BatchScheduler::PlanPrompts(const std::vector<Piece>& entering, Turn* turn) {
  int64_t room = 0;
  for (const Piece& prompt : entering) {
    turn->starts.push_back(prompt);
    int64_t done = 0;
    while (done < prompt.count) {
      if (room == 0) {
        turn->calls.emplace_back();
        room = options_.prefill_chunk;
      }
      const int64_t count = std::min(room, prompt.count - done);
      turn->calls.back().pieces.push_back(
          {prompt.sequence, prompt.slot, done, count, done + count == prompt.count});
      done += count;
      room -= count;
    }
  }
}

void BatchScheduler::Complete(const Turn& turn, const std::vector<bool>& finished) {
  AUTODIST_CHECK_EQ(finished.size(), turn.sequences.size());
  auto& slots = micro_batches_[static_cast<size_t>(turn.micro_batch)];
  for (size_t i = 0; i < finished.size(); ++i) {
    if (!finished[i]) continue;
    const auto slot = std::find_if(slots.begin(), slots.end(), [&](const Running& running) {
      return running.sequence == turn.sequences[i];
    });
    AUTODIST_CHECK(slot != slots.end());
    *slot = Running{};
    ++finished_;
  }
}

}  // namespace autodist::infer
