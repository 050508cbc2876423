#include "autodist/core/tensor_view.h"

#include <gtest/gtest.h>

#include <vector>

namespace autodist::core {
namespace {

TEST(TensorViewTest, SlicesShareTheMemory) {
  std::vector<float> data(12);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
  const TensorView whole(data.data(), 3, 4);
  const TensorView part = whole.Rows(1, 2).Cols(1, 2);
  EXPECT_EQ(part.rows(), 2);
  EXPECT_EQ(part.stride(), 4);
  EXPECT_FALSE(part.contiguous());
  EXPECT_EQ(part.row<float>(1)[0], 9.0f);
  part.row<float>(0)[1] = -1.0f;
  EXPECT_EQ(data[6], -1.0f);
  EXPECT_EQ(ConstTensorView(part).row<float>(0)[1], -1.0f);
  EXPECT_EQ(whole.Rows(3, 0).elements(), 0);
}

TEST(TensorViewDeathTest, WrongTypeOrRangeAborts) {
  std::vector<float> data(4);
  const TensorView view(data.data(), 2, 2);
  EXPECT_DEATH(view.row<int32_t>(0), "CHECK failed");
  EXPECT_DEATH(view.Rows(1, 2), "CHECK failed");
  EXPECT_DEATH(view.Cols(-1, 1), "CHECK failed");
}

}  // namespace
}  // namespace autodist::core
