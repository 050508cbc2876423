#include "autodist/kernels/sampling.h"

#include <algorithm>
#include <limits>

#include "autodist/kernels/cpu/kernel_table.h"
#include "autodist/kernels/rows.h"

namespace autodist::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float WithoutNan(float value) { return value == value ? value : -kInfinity; }

// The order of results: larger values first, and of equal ones the smaller index.
bool Before(const ValueIndex& a, const ValueIndex& b) {
  return a.value != b.value ? a.value > b.value : a.index < b.index;
}

}  // namespace

void Argmax(device::Stream& stream, core::ConstTensorView x_TV, std::span<ValueIndex> best_T) {
  AUTODIST_CHECK_EQ(static_cast<int64_t>(best_T.size()), x_TV.rows());
  AUTODIST_CHECK(x_TV.rows() == 0 || x_TV.cols() > 0);
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("argmax", x_TV.rows(), static_cast<double>(x_TV.elements()), {x_TV},
                    device::OpKind::kSampling);
  });
  // The maxima of runs, by all threads even for one row; then only the first run that has the
  // largest is looked at again.
  constexpr int64_t kRun = 4096;
  const int64_t runs = (x_TV.cols() + kRun - 1) / kRun;
  std::vector<float> maxima(static_cast<size_t>(x_TV.rows() * runs));
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  stream.pool().ParallelFor(x_TV.rows() * runs, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % runs * kRun;
      maxima[static_cast<size_t>(i)] =
          table.max(x_TV.row<float>(i / runs) + first, std::min(kRun, x_TV.cols() - first));
    }
  });
  for (int64_t row = 0; row < x_TV.rows(); ++row) {
    const auto of_row = maxima.begin() + row * runs;
    const auto best = std::max_element(of_row, of_row + runs);  // the first of equal ones
    const float* const x = x_TV.row<float>(row);
    const float* const found =
        std::find_if(x + (best - of_row) * kRun, x + x_TV.cols(),
                     [&](float value) { return WithoutNan(value) == *best; });
    best_T[static_cast<size_t>(row)] = {*best, found - x};
  }
}

std::vector<ValueIndex> TopK(device::Stream& stream, core::ConstTensorView x_V, int64_t count) {
  AUTODIST_CHECK_EQ(x_V.rows(), 1);
  AUTODIST_CHECK_GE(count, 0);
  const device::OpScope op(stream.log(), [&] {
    return RowsCost("top_k", 1, static_cast<double>(x_V.cols()), {x_V}, device::OpKind::kSampling);
  });
  const float* const x = x_V.row<float>(0);
  const int64_t wanted = std::min(count, x_V.cols());
  std::vector<ValueIndex> best;  // a heap whose top is the last in order
  if (wanted == 0) return best;
  best.reserve(static_cast<size_t>(wanted));
  int64_t i = 0;
  for (; i < wanted; ++i) best.push_back({WithoutNan(x[i]), i});
  std::make_heap(best.begin(), best.end(), Before);

  // Of a run whose maximum does not beat the last one kept, nothing can enter: later indices lose
  // ties.
  constexpr int64_t kRun = 64;
  const cpu::KernelTable& table = cpu::TableFor(stream.isa());
  while (i < x_V.cols()) {
    const int64_t end = std::min(i + kRun, x_V.cols());
    if (table.max(x + i, end - i) > best.front().value) {
      for (; i < end; ++i) {
        if (!(x[i] > best.front().value)) continue;
        std::pop_heap(best.begin(), best.end(), Before);
        best.back() = {x[i], i};
        std::push_heap(best.begin(), best.end(), Before);
      }
    }
    i = end;
  }
  std::sort_heap(best.begin(), best.end(), Before);
  return best;
}

}  // namespace autodist::kernels
