#include "autodist/comm/traced_communicator.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "autodist/comm/thread_communicator.h"

namespace autodist::comm {
namespace {

// Two ranks; what rank 0 recorded.
template <typename Body>
device::OpLog Recorded(const Body& body) {
  auto group = CreateThreadGroup(2, {});
  device::OpLog logs[2] = {device::OpLog(true), device::OpLog(true)};
  std::vector<std::thread> ranks;
  for (size_t r = 0; r < 2; ++r)
    ranks.emplace_back([&, r] {
      TracedCommunicator traced(std::move(group[r]), logs[r]);
      body(traced);
    });
  for (std::thread& rank : ranks) rank.join();
  return std::move(logs[0]);
}

TEST(TracedCommunicatorTest, CallsAndTheirBytesAreCommunication) {
  const device::OpLog log = Recorded([](Communicator& world) {
    float values[6] = {1, 2, 3};
    world.AllReduce(core::TensorView(values, 1, 3)).Wait();
    world
        .AllGather(core::TensorView(values + 3 * world.rank(), 1, 3),
                   core::TensorView(values, 1, 6))
        .Wait();
    EXPECT_EQ(values[1], 4.0f);
  });
  const device::OpTotal& total =
      log.totals().At(device::OpPhase::kOther, device::OpKind::kCommunication);
  EXPECT_EQ(total.bytes, (3 + 6) * sizeof(float));
  EXPECT_GE(total.calls, 2u);
  EXPECT_GT(total.seconds, 0.0);
  EXPECT_EQ(std::string(log.events().front().name), "all_reduce");
}

TEST(TracedCommunicatorTest, SplitGroupsRecordIntoTheSameLog) {
  const device::OpLog log = Recorded([](Communicator& world) {
    const auto pair = world.Split(0, world.rank());
    const auto alone = world.Split(world.rank(), 0);
    int32_t id = 7;
    pair->Broadcast(core::TensorView(&id, 1, 1), 0).Wait();
    alone->Broadcast(core::TensorView(&id, 1, 1), 0).Wait();  // nothing is moved
  });
  EXPECT_EQ(log.totals().At(device::OpPhase::kOther, device::OpKind::kCommunication).bytes, 4u);
}

// A receive that is still open: the call, and the wait for the peer, are two operations.
TEST(TracedCommunicatorTest, AWaitIsAnOperationOfItsOwn) {
  const device::OpLog log = Recorded([](Communicator& world) {
    int32_t id = world.rank();
    if (world.rank() == 0) {
      Work work = world.Receive(core::TensorView(&id, 1, 1), 1);
      world.Barrier();
      work.Wait();
      EXPECT_EQ(id, 1);
    } else {
      world.Barrier();
      world.Send(core::TensorView(&id, 1, 1), 0).Wait();
    }
  });
  std::vector<std::string> names;
  for (const device::OpEvent& event : log.events()) names.emplace_back(event.name);
  EXPECT_EQ(names, (std::vector<std::string>{"receive", "barrier", "wait"}));
}

}  // namespace
}  // namespace autodist::comm
