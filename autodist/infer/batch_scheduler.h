// Decides which sequences each forward call works on: which prompt enters which slot, how prompts
// are cut into chunks, when a slot is free again. Pure bookkeeping, the same on every rank: no
// tensors, no communication.
//
// There are ceil(batch_size / micro_batch_size) micro-batches of slots. They take turns, round
// robin; a turn of micro-batch m needs the tokens of m's previous turn only, so with pp stages pp
// micro-batches are in flight. Neither the order of turns nor the chunks depend on the mesh: pp = 4
// computes exactly the calls of pp = 1.
#ifndef AUTODIST_INFER_BATCH_SCHEDULER_H_
#define AUTODIST_INFER_BATCH_SCHEDULER_H_

#include <cstdint>
#include <vector>

namespace autodist::infer {

// `count` consecutive tokens of one sequence, from position `first_position`.
struct Piece {
  int sequence = 0;  // index of the prompt
  int slot = 0;      // in [0, batch size); owns the sequence's pages while it runs
  int64_t first_position = 0;
  int64_t count = 0;
  bool sample = false;  // the last row's logits are sampled
};

// One pass through the model: at most prefill_chunk rows, or one row per sequence when decoding.
struct ForwardCall {
  std::vector<Piece> pieces;
  int64_t rows() const {
    int64_t sum = 0;
    for (const Piece& piece : pieces) sum += piece.count;
    return sum;
  }
};

// What one micro-batch does before it hands over to the next one.
struct Turn {
  int micro_batch = 0;
  std::vector<ForwardCall> calls;
  std::vector<Piece> starts;  // the first piece of each sequence that enters a slot in this turn
  std::vector<int>
      sequences;  // those that get a token from this turn, in the order of the sampled rows
};

class BatchScheduler {
 public:
  struct Options {
    int64_t batch_size = 1;        // slots
    int64_t micro_batch_size = 1;  // slots per micro-batch, in [1, batch_size]
    int64_t prefill_chunk = 512;   // rows of one call while prompts are read
  };

  // prompt_lengths[i] >= 1: tokens of prompt i. Prompts start in this order.
  BatchScheduler(const Options& options, std::vector<int64_t> prompt_lengths);

  int micro_batches() const { return static_cast<int>(micro_batches_.size()); }

  // Plans the next turn of a micro-batch. REQUIRES the outcome of its previous turn was given to
  // Complete(). An empty turn (no calls) means that it has nothing left to do.
  Turn Next(int micro_batch);

  // `finished[i]` tells whether turn.sequences[i] ended with the token of this turn; its slot is
  // then free.
  void Complete(const Turn& turn, const std::vector<bool>& finished);

  bool done() const { return finished_ == static_cast<int64_t>(prompt_lengths_.size()); }
  int64_t finished() const { return finished_; }

 private:
  struct Running {
    int sequence = -1;   // -1: the slot is free
    int64_t length = 0;  // positions in the cache, or scheduled to be
  };

  void PlanPrompts(const std::vector<Piece>& entering, Turn* turn);

  Options options_;
  std::vector<int64_t> prompt_lengths_;
  int64_t next_prompt_ = 0;
  int64_t finished_ = 0;
  std::vector<std::vector<Running>> micro_batches_;
};

}  // namespace autodist::infer

#endif  // AUTODIST_INFER_BATCH_SCHEDULER_H_
