// Aborts, time-outs, calls that do not match and ranks that leave: who is told what.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "autodist/comm/conformance.h"
#include "autodist/comm/conformance_data.h"
#include "autodist/comm/testing.h"

namespace autodist::comm {
namespace {

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

}  // namespace
}  // namespace autodist::comm
