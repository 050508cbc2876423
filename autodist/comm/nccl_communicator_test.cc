#include "autodist/comm/nccl_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "autodist/comm/testing.h"
#include "autodist/comm/testing/fake_nccl.h"
#include "autodist/device/cuda.h"
#include "autodist/device/testing/fake_accelerator.h"

namespace autodist::comm {
namespace {

using core::DType;
using device::MemoryKind;
using device::testing::FakeAccelerator;
using testing::FakeNccl;
using testing::FakeNcclFaults;
using ::testing::HasSubstr;

constexpr NcclCode kInternalError = 3;
constexpr double kShortS = 0.5;
constexpr double kLongS = 60;

// A rank's device and its way to the others.
struct GpuRank {
  int rank;
  FakeAccelerator& accelerator;
  device::Queue& queue;
  NcclCommunicator& comm;
};

class NcclCommunicatorTest : public ::testing::Test {
 protected:
  // Runs `body` on every rank of a fresh job, each with a device of its own.
  void Run(int ranks, double timeout_s, const std::function<void(GpuRank)>& body) {
    RunHosts(ranks, [&](std::unique_ptr<Communicator> host, FakeAccelerator& accelerator) {
      const std::unique_ptr<device::Queue> queue = accelerator.CreateQueue();
      const int rank = host->rank();
      NcclCommunicator comm(nccl_, accelerator, *queue, std::move(host),
                            {.collective_timeout_s = timeout_s});
      body({rank, accelerator, *queue, comm});
    });
  }
  void RunHosts(int ranks,
                const std::function<void(std::unique_ptr<Communicator>, FakeAccelerator&)>& body) {
    RunOnThreads(ranks, {.collective_timeout_s = kLongS}, [&](std::unique_ptr<Communicator>& host) {
      const int rank = host->rank();
      FakeAccelerator accelerator(
          {.index = rank, .id = same_device_ ? 7 : rank, .memory_bytes = 1 << 24});
      nccl_->Attach(rank, accelerator);
      body(std::move(host), accelerator);
    });
  }
  // What every rank must end with.
  void ExpectSameError(int ranks, double timeout_s, core::ErrorKind kind, const std::string& text,
                       const std::function<void(GpuRank)>& body) {
    std::vector<std::string> messages(static_cast<size_t>(ranks));
    RunHosts(ranks, [&](std::unique_ptr<Communicator> host, FakeAccelerator& accelerator) {
      const auto rank = static_cast<size_t>(host->rank());
      const core::Error error = ErrorOf([&] {
        const std::unique_ptr<device::Queue> queue = accelerator.CreateQueue();
        NcclCommunicator comm(nccl_, accelerator, *queue, std::move(host),
                              {.collective_timeout_s = timeout_s});
        body({static_cast<int>(rank), accelerator, *queue, comm});
      });
      EXPECT_EQ(error.kind(), kind);
      messages[rank] = error.what();
    });
    for (const std::string& message : messages) {
      EXPECT_THAT(message, HasSubstr(text));
      EXPECT_EQ(message, messages[0]);
    }
  }

  std::shared_ptr<FakeNccl> nccl_ = std::make_shared<FakeNccl>();
  bool same_device_ = false;
};

// Elements on a device, and the way there and back.
template <typename T>
class OnDevice {
 public:
  OnDevice(GpuRank& rank, const std::vector<T>& values)
      : rank_(rank),
        count_(static_cast<int64_t>(values.size())),
        pinned_(rank.accelerator.Allocate(MemoryKind::kPinned, "staging", Bytes())),
        memory_(rank.accelerator.Allocate(MemoryKind::kDevice, "tensor", Bytes())) {
    Set(values);
  }
  void Set(const std::vector<T>& values) {
    std::copy(values.begin(), values.end(), pinned_.template as<T>());
    rank_.queue.Copy(memory_.data(), pinned_.data(), Bytes());
  }
  core::TensorView view() const { return {memory_.template as<T>(), 1, count_}; }
  // After everything queued so far.
  std::vector<T> Get() {
    const device::DeviceMemory back =
        rank_.accelerator.Allocate(MemoryKind::kPinned, "staging", Bytes());
    rank_.queue.Copy(back.data(), memory_.data(), Bytes());
    rank_.comm.Synchronize();
    return std::vector<T>(back.template as<T>(), back.template as<T>() + count_);
  }

 private:
  size_t Bytes() const { return static_cast<size_t>(count_) * sizeof(T); }

  GpuRank& rank_;
  int64_t count_;
  device::DeviceMemory pinned_;
  device::DeviceMemory memory_;
};

std::vector<int32_t> Counting(int first, size_t count) {
  std::vector<int32_t> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST_F(NcclCommunicatorTest, CollectivesMoveTheTensorsThatTheyName) {
  for (const int ranks : {2, 3, 4}) {
    Run(ranks, kLongS, [&](GpuRank rank) {
      const int me = rank.rank;
      OnDevice<int32_t> sum(rank, {me, 10 * me, -1});
      rank.comm.AllReduce(sum.view()).Wait();
      OnDevice<int32_t> most(rank, {me, -me});
      rank.comm.AllReduce(most.view(), ReduceOp::kMax).Wait();
      OnDevice<int32_t> part(rank, {me, 100 + me});
      OnDevice<int32_t> whole(rank, Counting(0, static_cast<size_t>(2 * ranks)));
      rank.comm.AllGather(part.view(), whole.view()).Wait();
      OnDevice<int32_t> scattered(rank, {0, 0, 0});
      OnDevice<int32_t> addends(rank, Counting(me, static_cast<size_t>(3 * ranks)));
      rank.comm.ReduceScatter(addends.view(), scattered.view()).Wait();
      OnDevice<int32_t> word(rank, {me == 1 ? 42 : 0});
      rank.comm.Broadcast(word.view(), 1).Wait();
      OnDevice<int32_t> out(rank, Counting(0, static_cast<size_t>(ranks)));
      OnDevice<int32_t> in(rank, Counting(100 * me, static_cast<size_t>(ranks)));
      rank.comm.AllToAll(in.view(), out.view()).Wait();
      OnDevice<int32_t> nothing(rank, {});
      rank.comm.AllReduce(nothing.view()).Wait();

      const int all = ranks * (ranks - 1) / 2;
      EXPECT_THAT(sum.Get(), ::testing::ElementsAre(all, 10 * all, -ranks));
      EXPECT_THAT(most.Get(), ::testing::ElementsAre(ranks - 1, 0));
      for (int peer = 0; peer < ranks; ++peer) {
        EXPECT_EQ(whole.Get()[static_cast<size_t>(2 * peer)], peer);
        EXPECT_EQ(whole.Get()[static_cast<size_t>(2 * peer + 1)], 100 + peer);
        EXPECT_EQ(out.Get()[static_cast<size_t>(peer)], 100 * peer + me);
      }
      for (int i = 0; i < 3; ++i)
        EXPECT_EQ(scattered.Get()[static_cast<size_t>(i)], ranks * (3 * me + i) + all);
      EXPECT_EQ(word.Get()[0], 42);
    });
  }
  EXPECT_EQ(nccl_->aborts(), 0);
  EXPECT_EQ(nccl_->destroyed(), 2 + 3 + 4);
}

// Every dtype reaches the library as what it is: of i64 and bf16 the sums show it.
TEST_F(NcclCommunicatorTest, DtypesAreThoseOfTheTensors) {
  Run(2, kLongS, [&](GpuRank rank) {
    OnDevice<int64_t> wide(rank, {int64_t{1} << 40, 1});
    rank.comm.AllReduce(wide.view()).Wait();
    OnDevice<core::BFloat16> half(rank, {core::ToBFloat16(1.5f), core::ToBFloat16(-3.0f)});
    rank.comm.AllReduce(half.view()).Wait();
    EXPECT_THAT(wide.Get(), ::testing::ElementsAre(int64_t{1} << 41, 2));
    EXPECT_EQ(core::ToFloat(half.Get()[0]), 3.0f);
    EXPECT_EQ(core::ToFloat(half.Get()[1]), -6.0f);
  });
}

TEST_F(NcclCommunicatorTest, MessagesGoDownThePipelineInOrder) {
  Run(3, kLongS, [&](GpuRank rank) {
    OnDevice<int32_t> residual(rank, {7, 8});
    for (int micro_batch = 0; micro_batch < 3; ++micro_batch) {
      if (rank.rank > 0) rank.comm.Receive(residual.view(), rank.rank - 1).Wait();
      if (rank.rank == 0) residual.Set({micro_batch, 10 * micro_batch});
      if (rank.rank < 2) rank.comm.Send(residual.view(), rank.rank + 1).Wait();
      rank.comm.Synchronize();
      EXPECT_THAT(residual.Get(), ::testing::ElementsAre(micro_batch, 10 * micro_batch));
    }
  });
}

// The collectives of a decode step are recorded with it, and meet anew in every replay.
TEST_F(NcclCommunicatorTest, CollectivesInAGraphWorkInEveryReplay) {
  Run(2, kLongS, [&](GpuRank rank) {
    OnDevice<int32_t> data(rank, {0});
    const std::unique_ptr<device::Graph> graph = rank.queue.Capture([&] {
      rank.comm.AllReduce(data.view()).Wait();
      rank.comm.AllReduce(data.view()).Wait();
    });
    for (int turn = 1; turn < 4; ++turn) {
      data.Set({turn + rank.rank});
      rank.queue.Launch(*graph);
      rank.comm.AllReduce(data.view()).Wait();  // beside those of the graph
      EXPECT_EQ(data.Get()[0], 4 * (2 * turn + 1));
    }
  });
}

TEST_F(NcclCommunicatorTest, SplitMakesGroupsOfTheirOwn) {
  Run(4, kLongS, [&](GpuRank rank) {
    const auto tp = rank.comm.Split(rank.rank / 2, -rank.rank, "tp");
    EXPECT_EQ(tp->rank(), 1 - rank.rank % 2);
    EXPECT_EQ(tp->name(), "tp");
    OnDevice<int32_t> data(rank, {rank.rank});
    tp->AllReduce(data.view()).Wait();
    EXPECT_EQ(data.Get()[0], rank.rank < 2 ? 1 : 5);
    EXPECT_EQ(rank.comm.Split(rank.rank == 0 ? 0 : -1, 0) == nullptr, rank.rank != 0);

    // A group of one copies on its queue: the memory is not the host's.
    const auto alone = rank.comm.Split(rank.rank, 0);
    OnDevice<int32_t> copy(rank, {0});
    alone->AllGather(data.view(), copy.view()).Wait();
    alone->AllReduce(copy.view()).Wait();
    EXPECT_EQ(copy.Get(), data.Get());
    rank.comm.Barrier();
  });
}

TEST_F(NcclCommunicatorTest, RanksOnOneGpuAreRefusedBeforeNcclDoes) {
  same_device_ = true;
  ExpectSameError(
      3, kLongS, core::ErrorKind::kBadInput,
      "ranks 0 and 1 of group world have the same GPU, and NCCL needs one for each rank",
      [](GpuRank rank) { rank.comm.Barrier(); });
}

TEST_F(NcclCommunicatorTest, ALibraryThatCannotStartEndsEveryRank) {
  nccl_->SetFaults(0, {.unique_id = kInternalError});
  ExpectSameError(2, kLongS, core::ErrorKind::kRuntime,
                  "NCCL failed on rank 0 of group world, starting a group: fake error 3",
                  [](GpuRank rank) { rank.comm.Barrier(); });
}

TEST_F(NcclCommunicatorTest, ARankThatCannotJoinEndsEveryRank) {
  for (const bool at_once : {false, true}) {
    nccl_->SetFaults(1, {.init = kInternalError, .init_returns_error = at_once});
    ExpectSameError(3, kLongS, core::ErrorKind::kRuntime,
                    "NCCL failed on rank 1 of group world, joining: fake error 3",
                    [](GpuRank rank) { rank.comm.Barrier(); });
  }
}

// The others have met it on the host, but it does not come to NCCL.
TEST_F(NcclCommunicatorTest, ARankThatDoesNotJoinIsWaitedForUntilTheTimeOut) {
  nccl_->SetFaults(1, {.init = kNcclInProgress});
  ExpectSameError(2, kShortS, core::ErrorKind::kPeerLost,
                  "waited 0.5 s for NCCL, joining group world of 2 ranks",
                  [](GpuRank rank) { rank.comm.Barrier(); });
}

TEST_F(NcclCommunicatorTest, AnErrorOfACallEndsEveryRank) {
  ExpectSameError(2, kLongS, core::ErrorKind::kRuntime,
                  "NCCL failed on rank 1 of group world, all_reduce(1 x int32, sum): fake error 3",
                  [&](GpuRank rank) {
                    OnDevice<int32_t> data(rank, {1});
                    rank.comm.AllReduce(data.view()).Wait();
                    rank.comm.Synchronize();
                    if (rank.rank == 1) nccl_->SetFaults(1, {.next_call = kInternalError});
                    rank.comm.AllReduce(data.view()).Wait();
                    rank.comm.Synchronize();
                  });
  EXPECT_EQ(nccl_->aborts(), 2);
}

TEST_F(NcclCommunicatorTest, AnErrorThatShowsLaterWakesWhoWaitsForTheQueue) {
  ExpectSameError(2, kLongS, core::ErrorKind::kPeerLost,
                  "NCCL failed on rank 1 of group world, at work: fake error 6", [&](GpuRank rank) {
                    OnDevice<int32_t> data(rank, {1});
                    if (rank.rank == 1) {
                      rank.comm.Barrier();
                      nccl_->SetFaults(1, {.async = kNcclRemoteError});
                      while (true) rank.comm.ThrowIfAborted();  // the watch finds it
                    }
                    rank.comm.AllReduce(data.view()).Wait();
                    rank.comm.Barrier();
                    rank.comm.Synchronize();
                  });
  EXPECT_EQ(nccl_->aborts(), 2);
}

TEST_F(NcclCommunicatorTest, ACollectiveThatARankDoesNotEnterEndsAtTheTimeOut) {
  ExpectSameError(2, kShortS, core::ErrorKind::kPeerLost, "rank 0 waited 0.5 s", [&](GpuRank rank) {
    OnDevice<int32_t> data(rank, {1});
    rank.comm.AllReduce(data.view()).Wait();
    rank.comm.Synchronize();
    if (rank.rank == 1)
      while (true) rank.comm.ThrowIfAborted();
    rank.comm.AllReduce(data.view()).Wait();
    try {
      rank.comm.Synchronize();
    } catch (const core::Error& error) {
      EXPECT_STREQ(error.what(),
                   "all_reduce(1 x int32, sum) #2 of group world has not ended on "
                   "fake:0: rank 0 waited 0.5 s");
      throw;
    }
  });
}

// The host has no mark for a collective inside of a graph.
TEST_F(NcclCommunicatorTest, AReplayThatDoesNotEndIsNoticedByWhoWaitsForIt) {
  ExpectSameError(
      2, kShortS, core::ErrorKind::kPeerLost,
      "work queued after call #1 of group world has not ended on fake:0", [&](GpuRank rank) {
        OnDevice<int32_t> data(rank, {1});
        const auto graph = rank.queue.Capture([&] { rank.comm.AllReduce(data.view()).Wait(); });
        if (rank.rank == 1)
          while (true) rank.comm.ThrowIfAborted();
        rank.queue.Launch(*graph);
        rank.comm.Synchronize();
      });
}

TEST_F(NcclCommunicatorTest, WhoeverAbortsTheJobFreesTheQueuesOfAll) {
  ExpectSameError(3, kLongS, core::ErrorKind::kBadInput, "prompt.txt: not UTF-8",
                  [&](GpuRank rank) {
                    OnDevice<int32_t> data(rank, {1});
                    const auto tp = rank.comm.Split(0, 0);
                    if (rank.rank == 2) rank.comm.Abort(core::BadInput("prompt.txt: not UTF-8"));
                    tp->AllReduce(data.view()).Wait();
                    rank.comm.Synchronize();
                  });
}

// The queue is the whole job's, the handle that keeps it is a group's: `other` has to notice that
// the group's abort freed it.
void FreeTheQueueAndSynchronize(GpuRank rank, Communicator& other) {
  OnDevice<int32_t> data(rank, {1});
  auto tp = rank.comm.Split(0, 0);
  if (rank.rank == 0) tp->AllReduce(data.view()).Wait();
  rank.comm.Barrier();
  rank.comm.Abort(core::BadInput("prompt.txt: not UTF-8"));
  tp.reset();
  dynamic_cast<NcclCommunicator&>(other).Synchronize();
}

TEST_F(NcclCommunicatorTest, AQueueThatAnotherGroupsAbortFreedHasNoResults) {
  ExpectSameError(2, kLongS, core::ErrorKind::kBadInput, "prompt.txt: not UTF-8",
                  [](GpuRank rank) { FreeTheQueueAndSynchronize(rank, rank.comm); });
}

TEST_F(NcclCommunicatorTest, ARankAloneNoticesThatAnAbortFreedItsQueue) {
  ExpectSameError(2, kLongS, core::ErrorKind::kBadInput, "prompt.txt: not UTF-8", [](GpuRank rank) {
    const auto alone = rank.comm.Split(rank.rank, 0);
    FreeTheQueueAndSynchronize(rank, *alone);
  });
}

TEST_F(NcclCommunicatorTest, ALostDeviceEndsEveryRank) {
  ExpectSameError(2, kLongS, core::ErrorKind::kRuntime, "fake:1 was lost: it fell off the bus",
                  [&](GpuRank rank) {
                    OnDevice<int32_t> data(rank, {1});
                    rank.comm.Barrier();
                    if (rank.rank == 1) rank.accelerator.Lose("it fell off the bus");
                    rank.comm.AllReduce(data.view()).Wait();
                    rank.comm.Synchronize();
                  });
}

TEST_F(NcclCommunicatorTest, ARankThatDoesNotLeaveDoesNotKeepTheOthers) {
  Run(2, kLongS, [&](GpuRank rank) {
    if (rank.rank == 1) nccl_->SetFaults(1, {.never_finalizes = true});
    rank.comm.Barrier();
  });
  EXPECT_EQ(nccl_->aborts(), 2);
}

// Without the library, or in a build without the backend, one sentence says so.
TEST(LoadNcclTest, TheLibraryIsThereOrOneSentenceSaysWhatIsMissing) {
  try {
    const std::shared_ptr<NcclLibrary> library = LoadNccl();
    EXPECT_FALSE(library->Describe(kNcclRemoteError).empty());
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr("NCCL"));
  }
}

// As far as the real library goes where there is no GPU: both ranks join, it fails, and both end.
TEST_F(NcclCommunicatorTest, TheRealLibraryWithoutAGpuEndsEveryRank) {
  std::shared_ptr<NcclLibrary> library;
  try {
    library = LoadNccl();
  } catch (const core::Error& error) {
    GTEST_SKIP() << error.what();
  }
  try {
    GTEST_SKIP() << "there is a GPU: " << device::ListCudaDevices().front().name;
  } catch (const core::Error&) {
  }
  std::vector<std::string> messages(2);
  RunHosts(2, [&](std::unique_ptr<Communicator> host, FakeAccelerator& accelerator) {
    const auto rank = static_cast<size_t>(host->rank());
    const auto queue = accelerator.CreateQueue();
    const core::Error error =
        ErrorOf([&] { NcclCommunicator comm(library, accelerator, *queue, std::move(host), {}); });
    EXPECT_EQ(error.kind(), core::ErrorKind::kRuntime);
    messages[rank] = error.what();
  });
  EXPECT_THAT(messages[0], HasSubstr("NCCL failed on rank "));
  EXPECT_EQ(messages[0], messages[1]);
}

}  // namespace
}  // namespace autodist::comm
