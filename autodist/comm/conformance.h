// The suite that every communicator backend passes: it is the contract of communicator.h as tests.
// Included by one test source per backend, which instantiates it:
//   INSTANTIATE_TEST_SUITE_P(Threads, ConformanceTest, testing::Values(Backend{"threads", 2,
//   &RunThreads}, ...), Name);
#ifndef AUTODIST_COMM_CONFORMANCE_H_
#define AUTODIST_COMM_CONFORMANCE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "autodist/comm/communicator.h"
#include "autodist/comm/testing.h"

namespace autodist::comm {

using core::DType;

// What one rank does. It may destroy its communicator.
using RankBody = std::function<void(std::unique_ptr<Communicator>& comm)>;

struct Backend {
  std::string name;
  int ranks = 0;
  // Runs the body on every rank of a fresh job; a failed expectation of any rank is a failure of
  // the test.
  std::function<void(int ranks, const CommOptions& options, const RankBody& body)> run;
  // False where Abort() ends the processes instead of waking their waits (MPI between hosts).
  bool wakes_on_abort = true;
};

inline void PrintTo(const Backend& backend, std::ostream* out) {
  *out << backend.name << backend.ranks;
}

inline std::string BackendName(const testing::TestParamInfo<Backend>& info) {
  return info.param.name + std::to_string(info.param.ranks);
}

inline constexpr DType kAllDTypes[] = {DType::kF32, DType::kBF16, DType::kF16,
                                       DType::kI32, DType::kI64,  DType::kU8};
// Nothing, one, odd, around the sizes of chunks and slots, several MiB.
inline constexpr int64_t kCounts[] = {0, 1, 3, 67, 1000, 8192, 8193, 70001};
inline constexpr int64_t kManyCount = 1'300'003;

// A tensor that owns its bytes, one row.
struct Tensor {
  Tensor(DType type, int64_t elements)
      : dtype(type),
        count(elements),
        bytes(static_cast<size_t>(elements) * core::SizeOf(type) + 1, std::byte{0xa5}) {}
  core::TensorView view() { return {bytes.data(), dtype, 1, count}; }
  // Elements [first, first + n).
  core::TensorView part(int64_t first, int64_t n) { return view().Cols(first, n); }

  DType dtype;
  int64_t count;
  std::vector<std::byte> bytes;  // and one more, which nobody may touch
};

// Element `index` of what `rank` gives: signed, with many exponents, so that the order of a sum
// shows in its bits.
inline float InputValue(int rank, int64_t index) {
  uint64_t x = static_cast<uint64_t>(index) * 0x9e3779b97f4a7c15u +
               static_cast<uint64_t>(rank + 1) * 0xd1b54a32d192ed03u;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  const int exponent = static_cast<int>(x >> 60) - 8;
  return std::ldexp(static_cast<float>(static_cast<int32_t>(x >> 20)) * 0x1p-31f, exponent);
}

inline void SetElement(Tensor& tensor, int64_t index, float value) {
  std::byte* at = tensor.bytes.data() + static_cast<size_t>(index) * core::SizeOf(tensor.dtype);
  const auto put = [&](auto element) { std::memcpy(at, &element, sizeof(element)); };
  switch (tensor.dtype) {
    case DType::kF32:
      return put(value);
    case DType::kF16:
      return put(core::ToFloat16(value));
    case DType::kBF16:
      return put(core::ToBFloat16(value));
    case DType::kI32:
      return put(static_cast<int32_t>(value * 0x1p20f));
    case DType::kI64:
      return put(static_cast<int64_t>(value * 0x1p50f));
    case DType::kU8:
      return put(static_cast<uint8_t>(static_cast<int>(value * 100) & 0xff));
  }
}

inline Tensor Input(DType dtype, int64_t count, int rank, int64_t first = 0) {
  Tensor tensor(dtype, count);
  for (int64_t i = 0; i < count; ++i) SetElement(tensor, i, InputValue(rank, first + i));
  return tensor;
}

template <typename T>
T ElementOf(const Tensor& tensor, int64_t index) {
  T value;
  std::memcpy(&value, tensor.bytes.data() + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

// The sum or maximum over the ranks, written down as plainly as it is promised.
inline Tensor Reference(DType dtype, int64_t count, int ranks, ReduceOp op, int64_t first = 0) {
  std::vector<Tensor> inputs;
  for (int rank = 0; rank < ranks; ++rank) inputs.push_back(Input(dtype, count, rank, first));
  Tensor result(dtype, count);
  const auto fold = [&](auto tag, const auto& widen, const auto& narrow) {
    using T = decltype(tag);
    for (int64_t i = 0; i < count; ++i) {
      auto sum = widen(ElementOf<T>(inputs[0], i));
      for (int rank = 1; rank < ranks; ++rank) {
        const auto value = widen(ElementOf<T>(inputs[rank], i));
        sum = static_cast<decltype(sum)>(op == ReduceOp::kSum ? sum + value : std::max(sum, value));
      }
      const T element = narrow(sum);
      std::memcpy(result.bytes.data() + static_cast<size_t>(i) * sizeof(T), &element, sizeof(T));
    }
  };
  const auto same = [](auto x) { return x; };
  switch (dtype) {
    case DType::kF32:
      fold(float{}, same, same);
      break;
    case DType::kF16:
      fold(
          core::Float16{}, [](core::Float16 x) { return core::ToFloat(x); }, core::ToFloat16);
      break;
    case DType::kBF16:
      fold(
          core::BFloat16{}, [](core::BFloat16 x) { return core::ToFloat(x); }, core::ToBFloat16);
      break;
    case DType::kI32:
      fold(int32_t{}, same, same);
      break;
    case DType::kI64:
      fold(int64_t{}, same, same);
      break;
    case DType::kU8:
      fold(uint8_t{}, same, same);
      break;
  }
  return result;
}

// Equal bits, and nothing written behind the end.
inline testing::AssertionResult SameBits(const Tensor& got, const Tensor& want) {
  if (got.bytes == want.bytes) return testing::AssertionSuccess();
  const auto differing =
      std::mismatch(got.bytes.begin(), got.bytes.end(), want.bytes.begin(), want.bytes.end());
  return testing::AssertionFailure()
         << core::NameOf(got.dtype) << " x " << got.count << " differs from byte "
         << differing.first - got.bytes.begin();
}

class ConformanceTest : public testing::TestWithParam<Backend> {
 protected:
  int ranks() const { return GetParam().ranks; }
  void Run(const std::function<void(Communicator&)>& body) const {
    GetParam().run(ranks(), CommOptions(),
                   [&](std::unique_ptr<Communicator>& comm) { body(*comm); });
  }
  void RunWithTimeout(double seconds, const RankBody& body) const {
    GetParam().run(ranks(), CommOptions{.collective_timeout_s = seconds}, body);
  }
};

TEST_P(ConformanceTest, AllReduceGivesTheBitsOfTheSumInRankOrder) {
  Run([](Communicator& comm) {
    for (DType dtype : kAllDTypes) {
      for (int64_t count : kCounts) {
        for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax}) {
          Tensor data = Input(dtype, count, comm.rank());
          comm.AllReduce(data.view(), op).Wait();
          EXPECT_TRUE(SameBits(data, Reference(dtype, count, comm.size(), op)));
        }
      }
    }
    Tensor many = Input(DType::kF32, kManyCount, comm.rank());
    comm.AllReduce(many.view()).Wait();
    EXPECT_TRUE(SameBits(many, Reference(DType::kF32, kManyCount, comm.size(), ReduceOp::kSum)));
  });
}

// However a tensor is cut, an element gets the same bits.
TEST_P(ConformanceTest, AllReduceOfAPartGivesThatPartOfTheWhole) {
  Run([](Communicator& comm) {
    Tensor whole = Input(DType::kBF16, 70001, comm.rank());
    Tensor parts = whole;
    comm.AllReduce(whole.view()).Wait();
    for (int64_t first = 0; first < parts.count; first += 9973) {
      comm.AllReduce(parts.part(first, std::min<int64_t>(9973, parts.count - first))).Wait();
    }
    EXPECT_TRUE(SameBits(parts, whole));
  });
}

TEST_P(ConformanceTest, AllGatherPutsThePartsInRankOrder) {
  Run([](Communicator& comm) {
    for (DType dtype : kAllDTypes) {
      for (int64_t count : kCounts) {
        Tensor part = Input(dtype, count, comm.rank());
        Tensor whole(dtype, count * comm.size());
        comm.AllGather(part.view(), whole.view()).Wait();
        Tensor in_place(dtype, count * comm.size());
        if (count != 0) {
          std::memcpy(in_place.part(comm.rank() * count, count).data(), part.view().data(),
                      part.view().bytes());
        }
        comm.AllGather(in_place.part(comm.rank() * count, count), in_place.view()).Wait();
        for (int peer = 0; peer < comm.size(); ++peer) {
          const Tensor want = Input(dtype, count, peer);
          EXPECT_EQ(std::memcmp(whole.part(peer * count, count).data(), want.bytes.data(),
                                part.view().bytes()),
                    0);
        }
        EXPECT_TRUE(SameBits(in_place, whole));
      }
    }
  });
}

TEST_P(ConformanceTest, ReduceScatterGivesEachRankItsPartOfTheSum) {
  Run([](Communicator& comm) {
    for (DType dtype : kAllDTypes) {
      for (int64_t count : kCounts) {
        Tensor whole = Input(dtype, count * comm.size(), comm.rank());
        Tensor part(dtype, count);
        comm.ReduceScatter(whole.view(), part.view(), ReduceOp::kSum).Wait();
        EXPECT_TRUE(SameBits(
            part, Reference(dtype, count, comm.size(), ReduceOp::kSum, comm.rank() * count)));
        // Into its own place.
        comm.ReduceScatter(whole.view(), whole.part(comm.rank() * count, count)).Wait();
        EXPECT_EQ(std::memcmp(whole.part(comm.rank() * count, count).data(), part.bytes.data(),
                              part.view().bytes()),
                  0);
      }
    }
  });
}

TEST_P(ConformanceTest, BroadcastGivesEveryRankTheTensorOfTheRoot) {
  Run([](Communicator& comm) {
    for (int root = 0; root < comm.size(); ++root) {
      for (int64_t count : kCounts) {
        Tensor data = Input(DType::kI64, count, comm.rank());
        comm.Broadcast(data.view(), root).Wait();
        EXPECT_TRUE(SameBits(data, Input(DType::kI64, count, root)));
      }
    }
  });
}

TEST_P(ConformanceTest, AllToAllExchangesEveryPairOfParts) {
  Run([](Communicator& comm) {
    for (DType dtype : kAllDTypes) {
      for (int64_t count : kCounts) {
        Tensor in = Input(dtype, count * comm.size(), comm.rank());
        Tensor out(dtype, count * comm.size());
        comm.AllToAll(in.view(), out.view()).Wait();
        for (int peer = 0; peer < comm.size(); ++peer) {
          const Tensor want = Input(dtype, count, peer, comm.rank() * count);
          EXPECT_EQ(std::memcmp(out.part(peer * count, count).data(), want.bytes.data(),
                                want.bytes.size() - 1),
                    0);
        }
      }
    }
  });
}

// Every rank sends around the ring before it receives, and waits for its receives in the reverse
// order.
TEST_P(ConformanceTest, SeveralMessagesTravelAroundTheRing) {
  Run([](Communicator& comm) {
    const int next = (comm.rank() + 1) % comm.size();
    const int previous = (comm.rank() + comm.size() - 1) % comm.size();
    for (int turn = 0; turn < 3; ++turn) {
      std::vector<Tensor> received;
      std::vector<Work> receives;
      for (int64_t count : kCounts) received.emplace_back(DType::kF32, count);
      for (Tensor& tensor : received) receives.push_back(comm.Receive(tensor.view(), previous));
      for (int64_t count : kCounts) {
        Tensor data = Input(DType::kF32, count, comm.rank() + turn);
        Work work = comm.Send(data.view(), next);
        work.Wait();  // buffered: `data` is gone before anybody has received it
      }
      std::reverse(receives.begin(), receives.end());
      for (Work& work : receives) work.Wait();
      for (Tensor& tensor : received) {
        EXPECT_TRUE(SameBits(tensor, Input(DType::kF32, tensor.count, previous + turn)));
      }
    }
  });
}

// A stage may be many micro-batches ahead of the next one.
TEST_P(ConformanceTest, SendsDoNotWaitForTheReceiver) {
  Run([](Communicator& comm) {
    constexpr int kMessages = 40;
    const int last = comm.size() - 1;
    if (comm.rank() == 0) {
      for (int i = 0; i < kMessages; ++i)
        comm.Send(Input(DType::kBF16, 100'003, i).view(), last).Wait();
    }
    comm.Barrier();
    if (comm.rank() == last) {
      for (int i = 0; i < kMessages; ++i) {
        Tensor data(DType::kBF16, 100'003);
        Work work = comm.Receive(data.view(), 0);
        while (!work.Done()) std::this_thread::yield();
        EXPECT_TRUE(SameBits(data, Input(DType::kBF16, 100'003, i)));
      }
    }
    comm.Barrier();
  });
}

TEST_P(ConformanceTest, SplitOrdersByKeyAndLeavesOutNegativeColors) {
  Run([](Communicator& comm) {
    // Even and odd ranks, each in reverse order.
    const int color = comm.rank() % 2;
    const auto half = comm.Split(color, -comm.rank(), color == 0 ? "even" : "odd");
    const int members = (comm.size() + 1 - color) / 2;
    ASSERT_EQ(half->size(), members);
    EXPECT_EQ(half->rank(), members - 1 - comm.rank() / 2);
    EXPECT_EQ(half->name(), color == 0 ? "even" : "odd");
    std::vector<int32_t> ranks(static_cast<size_t>(members));
    const int32_t rank = comm.rank();
    half->AllGather({&rank, 1, 1}, {ranks.data(), 1, members}).Wait();
    for (int i = 0; i < members; ++i) EXPECT_EQ(ranks[i], 2 * (members - 1 - i) + color);

    // The groups live side by side with the group that they came from.
    Tensor data = Input(DType::kF32, 70001, comm.rank());
    half->AllReduce(data.view()).Wait();
    Tensor all = Input(DType::kF32, 1000, comm.rank());
    comm.AllReduce(all.view()).Wait();
    EXPECT_TRUE(SameBits(all, Reference(DType::kF32, 1000, comm.size(), ReduceOp::kSum)));

    const auto some = comm.Split(comm.rank() == 0 ? -1 : 7, 0);
    ASSERT_EQ(some == nullptr, comm.rank() == 0);
    if (some != nullptr) {
      EXPECT_EQ(some->rank(), comm.rank() - 1);
      EXPECT_EQ(some->name(), "world.7");
      const auto again = some->Split(0, 0);
      again->Barrier();
    }
    // Groups come and go.
    for (int turn = 0; turn < 20; ++turn) comm.Split(turn % (comm.rank() + 1), 0)->Barrier();
    const auto alone = comm.Split(comm.rank(), 0);
    EXPECT_EQ(alone->size(), 1);
    alone->AllReduce(data.view()).Wait();
    alone->Barrier();
  });
}

// Thousands of rounds with ranks of uneven speed: what one rank still reads, no other may
// overwrite.
TEST_P(ConformanceTest, FastRanksDoNotOvertakeSlowOnes) {
  Run([](Communicator& comm) {
    int64_t wrong = 0;
    for (int32_t turn = 0; turn < 2000; ++turn) {
      int32_t sum[] = {turn + comm.rank(), turn};
      if (turn % 97 == comm.rank()) std::this_thread::sleep_for(std::chrono::microseconds(300));
      comm.AllReduce({sum, 1, 2}).Wait();
      wrong += sum[0] != turn * comm.size() + comm.size() * (comm.size() - 1) / 2;
      wrong += sum[1] != turn * comm.size();
      int32_t root_turn = comm.rank() == turn % comm.size() ? turn : -1;
      comm.Broadcast({&root_turn, 1, 1}, turn % comm.size()).Wait();
      wrong += root_turn != turn;
    }
    EXPECT_EQ(wrong, 0);
  });
}

TEST_P(ConformanceTest, AbortWakesEveryWaitWithItsReason) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  Run([](Communicator& comm) {
    const auto pair = comm.Split(comm.rank() / 2, 0);
    comm.Barrier();
    if (comm.rank() == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      comm.Abort(core::BadInput("model.safetensors: broken"));
      comm.Abort(core::RuntimeFailure("too late, the first reason counts"));
    }
    int32_t value = 0;
    const core::Error error = ErrorOf([&] {
      // Some wait in a sub-group, some for a message, some in the group itself.
      if (comm.rank() % 2 == 1) comm.Receive({&value, 1, 1}, 0).Wait();
      if (pair->size() == 2) pair->Receive({&value, 1, 1}, 1 - pair->rank()).Wait();
      comm.Barrier();
    });
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    EXPECT_STREQ(error.what(), "model.safetensors: broken");
  });
}

// For those that wait for something else: a device, a file.
TEST_P(ConformanceTest, AnAbortShowsWithoutWaiting) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  Run([](Communicator& comm) {
    const auto pair = comm.Split(comm.rank() / 2, 0);
    comm.ThrowIfAborted();
    comm.Barrier();
    if (comm.rank() == 0) comm.Abort(core::BadInput("model.safetensors: broken"));
    const core::Error error = ErrorOf([&] {
      while (true) {
        pair->ThrowIfAborted();
        std::this_thread::yield();
      }
    });
    EXPECT_STREQ(error.what(), "model.safetensors: broken");
  });
}

// A rank that fails frees its tensor at once; a peer may be in the middle of adding it.
TEST_P(ConformanceTest, AnAbortAmidLargeAllReducesEndsThemAll) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  for (int turn = 0; turn < 5; ++turn) {
    Run([](Communicator& comm) {
      comm.Barrier();
      std::thread aborter;
      if (comm.rank() == 0) {
        aborter = std::thread([&] {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
          comm.Abort(core::BadInput("amid"));
        });
      }
      const core::Error error = ErrorOf([&] {
        while (true) {
          Tensor data(DType::kF32, 300'007);
          comm.AllReduce(data.view()).Wait();
        }
      });
      EXPECT_STREQ(error.what(), "amid");
      if (aborter.joinable()) aborter.join();
    });
  }
}

TEST_P(ConformanceTest, TimeoutNamesTheRankThatDidNotEnter) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  RunWithTimeout(0.5, [](std::unique_ptr<Communicator>& comm) {
    const int last = comm->size() - 1;
    comm->Barrier();
    float sums[3] = {};
    if (comm->rank() == last) {
      // Busy with something else, until the others have given up.
      Work work = comm->Receive({sums, 1, 1}, 0);
      const core::Error error = ErrorOf([&] {
        while (!work.Done()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      });
      EXPECT_EQ(error.kind(), core::ErrorKind::kPeerLost);
      return;
    }
    const core::Error error = ErrorOf([&] { comm->AllReduce({sums, 1, 3}).Wait(); });
    EXPECT_EQ(error.kind(), core::ErrorKind::kPeerLost);
    std::string waiting = "rank 0";
    for (int peer = 1; peer < last; ++peer) waiting += ", " + std::to_string(peer);
    if (last > 1) waiting.replace(0, 4, "ranks");
    EXPECT_EQ(error.what(),
              fmt::format(
                  "rank {} has not entered all_reduce #2 (group world, 12 bytes); {} waited 0.5 s",
                  last, waiting));
  });
}

// What ranks do before they meet, such as loading, may take longer than the time-out.
TEST_P(ConformanceTest, ABarrierMayWaitLongerThanTheTimeout) {
  RunWithTimeout(0.3, [](std::unique_ptr<Communicator>& comm) {
    if (comm->rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(900));
    comm->Barrier(60);
  });
}

TEST_P(ConformanceTest, ABarrierMayHaveLessPatienceThanTheTimeout) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  RunWithTimeout(60, [](std::unique_ptr<Communicator>& comm) {
    if (comm->rank() == 0) {
      float value = 0;
      ErrorOf([&] { comm->Receive({&value, 1, 1}, 1).Wait(); });
      return;
    }
    const core::Error error = ErrorOf([&] { comm->Barrier(0.2); });
    EXPECT_EQ(error.kind(), core::ErrorKind::kPeerLost);
    EXPECT_THAT(
        error.what(),
        testing::HasSubstr("rank 0 has not entered barrier #1 (group world, 0 bytes); rank"));
    EXPECT_THAT(error.what(), testing::HasSubstr(" waited 0.2 s"));
  });
}

TEST_P(ConformanceTest, TimeoutNamesTheMessageThatDidNotCome) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  RunWithTimeout(0.2, [](std::unique_ptr<Communicator>& comm) {
    float value = 0;
    if (comm->rank() != 1) {
      ErrorOf([&] { comm->Receive({&value, 1, 1}, 1).Wait(); });
      return;
    }
    const core::Error error = ErrorOf([&] { comm->Receive({&value, 1, 1}, 0).Wait(); });
    EXPECT_EQ(error.kind(), core::ErrorKind::kPeerLost);
    EXPECT_THAT(error.what(), testing::HasSubstr("has not sent message #1 to"));
  });
}

TEST_P(ConformanceTest, MismatchedCallsNameBothSides) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  Run([](Communicator& comm) {
    const auto group = comm.Split(0, 0, "tp0");
    group->Barrier();
    const core::Error error = ErrorOf([&] {
      Tensor data(comm.rank() == 0 ? DType::kF32 : DType::kBF16, 12);
      group->AllReduce(data.view()).Wait();
    });
    EXPECT_EQ(error.kind(), core::ErrorKind::kRuntime);
    EXPECT_THAT(
        error.what(),
        testing::HasSubstr("collective #2 of group tp0 differs: rank 0 called all_reduce(12 x "
                           "float32, sum), rank "));
    EXPECT_THAT(error.what(), testing::HasSubstr("called all_reduce(12 x bfloat16, sum)"));
  });
}

TEST_P(ConformanceTest, MismatchedMessagesNameBothSides) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  Run([](Communicator& comm) {
    Tensor data(DType::kI32, 5);
    if (comm.rank() == 0) comm.Send(data.view(), 1).Wait();
    const core::Error error = ErrorOf([&] {
      if (comm.rank() == 1) comm.Receive(data.part(0, 4), 0).Wait();
      comm.Receive(data.view(), comm.rank() == 0 ? 1 : 0).Wait();
    });
    EXPECT_STREQ(error.what(),
                 "message #1 of group world differs: rank 0 sent message(5 x int32), rank 1 asked "
                 "for message(4 x int32)");
  });
}

TEST_P(ConformanceTest, WaitingForARankThatLeftIsAnError) {
  if (!GetParam().wakes_on_abort) GTEST_SKIP();
  RunWithTimeout(60, [](std::unique_ptr<Communicator>& comm) {
    const int last = comm->size() - 1;
    const int32_t parting = 42;
    if (comm->rank() == last) {
      comm->Send({&parting, 1, 1}, 0).Wait();
      comm.reset();
      return;
    }
    int32_t value = 0;
    if (comm->rank() == 0) {
      comm->Receive({&value, 1, 1}, last).Wait();  // what was sent before leaving still arrives
      EXPECT_EQ(value, 42);
    }
    const core::Error error = ErrorOf([&] { comm->Barrier(); });
    EXPECT_EQ(error.kind(), core::ErrorKind::kPeerLost);
    EXPECT_THAT(error.what(),
                testing::HasSubstr(fmt::format("rank {} left group world while rank", last)));
  });
}

TEST_P(ConformanceTest, OneRankOfTheJobReports) {
  Run([](Communicator& comm) {
    int32_t claims = comm.ClaimReport() ? 1 : 0;
    claims += comm.ClaimReport() ? 1 : 0;
    comm.AllReduce({&claims, 1, 1}).Wait();
    EXPECT_EQ(claims, 1);
  });
}

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_CONFORMANCE_H_
