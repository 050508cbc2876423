#include "autodist/kernels/attention.h"

#include <cmath>
#include <limits>
#include <memory>

#include "autodist/kernels/reference/reference.h"
#include "autodist/kernels/testing.h"

namespace autodist::kernels {
namespace {

using core::DType;

// Whether the products take queries and weights as pairs of bf16.
bool MultipliesPairs(DType cache_dtype, device::Isa isa) {
  return cache_dtype == DType::kBF16 &&
         (isa == device::Isa::kAvx512Bf16 || isa == device::Isa::kAmx);
}

// The pages of one sequence, filled by KvWrite.
class Cache {
 public:
  Cache(const KvPageLayout& layout, int64_t tokens) {
    for (int64_t page = 0; page * layout.page_tokens < tokens; ++page) {
      for (std::vector<void*>* pages : {&k_pages_, &v_pages_}) {
        memory_.emplace_back(layout.page_bytes());
        std::fill_n(memory_.back().as<uint8_t>(), layout.page_bytes(),
                    uint8_t{0xff});  // NaN: reading it shows
        pages->push_back(memory_.back().data());
      }
    }
  }
  KvSequence Sequence(int64_t row, int64_t tokens, int64_t first_position) const {
    return {row, tokens, first_position, k_pages_, v_pages_};
  }
  void DropPagesBefore(size_t page) {
    std::fill_n(k_pages_.begin(), page, nullptr);
    std::fill_n(v_pages_.begin(), page, nullptr);
  }

 private:
  std::vector<device::Buffer> memory_;
  std::vector<void*> k_pages_;
  std::vector<void*> v_pages_;
};

// q, k and v of one sequence, and what attention must give.
struct Problem {
  Problem(const KvPageLayout& page_layout, std::vector<int32_t> heads, int64_t tokens_,
          int64_t window_)
      : layout(page_layout),
        kv_head_of_q(std::move(heads)),
        tokens(tokens_),
        window(window_),
        scale(1.0f / std::sqrt(static_cast<float>(page_layout.head_dim))),
        q(TestMatrix(DType::kF32, tokens, q_heads() * layout.head_dim, 1, 3).Randomize(1, 4.0)),
        k(TestMatrix(DType::kF32, tokens, layout.kv_heads * layout.head_dim, 2, 1).Randomize(2)),
        v(TestMatrix(DType::kF32, tokens, layout.kv_heads * layout.head_dim, 3, 2).Randomize(3)) {}

  int64_t q_heads() const { return static_cast<int64_t>(kv_head_of_q.size()); }
  AttentionOptions options() const { return {scale, window, kv_head_of_q}; }

  // Column block of one head; `rounded`: to bf16, in which it stands `factor` times as large.
  std::vector<double> Head(const TestMatrix& x, int64_t head, bool rounded,
                           double factor = 1) const {
    std::vector<double> values;
    for (int64_t token = 0; token < tokens; ++token) {
      for (int64_t i = 0; i < layout.head_dim; ++i) {
        const double value = x.at(token, head * layout.head_dim + i);
        values.push_back(
            rounded ? core::ToFloat(core::ToBFloat16(static_cast<float>(value * factor))) / factor
                    : value);
      }
    }
    return values;
  }

  bool bf16() const { return layout.dtype == DType::kBF16; }

  // For the rows from `first_row` on.
  std::vector<double> Expected(device::Isa isa, int64_t first_row = 0) const {
    const int64_t dim = layout.head_dim;
    std::vector<double> out(static_cast<size_t>((tokens - first_row) * q_heads() * dim));
    for (int64_t head = 0; head < q_heads(); ++head) {
      const std::vector<double> queries =
          Head(q, head, MultipliesPairs(layout.dtype, isa), scale * 1.44269504);
      const std::vector<double> keys = Head(k, kv_head_of_q[head], bf16()),
                                values = Head(v, kv_head_of_q[head], bf16());
      for (int64_t token = first_row; token < tokens; ++token) {
        const int64_t first = window > 0 ? std::max<int64_t>(0, token - window + 1) : 0;
        const auto result = reference::Attend(std::span(queries).subspan(token * dim, dim), keys,
                                              values, first, token + 1, scale);
        std::copy(result.begin(), result.end(),
                  out.begin() + ((token - first_row) * q_heads() + head) * dim);
      }
    }
    return out;
  }

  KvPageLayout layout;
  std::vector<int32_t> kv_head_of_q;
  int64_t tokens;
  int64_t window;
  float scale;
  TestMatrix q, k, v;
};

class AttentionTest : public IsaTest {};
AUTODIST_FOR_EVERY_ISA(AttentionTest);

// |score| < 4 sqrt(dim) <= 46: an error of some eps * 46 in it is as much relative error in its
// weight; |v| <= 1. Pairs are weights rounded to bf16, of a power of two that is off by 2^-13
// itself.
constexpr double kTolerance = 64 * 0x1p-23;
double Tolerance(DType cache_dtype, device::Isa isa) {
  return kTolerance + (MultipliesPairs(cache_dtype, isa) ? 0x1p-9 + 0x1p-12 : 0);
}

TEST_P(AttentionTest, EqualsTheReference) {
  struct Shape {
    int64_t head_dim, page_tokens, tokens, window;
    std::vector<int32_t> kv_head_of_q;
  };
  const Shape shapes[] = {
      {64, 64, 1, 0, {0}},           {8, 64, 100, 0, {0, 0, 1}},
      {10, 64, 70, 0, {0, 1, 2}},    {12, 192, 331, 0, {1, 0, 0, 1, 1}},  // uneven and unordered
      {16, 64, 65, 7, {0, 1}},       {17, 128, 200, 100, {0, 0}},
      {32, 64, 300, 270, {0, 0, 0}}, {64, 64, 130, 64, {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1}},
      {80, 64, 66, 1, {0}},          {128, 64, 67, 0, {0, 0}},
      {201, 64, 70, 0, {2, 0, 1}},  // more columns of keys than are written at a time
  };
  for (const DType cache_dtype : {DType::kF32, DType::kBF16}) {
    for (const DType out_dtype : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape : shapes) {
        SCOPED_TRACE(testing::Message()
                     << "head_dim " << shape.head_dim << " tokens " << shape.tokens);
        const KvPageLayout layout{cache_dtype, 3, shape.page_tokens, shape.head_dim};
        const Problem problem(layout, shape.kv_head_of_q, shape.tokens, shape.window);
        const Cache cache(layout, shape.tokens);
        const KvSequence sequence = cache.Sequence(0, shape.tokens, 0);
        KvWrite(stream_, problem.k.view(), problem.v.view(), {&sequence, 1}, layout);
        const TestMatrix out(out_dtype, shape.tokens, problem.q.view().cols(), 1, 2);
        Attention(stream_, problem.q.view(), {&sequence, 1}, layout, problem.options(), out.view());
        ExpectNear(out, problem.Expected(GetParam()), Tolerance(cache_dtype, GetParam()));
      }
    }
  }
}

// The promise that chunked prefill, pipelines and batches build on.
TEST_P(AttentionTest, ARowHasTheSameBitsHoweverThePromptIsCut) {
  const auto expect_same_bits = [&](const KvPageLayout& layout, int64_t window,
                                    std::vector<int64_t> cuts) {
    const int64_t tokens = cuts.back();
    const Problem problem(layout, {0, 0, 0, 1}, tokens, window);
    const int64_t width = problem.q.view().cols();
    const TestMatrix whole(DType::kF32, tokens, width), parts(DType::kF32, tokens, width);
    const Cache whole_cache(layout, tokens), parts_cache(layout, tokens);
    const KvSequence all = whole_cache.Sequence(0, tokens, 0);
    KvWrite(stream_, problem.k.view(), problem.v.view(), {&all, 1}, layout);
    Attention(stream_, problem.q.view(), {&all, 1}, layout, problem.options(), whole.view());

    device::ThreadPool pool(3);
    device::Stream threads(pool, GetParam());
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      const KvSequence part = parts_cache.Sequence(cuts[i], cuts[i + 1] - cuts[i], cuts[i]);
      KvWrite(threads, problem.k.view(), problem.v.view(), {&part, 1}, layout);
      Attention(threads, problem.q.view(), {&part, 1}, layout, problem.options(), parts.view());
    }
    EXPECT_EQ(parts.values(), whole.values());
  };
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    expect_same_bits({dtype, 2, 64, 24}, 0, {0, 1, 2, 40, 64, 101, 149, 150});
    expect_same_bits({dtype, 2, 128, 64}, 33, {0, 31, 32, 90, 91, 300});
    expect_same_bits({dtype, 2, 64, 301}, 0, {0, 1, 33, 64, 100});
    // Long enough for few rows to be shared out by segments of the keys.
    expect_same_bits({dtype, 2, 64, 8}, 0, {0, 1500, 2098, 2099, 2100});
    expect_same_bits({dtype, 2, 64, 8}, 1100, {0, 2000, 2099, 2100});
  }
}

TEST_P(AttentionTest, LongContextsEqualTheReference) {
  constexpr int64_t kTokens = 2300;
  device::ThreadPool pool(4);
  device::Stream threads(pool, GetParam());
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const KvPageLayout layout{dtype, 1, 64, 16};
    const Problem problem(layout, {0, 0}, kTokens, 0);
    const Cache cache(layout, kTokens);
    const KvSequence all = cache.Sequence(0, kTokens, 0), last = cache.Sequence(0, 2, kTokens - 2);
    KvWrite(stream_, problem.k.view(), problem.v.view(), {&all, 1}, layout);
    const TestMatrix out(DType::kF32, 2, 32);
    Attention(threads, problem.q.view().Rows(kTokens - 2, 2), {&last, 1}, layout, problem.options(),
              out.view());
    ExpectNear(out, problem.Expected(GetParam(), kTokens - 2), Tolerance(dtype, GetParam()));
  }
}

TEST_P(AttentionTest, SequencesOfABatchDoNotMeet) {
  const KvPageLayout layout{DType::kF32, 1, 64, 8};
  const Problem problem(layout, {0, 0}, 60, 0);
  // Rows 0 to 29 are one sequence at positions 0.., rows 35 to 39 another, behind 25 cached
  // positions. Rows 30 to 34 and 40.. belong to nobody.
  const Cache first(layout, 30), second(layout, 30);
  const KvSequence earlier = second.Sequence(10, 25, 0);
  KvWrite(stream_, problem.k.view(), problem.v.view(), {&earlier, 1}, layout);
  const KvSequence batch[] = {first.Sequence(0, 30, 0), second.Sequence(35, 5, 25)};
  KvWrite(stream_, problem.k.view(), problem.v.view(), batch, layout);
  const TestMatrix out = TestMatrix(DType::kF32, 60, 16).Randomize(9);
  const std::vector<double> before = out.values();
  Attention(stream_, problem.q.view(), batch, layout, problem.options(), out.view());

  // Rows 10 to 39 hold the second sequence's positions 0 to 29.
  const auto expect_rows = [&](int64_t first_row, int64_t count, int64_t row_of_position_0) {
    for (int64_t row = first_row; row < first_row + count; ++row) {
      for (int64_t head = 0; head < 2; ++head) {
        const auto slice = [&](const TestMatrix& x) {
          const std::vector<double> all = problem.Head(x, 0, false);
          return std::vector<double>(all.begin() + row_of_position_0 * 8, all.end());
        };
        const std::vector<double> queries = problem.Head(problem.q, head, false);
        const std::vector<double> expected =
            reference::Attend(std::span(queries).subspan(row * 8, 8), slice(problem.k),
                              slice(problem.v), 0, row - row_of_position_0 + 1, problem.scale);
        for (int64_t i = 0; i < 8; ++i)
          EXPECT_NEAR(out.at(row, head * 8 + i), expected[i], kTolerance);
      }
    }
  };
  expect_rows(0, 30, 0);
  expect_rows(35, 5, 10);
  for (const int64_t row : {30, 34, 40, 59}) {
    EXPECT_EQ(out.Row(row),
              std::vector<double>(before.begin() + row * 16, before.begin() + (row + 1) * 16));
  }
}

// A broken weight must show in the result: a key that is not a number spoils the rows that see it,
// and only those.
TEST_P(AttentionTest, NotANumberStaysOne) {
  const KvPageLayout layout{DType::kF32, 1, 64, 8};
  const Problem problem(layout, {0}, 100, 30);
  const std::vector<double> expected = problem.Expected(GetParam());
  constexpr int64_t kBroken = 40;
  problem.k.view().row<float>(kBroken)[3] = std::numeric_limits<float>::quiet_NaN();
  const Cache cache(layout, 100);
  const KvSequence sequence = cache.Sequence(0, 100, 0);
  KvWrite(stream_, problem.k.view(), problem.v.view(), {&sequence, 1}, layout);
  const TestMatrix out(DType::kF32, 100, 8);
  Attention(stream_, problem.q.view(), {&sequence, 1}, layout, problem.options(), out.view());
  for (int64_t row = 0; row < 100; ++row) {
    const bool sees_it = row >= kBroken && row < kBroken + 30;
    for (int64_t i = 0; i < 8; ++i) {
      if (sees_it) {
        EXPECT_TRUE(std::isnan(out.at(row, i))) << row;
      } else {
        EXPECT_NEAR(out.at(row, i), expected[static_cast<size_t>(row * 8 + i)], kTolerance) << row;
      }
    }
  }
}

// A head of odd width ends within a pair of elements.
TEST_P(AttentionTest, HeadsDoNotMeet) {
  constexpr int64_t kDim = 17, kTokens = 40;
  const KvPageLayout layout{DType::kBF16, 2, 64, kDim};
  const Problem problem(layout, {0, 1}, kTokens, 0);
  const std::vector<double> expected = problem.Expected(GetParam());
  for (int64_t token = 0; token < kTokens; ++token)
    problem.k.view().row<float>(token)[kDim] = std::numeric_limits<float>::quiet_NaN();
  const Cache cache(layout, kTokens);
  const KvSequence sequence = cache.Sequence(0, kTokens, 0);
  KvWrite(stream_, problem.k.view(), problem.v.view(), {&sequence, 1}, layout);
  const TestMatrix out(DType::kF32, kTokens, 2 * kDim);
  Attention(stream_, problem.q.view(), {&sequence, 1}, layout, problem.options(), out.view());
  for (int64_t token = 0; token < kTokens; ++token) {
    for (int64_t i = 0; i < kDim; ++i) {
      EXPECT_NEAR(out.at(token, i), expected[static_cast<size_t>(token * 2 * kDim + i)],
                  Tolerance(DType::kBF16, GetParam()))
          << token;
      EXPECT_TRUE(std::isnan(out.at(token, kDim + i))) << token;
    }
  }
}

TEST_P(AttentionTest, PagesThatTheWindowHasLeftMayBeGone) {
  const KvPageLayout layout{DType::kF32, 1, 64, 8};
  const Problem problem(layout, {0}, 300, 20);
  Cache cache(layout, 300);
  const KvSequence all = cache.Sequence(0, 300, 0);
  KvWrite(stream_, problem.k.view(), problem.v.view(), {&all, 1}, layout);
  cache.DropPagesBefore(4);  // position 299 sees 280 to 299
  const KvSequence last = cache.Sequence(0, 1, 299);
  const TestMatrix out(DType::kF32, 1, 8);
  Attention(stream_, problem.q.view().Rows(299, 1), {&last, 1}, layout, problem.options(),
            out.view());
  ExpectNear(out, problem.Expected(GetParam(), 299), kTolerance);
}

}  // namespace
}  // namespace autodist::kernels
