// What every rank holds after a call, bit by bit, and that calls do not disturb each other.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "autodist/comm/conformance.h"
#include "autodist/comm/conformance_data.h"

namespace autodist::comm {
namespace {

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

TEST_P(ConformanceTest, OneRankOfTheJobReports) {
  Run([](Communicator& comm) {
    int32_t claims = comm.ClaimReport() ? 1 : 0;
    claims += comm.ClaimReport() ? 1 : 0;
    comm.AllReduce({&claims, 1, 1}).Wait();
    EXPECT_EQ(claims, 1);
  });
}

}  // namespace
}  // namespace autodist::comm
