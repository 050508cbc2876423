#include "autodist/infer/batch_scheduler.h"

#include <gtest/gtest.h>

#include <map>

namespace autodist::infer {
namespace {

TEST(BatchSchedulerTest, OnePromptIsReadThenDecodedTokenByToken) {
  BatchScheduler scheduler({.batch_size = 1, .micro_batch_size = 1, .prefill_chunk = 4}, {6});
  Turn turn = scheduler.Next(0);
  ASSERT_EQ(turn.calls.size(), 2u);  // 4 + 2 tokens
  EXPECT_EQ(turn.calls[0].pieces[0].count, 4);
  EXPECT_FALSE(turn.calls[0].pieces[0].sample);
  EXPECT_EQ(turn.calls[1].pieces[0].first_position, 4);
  EXPECT_EQ(turn.calls[1].pieces[0].count, 2);
  EXPECT_TRUE(turn.calls[1].pieces[0].sample);
  EXPECT_EQ(turn.sequences, std::vector<int>{0});
  scheduler.Complete(turn, {false});

  turn = scheduler.Next(0);
  ASSERT_EQ(turn.calls.size(), 1u);
  EXPECT_EQ(turn.calls[0].pieces[0].first_position, 6);  // the sampled token's own position
  EXPECT_EQ(turn.calls[0].rows(), 1);
  scheduler.Complete(turn, {true});
  EXPECT_TRUE(scheduler.done());
  EXPECT_TRUE(scheduler.Next(0).calls.empty());
}

TEST(BatchSchedulerTest, ShortPromptsShareACall) {
  BatchScheduler scheduler({.batch_size = 3, .micro_batch_size = 3, .prefill_chunk = 5}, {2, 2, 4});
  const Turn turn = scheduler.Next(0);
  ASSERT_EQ(turn.calls.size(), 2u);
  EXPECT_EQ(turn.calls[0].rows(), 5);  // 2 + 2 + the first token of the third
  EXPECT_EQ(turn.calls[1].rows(), 3);
  EXPECT_EQ(turn.sequences, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(turn.starts.size(), 3u);
}

TEST(BatchSchedulerTest, AFreeSlotTakesTheNextPromptWhileOthersDecode) {
  BatchScheduler scheduler({.batch_size = 2, .micro_batch_size = 2, .prefill_chunk = 8}, {1, 1, 3});
  scheduler.Complete(scheduler.Next(0), {true, false});
  const Turn turn = scheduler.Next(0);
  ASSERT_EQ(turn.calls.size(), 2u);
  EXPECT_EQ(turn.calls[0].pieces[0].sequence, 2);
  EXPECT_EQ(turn.calls[0].pieces[0].slot, 0);
  EXPECT_EQ(turn.calls[1].pieces[0].sequence, 1);
  EXPECT_EQ(turn.sequences, (std::vector<int>{2, 1}));
}

// Whatever the sizes: every position of every sequence is computed exactly once, in order, and each
// call keeps to the chunk limit.
TEST(BatchSchedulerTest, EveryPositionOnceInOrder) {
  for (int64_t batch = 1; batch <= 5; ++batch) {
    for (int64_t micro = 1; micro <= batch; ++micro) {
      const std::vector<int64_t> prompts = {7, 1, 12, 3, 3, 9, 1};
      const std::vector<int64_t> outputs = {2, 5, 1, 1, 4, 3, 6};
      BatchScheduler scheduler({.batch_size = batch, .micro_batch_size = micro, .prefill_chunk = 5},
                               prompts);
      std::map<int, int64_t> position;
      std::map<int, int64_t> tokens;
      for (int turn_number = 0; !scheduler.done(); ++turn_number) {
        ASSERT_LT(turn_number, 1000);
        const Turn turn = scheduler.Next(turn_number % scheduler.micro_batches());
        for (const ForwardCall& call : turn.calls) {
          EXPECT_LE(call.rows(), std::max<int64_t>(5, micro));
          for (const Piece& piece : call.pieces) {
            EXPECT_EQ(piece.first_position, position[piece.sequence]);
            position[piece.sequence] += piece.count;
          }
        }
        std::vector<bool> finished;
        for (int sequence : turn.sequences)
          finished.push_back(++tokens[sequence] == outputs[static_cast<size_t>(sequence)]);
        scheduler.Complete(turn, finished);
      }
      for (size_t i = 0; i < prompts.size(); ++i)
        EXPECT_EQ(position[static_cast<int>(i)],
                  prompts[i] + outputs[i] - 1);  // the last token is never fed back
    }
  }
}

}  // namespace
}  // namespace autodist::infer
