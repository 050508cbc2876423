#include <gtest/gtest.h>

#include "docs/exercises/parallel_linear.h"
#include "docs/exercises/testing.h"

namespace autodist::exercises {
namespace {

class ParallelLinearTest : public testing::TestWithParam<int> {
 protected:
  const int ranks_ = GetParam();
  const Matrix x_ = TestMatrix(3, 12, 1);        // T = 3 tokens, K = 12 inputs
  const Matrix weight_ = TestMatrix(24, 12, 2);  // N = 24 outputs
  const Matrix bias_ = TestMatrix(1, 24, 3);
  const Matrix expected_ = LocalLinear(weight_, bias_).Forward(x_);
};

TEST_P(ParallelLinearTest, AColumnLayerKeepsItsOwnOutputs) {
  RunRanks(ranks_, [&](comm::Communicator& comm) {
    ColumnParallelLinear layer(RowPiece(weight_, comm.rank(), ranks_),
                               ColumnPiece(bias_, comm.rank(), ranks_), false, comm);
    ExpectNear(layer.Forward(x_), ColumnPiece(expected_, comm.rank(), ranks_));
  });
}

// With more than one token it shows on which dim the pieces were joined.
TEST_P(ParallelLinearTest, AColumnLayerGathersTheFeaturesOfEachToken) {
  RunRanks(ranks_, [&](comm::Communicator& comm) {
    ColumnParallelLinear layer(RowPiece(weight_, comm.rank(), ranks_),
                               ColumnPiece(bias_, comm.rank(), ranks_), true, comm);
    ExpectNear(layer.Forward(x_), expected_);
  });
}

// The bias is not zero: added on every rank before the sum, it would count once per rank.
TEST_P(ParallelLinearTest, ARowLayerAddsUpAndCountsTheBiasOnce) {
  RunRanks(ranks_, [&](comm::Communicator& comm) {
    RowParallelLinear layer(ColumnPiece(weight_, comm.rank(), ranks_), bias_, comm);
    ExpectNear(layer.Forward(ColumnPiece(x_, comm.rank(), ranks_)), expected_);
  });
}

// Column then row: the pieces fit together, and one all-reduce is all the communication there is.
TEST_P(ParallelLinearTest, AColumnLayerFeedsARowLayerWithoutAGather) {
  const Matrix second_weight = TestMatrix(12, 24, 4);
  const Matrix second_bias = TestMatrix(1, 12, 5);
  const Matrix expected = LocalLinear(second_weight, second_bias).Forward(expected_);
  RunRanks(ranks_, [&](comm::Communicator& comm) {
    ColumnParallelLinear first(RowPiece(weight_, comm.rank(), ranks_),
                               ColumnPiece(bias_, comm.rank(), ranks_), false, comm);
    RowParallelLinear second(ColumnPiece(second_weight, comm.rank(), ranks_), second_bias, comm);
    ExpectNear(second.Forward(first.Forward(x_)), expected);
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, ParallelLinearTest, testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace autodist::exercises
