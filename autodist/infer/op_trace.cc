#include "autodist/infer/op_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>

#include "autodist/core/log.h"
#include "autodist/core/trace_writer.h"

namespace autodist::infer {
namespace {

using device::OpEvent;

constexpr int64_t kEventsPerMessage = 16384;  // 1 MiB

// What a rank says before its events. Trivially copyable.
struct Announcement {
  uint64_t events = 0;
  uint64_t dropped = 0;
  int64_t clock_ns = 0;            // when it left the barrier
  std::array<char, 64> boot = {};  // of its host: the clock starts with it
};

Announcement Announce(const device::OpLog& log) {
  Announcement own{.events = log.events().size(), .dropped = log.dropped_events()};
  std::ifstream("/proc/sys/kernel/random/boot_id").getline(own.boot.data(), own.boot.size());
  own.clock_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                     std::chrono::steady_clock::now().time_since_epoch())
                     .count();
  return own;
}

template <typename T>
core::TensorView BytesOf(T* data, int64_t count) {
  return {data, core::DType::kU8, 1, count * static_cast<int64_t>(sizeof(T))};
}
template <typename T>
core::ConstTensorView BytesOf(const T* data, int64_t count) {
  return {data, core::DType::kU8, 1, count * static_cast<int64_t>(sizeof(T))};
}

// Calls transfer(first, count) for the messages that `events` travel in.
template <typename Transfer>
void ForEachMessage(uint64_t events, const Transfer& transfer) {
  const auto total = static_cast<int64_t>(events);
  for (int64_t first = 0; first < total; first += kEventsPerMessage)
    transfer(first, std::min(kEventsPerMessage, total - first));
}

RankEvents Receive(comm::Communicator& world, int rank, const Announcement& own) {
  Announcement theirs;
  world.Receive(BytesOf(&theirs, 1), rank).Wait();
  RankEvents received{.rank = rank, .dropped = theirs.dropped, .events = {}};
  received.events.resize(theirs.events);
  ForEachMessage(theirs.events, [&](int64_t first, int64_t count) {
    world.Receive(BytesOf(received.events.data() + first, count), rank).Wait();
  });
  if (theirs.boot != own.boot) {
    for (OpEvent& event : received.events) event.start_ns += own.clock_ns - theirs.clock_ns;
  }
  return received;
}

void AddRank(const RankEvents& rank, const spec::Mesh& mesh, int64_t origin_ns,
             core::TraceWriter& writer) {
  constexpr int kStream = 0;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();  // the writer leaves it out
  writer.NameProcess(rank.rank, fmt::format("rank {} (stage {}, tp {})", rank.rank,
                                            mesh.StageOf(rank.rank), mesh.TpIndex(rank.rank)));
  writer.NameThread(rank.rank, kStream, "stream");
  for (const OpEvent& event : rank.events) {
    const bool group = event.kind == device::OpKind::kGroup;
    const std::string name =
        group && event.layer >= 0 ? fmt::format("{} {}", event.name, event.layer) : event.name;
    const core::TraceWriter::Event entry{.pid = rank.rank,
                                         .tid = kStream,
                                         .name = name,
                                         .category = device::NameOf(event.kind),
                                         .start_ns = event.start_ns - origin_ns,
                                         .duration_ns = event.duration_ns};
    if (group) {
      writer.Add(entry, {{"rows", event.rows}});
    } else {
      writer.Add(entry, {{"rows", event.rows},
                         {"bytes", static_cast<double>(event.bytes)},
                         {"flops", event.flops},
                         {"layer", event.layer >= 0 ? event.layer : kNone}});
    }
  }
  if (rank.dropped > 0)
    core::Log("note: the trace lacks the last {} events of rank {}; a rank keeps {}", rank.dropped,
              rank.rank, device::OpLog::kMaxEvents);
}

}  // namespace

RankEvents LocalEvents(int rank, const device::OpLog& log) {
  return {.rank = rank, .dropped = log.dropped_events(), .events = log.events()};
}

std::vector<RankEvents> GatherEvents(comm::Communicator& world, const device::OpLog& log) {
  world.Barrier();
  const Announcement own = Announce(log);
  std::vector<RankEvents> ranks;
  if (world.rank() == 0) {
    ranks.push_back(LocalEvents(0, log));
    for (int rank = 1; rank < world.size(); ++rank) ranks.push_back(Receive(world, rank, own));
    return ranks;
  }
  world.Send(BytesOf(&own, 1), 0).Wait();
  ForEachMessage(own.events, [&](int64_t first, int64_t count) {
    world.Send(BytesOf(log.events().data() + first, count), 0).Wait();
  });
  return ranks;
}

void WriteTrace(const std::filesystem::path& path, const spec::Mesh& mesh,
                const std::vector<RankEvents>& ranks) {
  int64_t origin_ns = std::numeric_limits<int64_t>::max();
  for (const RankEvents& rank : ranks) {
    for (const OpEvent& event : rank.events) origin_ns = std::min(origin_ns, event.start_ns);
  }
  core::TraceWriter writer(path);
  for (const RankEvents& rank : ranks) AddRank(rank, mesh, origin_ns, writer);
  writer.Commit();
}

}  // namespace autodist::infer
