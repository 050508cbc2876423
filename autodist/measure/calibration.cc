#include "autodist/measure/calibration.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <iterator>
#include <vector>

#include "autodist/core/check.h"
#include "autodist/device/buffer.h"
#include "autodist/device/thread_pool.h"
#include "autodist/measure/seconds.h"
#include "autodist/measure/statistics.h"

namespace autodist::measure {
namespace {

constexpr double kLongestWaitS = 600;  // for ranks that measure alone
// From here on a sum is made of two collectives, as where ranks share the rows of a prompt.
constexpr int64_t kBytesToShare = 32 << 10;
// Between two collectives ranks read weights, here for so long: messages do not queue behind each
// other, and find nothing of themselves and their code in the caches.
constexpr double kPauseS = 200e-6;
constexpr size_t kPauseBytes = size_t{64} << 20;
// From so many rows on products compute, and a part of the weights says as much as all.
constexpr int64_t kRowsThatCompute = 64;
constexpr size_t kPartOfWeights = 4;
constexpr int64_t kRows[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, spec::kManyRows};

double MedianOf(const std::vector<double>& values) {
  return Median(values, [](double value) { return value; });
}

// Seconds per call of a body, from some blocks of calls. All ranks make as many calls.
class Stopwatch {
 public:
  Stopwatch(comm::Communicator& world, const CalibrationEffort& effort)
      : world_(world), effort_(effort) {}

  // Of each body the mean over most blocks, and not the median: a machine that loses its cores for
  // some tenths of a second now and then is as slow as that for a run that takes longer.
  std::vector<double> operator()(const std::vector<std::function<void()>>& bodies) const {
    std::vector<double> seconds;
    for (const auto& rounds : Rounds(bodies, effort_.shortest_s))
      seconds.push_back(MiddleMean(rounds));
    return seconds;
  }
  double operator()(const std::function<void()>& body) const {
    return MiddleMean(Rounds({body}, effort_.shortest_s).front());
  }

  // For a body that takes its own times, and needs many of them.
  void Repeat(const std::function<void()>& body) const {
    constexpr double kOfBlock = 5;
    Rounds({body}, effort_.shortest_s * kOfBlock);
  }

  // Of each collective the median over all calls, with `pause` before each: what other ranks are
  // late is not its own.
  std::vector<double> Collectives(const std::vector<std::function<void()>>& bodies,
                                  const std::function<void()>& pause) const {
    constexpr double kOfBlock = 0.2;  // there are many sizes, and every call counts by itself
    std::vector<std::vector<double>> calls(bodies.size());
    std::vector<std::function<void()>> paced;
    for (size_t i = 0; i < bodies.size(); ++i)
      paced.push_back([&, i] {
        pause();
        calls[i].push_back(Seconds(bodies[i]));
      });
    Rounds(paced, effort_.shortest_s * kOfBlock);
    std::vector<double> seconds;
    for (const auto& each : calls) seconds.push_back(MedianOf(each));
    return seconds;
  }

 private:
  // Of each body by round, with their blocks in turns, so that the machine's moods meet all alike.
  std::vector<std::vector<double>> Rounds(const std::vector<std::function<void()>>& bodies,
                                          double shortest_s) const {
    std::vector<int64_t> calls;
    std::vector<std::vector<double>> seconds(bodies.size());
    for (const auto& body : bodies) calls.push_back(CallsOf(body, shortest_s));
    for (int round = 0; round < effort_.rounds; ++round)
      for (size_t i = 0; i < bodies.size(); ++i)
        seconds[i].push_back(Block(bodies[i], calls[i]) / static_cast<double>(calls[i]));
    return seconds;
  }

  int64_t CallsOf(const std::function<void()>& body, double shortest_s) const {
    body();  // touches all memory
    for (int64_t calls = 1;; calls *= 2) {
      // The slowest rank decides, so that all go on or stop together.
      auto longest_s = static_cast<float>(Block(body, calls));
      world_.AllReduce({&longest_s, 1, 1}, comm::ReduceOp::kMax).Wait();
      if (longest_s >= shortest_s) return calls;
    }
  }

  double Block(const std::function<void()>& body, int64_t calls) const {
    world_.Barrier(kLongestWaitS);
    return Seconds([&] {
      for (int64_t i = 0; i < calls; ++i) body();
    });
  }

  comm::Communicator& world_;
  CalibrationEffort effort_;
};

// The mean over all ranks.
double MeanOf(comm::Communicator& world, double value) {
  float sum = static_cast<float>(value);
  world.AllReduce({&sum, 1, 1}).Wait();
  return static_cast<double>(sum) / world.size();
}

// Rank 0 reads with one thread while nobody else works.
double CoreReadRate(comm::Communicator& world, const device::Stream& stream, core::DType dtype,
                    const CalibrationEffort& effort) {
  double alone = 0;
  const auto nobody = world.Split(world.rank(), 0, "alone");
  if (world.rank() == 0) {
    device::ThreadPool pool(1);
    device::Stream one(pool, stream.isa());
    const LayerStack stack(dtype, effort.layers, effort.bytes_per_host, 1);
    alone = stack.weights() * static_cast<double>(core::SizeOf(dtype)) /
            Stopwatch(*nobody, effort)([&] { stack.Run(one, 1); });
  }
  world.Barrier(kLongestWaitS);
  return MeanOf(world, alone) * world.size();
}

// 64 bytes, and 1 KiB to 2 MiB: up to the bytes to share four sizes to each doubling, 4, 5, 6 and 7
// times a power of two. Hidden sizes of models are such numbers, and links have steps.
std::vector<int64_t> BytesToMove() {
  std::vector<int64_t> bytes = {64};
  for (int64_t base = 1 << 10; base < kBytesToShare; base *= 2)
    for (const int64_t quarters : {4, 5, 6, 7}) bytes.push_back(base / 4 * quarters);
  for (int64_t most = kBytesToShare; most <= 2 << 20; most *= 2) bytes.push_back(most);
  return bytes;
}

// Of this group, by the bytes that they move; `stopwatch` keeps all groups in step.
std::vector<spec::CollectiveTime> MeasureCollectives(const Stopwatch& stopwatch,
                                                     comm::Communicator& group,
                                                     const std::function<void()>& pause) {
  // A sum of f32 over n ranks moves 2 (n - 1) parts, each the n-th of it.
  const int64_t parts = 2 * (group.size() - 1);
  const auto part_of = [&](int64_t moved_bytes) {
    return std::max(int64_t{1}, moved_bytes / parts / static_cast<int64_t>(sizeof(float)));
  };
  const std::vector<int64_t> sizes = BytesToMove();
  const device::Buffer data(static_cast<size_t>(group.size() * part_of(sizes.back())) *
                            sizeof(float));
  std::vector<spec::CollectiveTime> times;
  std::vector<std::function<void()>> bodies;
  for (const int64_t bytes : sizes) {
    const int64_t moved = parts * part_of(bytes) * static_cast<int64_t>(sizeof(float));
    if (!times.empty() && moved <= times.back().moved_bytes) continue;  // many ranks
    times.push_back({.moved_bytes = moved});
    const core::TensorView whole(data.as<float>(), group.size(), part_of(bytes));
    bodies.push_back([&group, whole, shared = bytes >= kBytesToShare] {
      if (!shared) return group.AllReduce(whole).Wait();
      const core::TensorView own = whole.Rows(group.rank(), 1);
      group.ReduceScatter(whole, own).Wait();
      group.AllGather(own, whole).Wait();
    });
  }
  const std::vector<double> seconds = stopwatch.Collectives(bodies, pause);
  for (size_t i = 0; i < times.size(); ++i) times[i].seconds = seconds[i];
  return times;
}

class Calibration {
 public:
  Calibration(comm::Communicator& world, device::Stream& stream, int hosts, int cores,
              core::DType dtype, const CalibrationEffort& effort)
      : world_(world),
        stream_(stream),
        dtype_(dtype),
        local_ranks_(world.size() / hosts),
        effort_(effort),
        stopwatch_(world, effort) {
    AUTODIST_CHECK_EQ(world.size() % hosts, 0);
    cluster_.cores = std::min(cores, stream.pool().threads() * local_ranks_);
    cluster_.hosts = hosts;
  }

  spec::Cluster Run() {
    take_turns_ = RanksTakeTurns();
    if (world_.size() > 1 && !take_turns_) {
      pause_data_ = device::Buffer(kPauseBytes);
      std::memset(pause_data_.data(), 1, kPauseBytes);  // memory of its own
    }
    cluster_.core_read_bytes_per_s = CoreReadRate(world_, stream_, dtype_, effort_);
    cluster_.row_bytes_per_s = OfHost(MeasureRows(stream_, dtype_, effort_.layers, stopwatch_));
    Products();
    const AttentionRates attention = MeasureAttention(stream_, dtype_, effort_.chunk, stopwatch_);
    cluster_.attention_flops_per_s = OfHost(attention.flops_per_s);
    cluster_.attention_scores_per_s = OfHost(attention.scores_per_s);
    cluster_.attention_extra_keys = MeanOf(world_, attention.extra_keys);
    cluster_.cache_write_bytes_per_s = OfHost(attention.write_bytes_per_s);
    const CachedAttentionRates cached =
        MeasureCachedAttention(stream_, dtype_, bytes(), stopwatch_);
    cluster_.cache_extra_keys = MeanOf(world_, cached.extra_keys);
    cluster_.cache_bytes_per_s = OfHost(cached.bytes_per_s);
    cluster_.cache_flops_per_s = OfHost(cached.flops_per_s);
    cluster_.operation_s = MeanOf(world_, MeasureOperation(stream_, dtype_, stopwatch_));
    Links();
    return cluster_;
  }

 private:
  // What this rank reads of the host's.
  size_t bytes() const { return effort_.bytes_per_host / static_cast<size_t>(local_ranks_); }

  void Pause() {
    // That of ranks that take turns would be a part of what their peers take.
    if (take_turns_) return;
    constexpr size_t kStep = 4096;
    const Clock::time_point start = Clock::now();
    while (SecondsSince(start) < kPauseS) {
      if (pause_read_ + kStep > pause_data_.bytes()) pause_read_ = 0;
      for (size_t end = pause_read_ + kStep; pause_read_ < end; pause_read_ += 64)
        pause_sum_ = pause_sum_ + pause_data_.as<uint8_t>()[pause_read_];
    }
  }

  double OfHost(double rate) { return MeanOf(world_, rate) * local_ranks_; }

  void Products() {
    const LayerStack all(dtype_, effort_.layers, bytes(), kRowsThatCompute),
        some(dtype_, effort_.layers, bytes() / kPartOfWeights, spec::kManyRows);
    const auto stack_for = [&](int64_t rows) -> const LayerStack& {
      return rows < kRowsThatCompute ? all : some;
    };
    std::vector<std::function<void()>> bodies;
    for (const int64_t rows : kRows)
      bodies.push_back([&, rows] { stack_for(rows).Run(stream_, rows); });
    const std::vector<double> seconds = stopwatch_(bodies);
    for (size_t i = 0; i < bodies.size(); ++i)
      cluster_.products.push_back(
          {.rows = kRows[i], .weights_per_s = OfHost(stack_for(kRows[i]).weights() / seconds[i])});
    cluster_.read_bytes_per_s =
        cluster_.products.front().weights_per_s * static_cast<double>(core::SizeOf(dtype_));
    cluster_.flops_per_s = cluster_.products.back().weights_per_s * 2.0 * spec::kManyRows;
    if (world_.size() > 1) Waits(all, some);
  }

  // Whether the ranks of any host have more threads than it has cores; the same on every rank.
  bool RanksTakeTurns() const {
    const bool here = stream_.pool().threads() * local_ranks_ > cluster_.cores;
    return MeanOf(world_, here ? 1.0 : 0.0) > 0.0;
  }

  // With one row a rank waits w = wait_s + fraction * t after computing for t: two different t,
  // half a layer and all layers, give both.
  void Waits(const LayerStack& all, const LayerStack& some) {
    const double alone_s =
        stopwatch_.Collectives({[this] { Meet(); }}, [this] { Pause(); }).front();
    if (take_turns_) {
      cluster_.wait_fraction_one_row = AddedByMeetings(all, 1, alone_s);
      cluster_.wait_fraction_many_rows = AddedByMeetings(some, spec::kManyRows, alone_s);
      return;
    }
    const Meeting half = MeanMeeting(all, 1, all.meetings(), alone_s),
                  whole = MeanMeeting(all, 1, 1, alone_s),
                  many = MeanMeeting(some, spec::kManyRows, some.meetings(), alone_s);
    const double fraction =
        std::clamp((whole.wait_s - half.wait_s) / std::max(whole.work_s - half.work_s, 1e-12), 0.0,
                   half.wait_s / half.work_s);
    cluster_.wait_s = half.wait_s - fraction * half.work_s;
    cluster_.wait_fraction_one_row = fraction;
    cluster_.wait_fraction_many_rows = std::max(0.0, many.wait_s - cluster_.wait_s) / many.work_s;
  }

  void Meet() {
    float value = 0;
    world_.AllReduce({&value, 1, 1}).Wait();
  }

  // What layers take longer with a meeting after each half than without: a rank's time in meetings
  // is first of all its peers' work, which the rates of the host count already. `alone_s`: of a
  // meeting without work before it.
  double AddedByMeetings(const LayerStack& stack, int64_t rows, double alone_s) {
    const std::vector<double> seconds = stopwatch_(
        {[&] { stack.Run(stream_, rows, [this] { Meet(); }); }, [&] { stack.Run(stream_, rows); }});
    const double with_s = MeanOf(world_, seconds[0] - stack.meetings() * alone_s);
    return std::max(0.0, with_s / MeanOf(world_, seconds[1]) - 1.0);
  }

  struct Meeting {
    double wait_s;  // beyond `alone_s`, what it takes without work before it
    double work_s;  // since the one before
  };
  // Of once through the layers with so many meetings: one after each half of a layer, or one at the
  // end of all.
  Meeting MeanMeeting(const LayerStack& stack, int64_t rows, double meetings, double alone_s) {
    std::vector<double> waits, works;
    stopwatch_.Repeat([&] {
      double in_meetings_s = 0;
      const auto timed = [&] { in_meetings_s += Seconds([this] { Meet(); }); };
      const double all_s = Seconds([&] {
        if (meetings > 1) return stack.Run(stream_, rows, timed);
        stack.Run(stream_, rows);
        timed();
      });
      waits.push_back(in_meetings_s / meetings - alone_s);
      works.push_back((all_s - in_meetings_s) / meetings);
    });
    return {std::max(0.0, MeanOf(world_, MiddleMean(waits))), MeanOf(world_, MiddleMean(works))};
  }

  void Links() {
    const auto link_of = [&](int color, const char* name, double& latency_s, double& bytes_per_s) {
      const auto group = world_.Split(color, world_.rank(), name);
      std::vector<spec::CollectiveTime> times =
          MeasureCollectives(stopwatch_, *group, [this] { Pause(); });
      for (spec::CollectiveTime& time : times) time.seconds = MeanOf(world_, time.seconds);
      const spec::CollectiveTime& few = times.front();
      const spec::CollectiveTime& many = times.back();
      latency_s = few.seconds;
      bytes_per_s =
          static_cast<double>(many.moved_bytes) / std::max(many.seconds - 2 * few.seconds, 1e-9);
      return times;
    };
    if (local_ranks_ > 1)
      cluster_.collectives = link_of(world_.rank() / local_ranks_, "host", cluster_.link_latency_s,
                                     cluster_.link_bytes_per_s);
    if (cluster_.hosts > 1)
      cluster_.host_collectives =
          link_of(world_.rank() % local_ranks_, "hosts", cluster_.host_link_latency_s,
                  cluster_.host_link_bytes_per_s);
  }

  comm::Communicator& world_;
  device::Stream& stream_;
  core::DType dtype_;
  int local_ranks_;
  CalibrationEffort effort_;
  Stopwatch stopwatch_;
  bool take_turns_ = false;
  device::Buffer pause_data_;
  size_t pause_read_ = 0;
  volatile uint8_t pause_sum_ = 0;  // so that the compiler reads
  spec::Cluster cluster_;
};

}  // namespace

spec::Cluster Calibrate(comm::Communicator& world, device::Stream& stream, int hosts, int cores,
                        core::DType dtype, const CalibrationEffort& effort) {
  return Calibration(world, stream, hosts, cores, dtype, effort).Run();
}

}  // namespace autodist::measure
