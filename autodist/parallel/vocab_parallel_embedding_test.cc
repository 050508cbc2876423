#include "autodist/parallel/vocab_parallel_embedding.h"

#include <gtest/gtest.h>

#include <vector>

#include "autodist/device/buffer.h"
#include "autodist/parallel/testing/rank_threads.h"

namespace autodist::parallel {
namespace {

// 7 rows over 3 ranks, the last of which holds none: element (id, column) is 100 * id + column.
TEST(VocabParallelEmbeddingTest, EveryRankGetsTheWholeRows) {
  constexpr int64_t kRows = 7, kWidth = 5;
  std::vector<float> table(kRows * kWidth);
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t c = 0; c < kWidth; ++c)
      table[static_cast<size_t>(r * kWidth + c)] = static_cast<float>(100 * r + c);
  const std::vector<spec::Range> ranges = {{0, 4}, {4, 7}, {7, 7}};
  const std::vector<int32_t> ids = {6, 0, 3, 4, 3};
  testing::RunRanks(3, [&](comm::Communicator& tp, device::Stream& stream) {
    const spec::Range own = ranges[static_cast<size_t>(tp.rank())];
    const kernels::PackedLayout layout(core::DType::kF32, own.size(), kWidth);
    const device::Buffer packed(layout.bytes());
    kernels::PackRows(
        stream, core::ConstTensorView(table.data(), kRows, kWidth).Rows(own.first, own.size()),
        layout, 0, 0, packed.data());
    VocabParallelEmbedding embedding({layout, packed.data()}, own, tp);
    std::vector<float> y(ids.size() * kWidth, -1.0f);
    embedding.Forward(stream, ids,
                      core::TensorView(y.data(), static_cast<int64_t>(ids.size()), kWidth));
    for (size_t t = 0; t < ids.size(); ++t)
      for (int64_t c = 0; c < kWidth; ++c)
        EXPECT_EQ(y[t * kWidth + static_cast<size_t>(c)], static_cast<float>(100 * ids[t] + c));
  });
}

}  // namespace
}  // namespace autodist::parallel
