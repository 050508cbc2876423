#include "autodist/runtime/graph_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autodist/comm/nccl_communicator.h"
#include "autodist/comm/testing.h"
#include "autodist/comm/testing/fake_nccl.h"
#include "autodist/device/testing/fake_accelerator.h"

namespace autodist::runtime {
namespace {

using device::DeviceMemory;
using device::MemoryKind;
using device::testing::FakeAccelerator;
using device::testing::FakeOptions;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMaxRows = 8;
constexpr int64_t kMaxLength = 200;

constexpr int kPadding = -1;  // as the length of a row: it touches no cache

// A decode step in miniature. Row r adds its token and the first lengths[r] values of its cache,
// and appends the sum to the cache: as attention, it depends on the cache and on its length.
class TinyDecoder {
 public:
  explicit TinyDecoder(const FakeOptions& options = {})
      : accelerator_(options), queue_(accelerator_.CreateQueue()) {
    const auto ints = [&](MemoryKind kind, const char* part, int64_t count) {
      return accelerator_.Allocate(kind, part, static_cast<size_t>(count) * sizeof(int));
    };
    inputs_ = ints(MemoryKind::kPinned, "inputs", 2 * kMaxRows);
    tokens_ = ints(MemoryKind::kDevice, "tokens", kMaxRows);
    lengths_ = ints(MemoryKind::kDevice, "lengths", kMaxRows);
    cache_ = ints(MemoryKind::kDevice, "KV cache", kMaxRows * kMaxLength);
    sums_ = ints(MemoryKind::kDevice, "sums", kMaxRows);
    result_ = ints(MemoryKind::kPinned, "result", kMaxRows);
    for (const DeviceMemory* memory : {&tokens_, &lengths_, &cache_})
      queue_->Clear(memory->data(), memory->bytes());
  }

  // GraphCache::Step.
  void Step(int64_t rows) {
    ++calls_;
    FakeAccelerator::Launch(*queue_, [this, rows] {
      for (int64_t row = 0; row < rows; ++row) {
        int* const cache = cache_.as<int>() + row * kMaxLength;
        const int length = lengths_.as<int>()[row];
        if (length == kPadding) continue;
        int sum = tokens_.as<int>()[row];
        for (int i = 0; i < length; ++i) sum += (i + 1) * cache[i];
        cache[length] = sum % 1009;
        sums_.as<int>()[row] = sum;
      }
      return true;
    });
    queue_->Copy(result_.data(), sums_.data(), static_cast<size_t>(rows) * sizeof(int));
  }

  // One step over `tokens` on caches of `lengths`, by `graphs` or, when null, without.
  std::vector<int> Run(GraphCache* graphs, const std::vector<int>& tokens,
                       const std::vector<int>& lengths) {
    const auto rows = static_cast<int64_t>(tokens.size());
    const int64_t padded = graphs == nullptr ? rows : graphs->PaddedRows(rows);
    for (int64_t row = 0; row < padded; ++row) {
      inputs_.as<int>()[row] = row < rows ? tokens[static_cast<size_t>(row)] : 0;
      inputs_.as<int>()[kMaxRows + row] = row < rows ? lengths[static_cast<size_t>(row)] : kPadding;
    }
    const auto bytes = static_cast<size_t>(padded) * sizeof(int);
    queue_->Copy(tokens_.data(), inputs_.as<int>(), bytes);
    queue_->Copy(lengths_.data(), inputs_.as<int>() + kMaxRows, bytes);
    if (graphs == nullptr) {
      Step(rows);
    } else {
      graphs->Run(padded);
    }
    queue_->Synchronize();
    return {result_.as<int>(), result_.as<int>() + rows};
  }

  FakeAccelerator& accelerator() { return accelerator_; }
  device::Queue& queue() { return *queue_; }
  int calls() const { return calls_; }

 private:
  FakeAccelerator accelerator_;
  std::unique_ptr<device::Queue> queue_;
  DeviceMemory inputs_, tokens_, lengths_, cache_, sums_, result_;
  int calls_ = 0;
};

std::vector<int64_t> RowsWithGraph(const GraphCache& cache) {
  std::vector<int64_t> rows;
  for (const GraphBucket& bucket : cache.buckets())
    if (bucket.graph != nullptr) rows.push_back(bucket.rows);
  return rows;
}

// The same tokens as without graphs, while caches grow from nothing, and when one starts anew
// beside long ones.
TEST(GraphCacheTest, ReplaysAreRightForEveryLengthOfTheCache) {
  TinyDecoder with, without;
  GraphCache graphs(with.accelerator(), with.queue(), {1, 2, 4, 8},
                    [&](int64_t rows) { with.Step(rows); });
  EXPECT_THAT(RowsWithGraph(graphs), ElementsAre(1, 2, 4, 8));
  const int calls = with.calls();
  std::vector<int> lengths = {0, 0, 0, 0, 0, 0, 0};
  for (int turn = 0; turn < kMaxLength; ++turn) {
    const auto rows = static_cast<size_t>(turn % 7 + 1);
    std::vector<int> tokens, now(lengths.begin(), lengths.begin() + static_cast<ptrdiff_t>(rows));
    for (size_t row = 0; row < rows; ++row) tokens.push_back(turn * 31 + static_cast<int>(row));
    ASSERT_EQ(with.Run(&graphs, tokens, now), without.Run(nullptr, tokens, now)) << turn;
    for (size_t row = 0; row < rows; ++row) ++lengths[row];
    if (turn == 90) lengths[1] = 0;
  }
  EXPECT_GT(lengths[0], 190);
  EXPECT_EQ(with.calls(), calls);  // replayed, never queued again
}

TEST(GraphCacheTest, StepsArePaddedToTheNextGraph) {
  TinyDecoder decoder;
  GraphCache graphs(decoder.accelerator(), decoder.queue(), {1, 2, 4},
                    [&](int64_t rows) { decoder.Step(rows); });
  EXPECT_EQ(graphs.PaddedRows(1), 1);
  EXPECT_EQ(graphs.PaddedRows(3), 4);
  EXPECT_EQ(graphs.PaddedRows(4), 4);
  EXPECT_EQ(graphs.PaddedRows(5), 5);  // beyond the last: without a graph
  const int calls = decoder.calls();
  EXPECT_THAT(decoder.Run(&graphs, {1, 2, 3, 4, 5}, {0, 0, 0, 0, 0}), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(decoder.calls(), calls + 1);
}

TEST(GraphCacheTest, EachStepIsQueuedOnceBeforeItIsCaptured) {
  TinyDecoder decoder;
  std::vector<std::pair<int64_t, bool>> calls;
  const GraphCache graphs(decoder.accelerator(), decoder.queue(), {1, 2}, [&](int64_t rows) {
    calls.emplace_back(rows, decoder.queue().capturing());
    decoder.Step(rows);
  });
  EXPECT_THAT(calls, ElementsAre(std::pair(1, false), std::pair(1, true), std::pair(2, false),
                                 std::pair(2, true)));
}

TEST(GraphCacheTest, ASizeThatCannotBeCapturedDoesWithoutAndSaysWhy) {
  TinyDecoder decoder;
  GraphCache graphs(decoder.accelerator(), decoder.queue(), {1, 2, 4}, [&](int64_t rows) {
    decoder.Step(rows);
    if (rows == 2) decoder.queue().Synchronize();
  });
  EXPECT_THAT(RowsWithGraph(graphs), ElementsAre(1, 4));
  EXPECT_EQ(graphs.PaddedRows(2), 2);
  EXPECT_THAT(decoder.Run(&graphs, {7, 8}, {0, 0}), ElementsAre(7, 8));
  EXPECT_EQ(graphs.Report(),
            "graphs for 2 of 3 batch sizes, 512 B; none for 2 rows: fake:0: Queue::Synchronize() "
            "is not possible while a graph is captured");
}

TEST(GraphCacheTest, TheMemoryOfAllGraphsIsReportedAndKeptInItsLimit) {
  TinyDecoder decoder({.graph_bytes = 1024});
  const uint64_t free_bytes = decoder.accelerator().memory().free_bytes;
  {
    const GraphCache graphs(
        decoder.accelerator(), decoder.queue(), {1, 2, 4, 8},
        [&](int64_t rows) { decoder.Step(rows); }, 3000);
    EXPECT_THAT(RowsWithGraph(graphs), ElementsAre(1, 2));
    EXPECT_EQ(graphs.bytes(), 2048u);
    EXPECT_EQ(decoder.accelerator().memory().free_bytes, free_bytes - 2048);
    EXPECT_EQ(graphs.buckets()[2].reason,
              "its graph takes 1.00 KiB, of the 2.93 KiB for graphs 952 B are left");
  }
  EXPECT_EQ(decoder.accelerator().live_graphs(), 0);
}

TEST(GraphCacheTest, AGraphForWhichThereIsNoMemoryIsDoneWithout) {
  TinyDecoder decoder({.graph_bytes = 1 << 18});
  const GraphCache graphs(decoder.accelerator(), decoder.queue(), {1, 2, 4, 8},
                          [&](int64_t rows) { decoder.Step(rows); });
  EXPECT_THAT(RowsWithGraph(graphs), ElementsAre(1, 2, 4));
  EXPECT_THAT(graphs.buckets()[3].reason, HasSubstr("out of memory"));
}

TEST(GraphCacheTest, ALostDeviceIsNoReasonToGoOn) {
  TinyDecoder decoder;
  const auto capture = [&] {
    const GraphCache graphs(decoder.accelerator(), decoder.queue(), {1}, [&](int64_t rows) {
      decoder.Step(rows);
      if (decoder.queue().capturing()) decoder.accelerator().Lose("double-bit error");
    });
  };
  EXPECT_THROW(capture(), device::DeviceLost);
}

// Two ranks reduce inside of their steps. That one of them has no graph for a size does not matter
// to the other.
TEST(GraphCacheTest, RanksMayDifferInWhatTheyHaveCaptured) {
  const auto nccl = std::make_shared<comm::testing::FakeNccl>();
  comm::RunOnThreads(2, {}, [&](std::unique_ptr<comm::Communicator>& host) {
    const int rank = host->rank();
    FakeAccelerator accelerator({.index = rank, .id = rank});
    nccl->Attach(rank, accelerator);
    const auto queue = accelerator.CreateQueue();
    comm::NcclCommunicator comm(nccl, accelerator, *queue, std::move(host), {});
    const DeviceMemory partial = accelerator.Allocate(MemoryKind::kDevice, "partial", 8);
    const DeviceMemory pinned = accelerator.Allocate(MemoryKind::kPinned, "staging", 8);
    queue->Clear(partial.data(), partial.bytes());
    GraphCache graphs(accelerator, *queue, {1, 2}, [&](int64_t rows) {
      if (queue->capturing() && rows == 2 && rank == 1) throw core::RuntimeFailure("no kernel");
      comm.AllReduce({partial.as<int32_t>(), 1, rows}).Wait();
    });
    EXPECT_EQ(RowsWithGraph(graphs).size(), rank == 1 ? 1u : 2u);
    for (const int64_t rows : {1, 2, 2, 1}) {
      pinned.as<int32_t>()[0] = 10 + rank;
      pinned.as<int32_t>()[1] = 20 + rank;
      queue->Copy(partial.data(), pinned.data(), pinned.bytes());
      graphs.Run(rows);
      queue->Copy(pinned.data(), partial.data(), pinned.bytes());
      comm.Synchronize();
      EXPECT_EQ(pinned.as<int32_t>()[0], 21);
      EXPECT_EQ(pinned.as<int32_t>()[1], rows == 2 ? 41 : 20 + rank);
    }
  });
}

}  // namespace
}  // namespace autodist::runtime
