#include "autodist/measure/calibration.h"

#include <algorithm>
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
    for (const auto& rounds : Rounds(bodies)) seconds.push_back(MiddleMean(rounds));
    return seconds;
  }
  double operator()(const std::function<void()>& body) const {
    return MiddleMean(Rounds({body}).front());
  }

  // The median over the blocks, of what waits for other ranks: what they are late is not its own.
  double Typical(const std::function<void()>& body) const {
    return MedianOf(Rounds({body}).front());
  }

 private:
  // Of each body by round, with their blocks in turns, so that the machine's moods meet all alike.
  std::vector<std::vector<double>> Rounds(const std::vector<std::function<void()>>& bodies) const {
    std::vector<int64_t> calls;
    std::vector<std::vector<double>> seconds(bodies.size());
    for (const auto& body : bodies) calls.push_back(CallsOf(body));
    for (int round = 0; round < effort_.rounds; ++round)
      for (size_t i = 0; i < bodies.size(); ++i)
        seconds[i].push_back(Block(bodies[i], calls[i]) / static_cast<double>(calls[i]));
    return seconds;
  }

  int64_t CallsOf(const std::function<void()>& body) const {
    body();  // touches all memory
    for (int64_t calls = 1;; calls *= 2) {
      // The slowest rank decides, so that all go on or stop together.
      auto longest_s = static_cast<float>(Block(body, calls));
      world_.AllReduce({&longest_s, 1, 1}, comm::ReduceOp::kMax).Wait();
      if (longest_s >= effort_.shortest_s) return calls;
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

struct Link {
  double latency_s = 0;
  double bytes_per_s = 0;
};

// Of this group; `stopwatch` keeps all groups in step.
Link MeasureLink(const Stopwatch& stopwatch, comm::Communicator& group) {
  // So few that their bytes, which the cost model counts by themselves, take next to nothing.
  constexpr int64_t kFew = 16, kMany = int64_t{512} << 10;  // f32
  const int64_t part = kMany / group.size();
  const device::Buffer data(static_cast<size_t>(part * group.size()) * sizeof(float));
  const core::TensorView few(data.as<float>(), 1, kFew),
      whole(data.as<float>(), group.size(), part);
  const core::TensorView own = whole.Rows(group.rank(), 1);
  Link link{.latency_s = stopwatch.Typical([&] { group.AllReduce(few).Wait(); })};
  const double both_s = stopwatch.Typical([&] {
    group.ReduceScatter(whole, own).Wait();
    group.AllGather(own, whole).Wait();
  });
  const double moved = 2.0 * static_cast<double>(part) * (group.size() - 1) * sizeof(float);
  link.bytes_per_s = moved / std::max(both_s - 2 * link.latency_s, 1e-9);
  return link;
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
  double OfHost(double rate) { return MeanOf(world_, rate) * local_ranks_; }

  void Products() {
    const LayerStack stack(dtype_, effort_.layers, bytes(), spec::kManyRows);
    std::vector<std::function<void()>> bodies;
    for (const int64_t rows : kRows) bodies.push_back([&, rows] { stack.Run(stream_, rows); });
    const std::vector<double> seconds = stopwatch_(bodies);
    for (size_t i = 0; i < bodies.size(); ++i)
      cluster_.products.push_back(
          {.rows = kRows[i], .weights_per_s = OfHost(stack.weights() / seconds[i])});
    cluster_.read_bytes_per_s =
        cluster_.products.front().weights_per_s * static_cast<double>(core::SizeOf(dtype_));
    cluster_.flops_per_s = cluster_.products.back().weights_per_s * 2.0 * spec::kManyRows;
    if (world_.size() == 1) return;
    cluster_.wait_fraction_one_row = WaitFraction(stack, 1);
    cluster_.wait_fraction_many_rows = WaitFraction(stack, spec::kManyRows);
  }

  // Whether the ranks of any host have more threads than it has cores; the same on every rank.
  bool RanksTakeTurns() {
    const bool here = stream_.pool().threads() * local_ranks_ > cluster_.cores;
    return MeanOf(world_, here ? 1.0 : 0.0) > 0.0;
  }

  // Layers with a meeting after each half of one: the time in meetings, beyond what meetings take
  // without work between them, over the time outside of them.
  double WaitFraction(const LayerStack& stack, int64_t rows) {
    float value = 0;
    const auto sum = [&] { world_.AllReduce({&value, 1, 1}).Wait(); };
    const double meeting_s = stopwatch_.Typical(sum);
    if (RanksTakeTurns()) {
      // A rank's time in meetings is first of all its peers' work, which the rates of the host
      // count already. So what layers take longer with meetings than without.
      const std::vector<double> seconds =
          stopwatch_({[&] { stack.Run(stream_, rows, sum); }, [&] { stack.Run(stream_, rows); }});
      const double with_s = MeanOf(world_, seconds[0] - stack.meetings() * meeting_s);
      const double without_s = MeanOf(world_, seconds[1]);
      return std::max(0.0, with_s / without_s - 1.0);
    }
    std::vector<double> fractions;
    stopwatch_([&] {
      double in_meetings_s = 0;
      const double all_s =
          Seconds([&] { stack.Run(stream_, rows, [&] { in_meetings_s += Seconds(sum); }); });
      fractions.push_back((in_meetings_s - stack.meetings() * meeting_s) / (all_s - in_meetings_s));
    });
    return std::max(0.0, MeanOf(world_, MedianOf(fractions)));
  }

  void Links() {
    const auto link_of = [&](int color, const char* name, double& latency_s, double& bytes_per_s) {
      const auto group = world_.Split(color, world_.rank(), name);
      const Link link = MeasureLink(stopwatch_, *group);
      latency_s = MeanOf(world_, link.latency_s);
      bytes_per_s = MeanOf(world_, link.bytes_per_s);
    };
    if (local_ranks_ > 1)
      link_of(world_.rank() / local_ranks_, "host", cluster_.link_latency_s,
              cluster_.link_bytes_per_s);
    if (cluster_.hosts > 1)
      link_of(world_.rank() % local_ranks_, "hosts", cluster_.host_link_latency_s,
              cluster_.host_link_bytes_per_s);
  }

  comm::Communicator& world_;
  device::Stream& stream_;
  core::DType dtype_;
  int local_ranks_;
  CalibrationEffort effort_;
  Stopwatch stopwatch_;
  spec::Cluster cluster_;
};

}  // namespace

spec::Cluster Calibrate(comm::Communicator& world, device::Stream& stream, int hosts, int cores,
                        core::DType dtype, const CalibrationEffort& effort) {
  return Calibration(world, stream, hosts, cores, dtype, effort).Run();
}

}  // namespace autodist::measure
