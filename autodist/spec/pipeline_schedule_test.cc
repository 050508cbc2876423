#include "autodist/spec/pipeline_schedule.h"

#include <gtest/gtest.h>

namespace autodist::spec {
namespace {

TEST(PipelineScheduleTest, MiddleStageReceivesComputesSends) {
  const std::vector<Action> expected = {{ActionKind::kReceive, 0}, {ActionKind::kForward, 0},
                                        {ActionKind::kSend, 0},    {ActionKind::kReceive, 1},
                                        {ActionKind::kForward, 1}, {ActionKind::kSend, 1}};
  EXPECT_EQ(ForwardSchedule(1, 3, 2), expected);
}

TEST(PipelineScheduleTest, EndsOfThePipeline) {
  EXPECT_EQ(ForwardSchedule(0, 1, 1), (std::vector<Action>{{ActionKind::kForward, 0}}));
  EXPECT_EQ(ForwardSchedule(0, 2, 1),
            (std::vector<Action>{{ActionKind::kForward, 0}, {ActionKind::kSend, 0}}));
  EXPECT_EQ(ForwardSchedule(1, 2, 1),
            (std::vector<Action>{{ActionKind::kReceive, 0}, {ActionKind::kForward, 0}}));
}

}  // namespace
}  // namespace autodist::spec
