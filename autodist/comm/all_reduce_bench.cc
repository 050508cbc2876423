// All-reduce of f32 by size: our communicators beside MPI_Allreduce, in turn within each round.
//
//   mpirun -n 2 --bind-to none --mca mpi_yield_when_idle 1 all_reduce_bench [fresh] [ROUNDS
//   [BYTES...]]
//
// "fresh": every rank writes its tensor anew before each call, as the layer before it does, so that
// its bytes are in that rank's cache; the time of writing alone is subtracted. Without, the calls
// follow each other.
//
// Sides: "threads", as many rank threads in the process of rank 0 (the others sleep); "processes",
// the shared memory between the ranks of mpirun, which torchrun's ranks use too; "messages", our
// MPI messages, as between hosts; "MPI", MPI_Allreduce in place. Prints, per size and side, the
// median and the least time of a call over the rounds (of rank 0, in one block of calls per round
// that begins with a barrier), and the median and range of its ratio to MPI's time in the same
// round.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include "autodist/comm/mpi_communicator.h"
#include "autodist/comm/thread_communicator.h"
#include "autodist/core/error.h"
#include "autodist/device/buffer.h"

namespace autodist::comm {
namespace {

constexpr double kBlockSeconds = 4e-3;  // of calls that are timed together

// One rank's place in a side.
struct Side {
  std::function<void()> barrier;
  std::function<void(float* data, int64_t count)> all_reduce;
};

Side SideOf(Communicator& comm) {
  return {[&comm] { comm.Barrier(); },
          [&comm](float* data, int64_t count) {
            comm.AllReduce({data, core::DType::kF32, 1, count}).Wait();
          }};
}

Side MpiSide() {
  return {[] { MPI_Barrier(MPI_COMM_WORLD); },
          [](float* data, int64_t count) {
            MPI_Allreduce(MPI_IN_PLACE, data, static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                          MPI_COMM_WORLD);
          }};
}

struct Block {
  int64_t count;  // elements of the tensor
  int64_t calls;
  bool fresh;
};

void Write(float* data, int64_t count) {
  for (int64_t i = 0; i < count; ++i) data[i] = 1.0f;
  asm volatile("" : : "r"(data) : "memory");  // the stores happen
}

double MicrosecondsOf(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

// Microseconds per call on this rank. As many calls go before: a rank that has just been started or
// woken may share its core with a peer for some milliseconds, until the system moves it.
double TimeBlock(const Side& side, float* data, const Block& block) {
  const auto calls = [&] {
    for (int64_t i = 0; i < block.calls; ++i) {
      if (block.fresh) Write(data, block.count);
      side.all_reduce(data, block.count);
    }
  };
  calls();
  side.barrier();
  double taken_us = MicrosecondsOf(calls);
  if (block.fresh) {
    side.barrier();
    Write(data, block.count);
    taken_us -= MicrosecondsOf([&] {
      for (int64_t i = 0; i < block.calls; ++i) Write(data, block.count);
    });
  }
  return taken_us / static_cast<double>(block.calls);
}

double TimeThreads(std::vector<std::unique_ptr<Communicator>>& group,
                   const std::vector<device::Buffer>& buffers, const Block& block) {
  std::vector<double> times(group.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < group.size(); ++rank) {
    threads.emplace_back([&, rank] {
      times[rank] = TimeBlock(SideOf(*group[rank]), buffers[rank].as<float>(), block);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return times[0];
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Row {
  std::string name;
  std::vector<double> times_us;  // by round
};

void Print(int64_t bytes, const std::vector<Row>& rows) {
  const std::vector<double>& mpi = rows.back().times_us;
  for (const Row& row : rows) {
    std::vector<double> ratios;
    for (size_t i = 0; i < mpi.size(); ++i) ratios.push_back(row.times_us[i] / mpi[i]);
    const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
    fmt::print("{:>9} {:<10} {:>9.2f} {:>9.2f}   {:>5.2f} ({:.2f} to {:.2f})\n", bytes, row.name,
               Median(row.times_us), *std::min_element(row.times_us.begin(), row.times_us.end()),
               Median(ratios), *least, *most);
  }
  std::fflush(stdout);
}

class Bench {
 public:
  explicit Bench(int64_t most_bytes)
      : session_(std::make_shared<MpiSession>()),
        host_(CreateMpiHostGroup(session_, {})),
        messages_(CreateMpiMessageGroup(session_, {})) {
    if (rank() == 0) threads_ = CreateThreadGroup(host_->size());
    for (int i = 0; i < std::max<int>(1, static_cast<int>(threads_.size())); ++i)
      buffers_.emplace_back(static_cast<size_t>(most_bytes)), Clear(buffers_.back());
  }

  int rank() const { return host_->rank(); }
  int size() const { return host_->size(); }

  void Run(int64_t bytes, int rounds, bool fresh) {
    const int64_t count = bytes / static_cast<int64_t>(sizeof(float));
    std::vector<Row> rows = {{"threads", {}}, {"processes", {}}, {"messages", {}}, {"MPI", {}}};
    std::vector<int64_t> calls(rows.size(), 20);
    for (int round = -2; round < rounds; ++round) {  // the first two find the numbers of calls
      for (size_t side = 0; side < rows.size(); ++side) {
        double time_us = Time(side, {count, calls[side], fresh});
        host_->Broadcast({&time_us, core::DType::kI64, 1, 1}, 0).Wait();
        if (round < 0)
          calls[side] = static_cast<int64_t>(
              std::clamp(kBlockSeconds * 1e6 / std::max(time_us, 0.1), 3.0, 10'000.0));
        else
          rows[side].times_us.push_back(time_us);
      }
    }
    if (rank() == 0) Print(bytes, rows);
  }

 private:
  static void Clear(device::Buffer& buffer) {
    std::fill_n(buffer.as<float>(), buffer.bytes() / sizeof(float), 0.0f);
  }

  double Time(size_t side, const Block& block) {
    float* const data = buffers_[0].as<float>();
    host_->Barrier();
    switch (side) {
      case 0:
        return rank() == 0 ? TimeThreads(threads_, buffers_, block) : 0;
      case 1:
        return TimeBlock(SideOf(*host_), data, block);
      case 2:
        return TimeBlock(SideOf(*messages_), data, block);
      default:
        return TimeBlock(MpiSide(), data, block);
    }
  }

  std::shared_ptr<MpiSession> session_;
  std::unique_ptr<Communicator> host_;
  std::unique_ptr<Communicator> messages_;
  std::vector<std::unique_ptr<Communicator>> threads_;  // on rank 0
  std::vector<device::Buffer> buffers_;                 // one per thread rank
};

int Main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool fresh = !words.empty() && words[0] == "fresh";
  std::vector<int64_t> sizes;
  for (size_t i = fresh ? 1 : 0; i < words.size(); ++i) sizes.push_back(std::stoll(words[i]));
  const int rounds = sizes.empty() ? 11 : static_cast<int>(sizes.front());
  if (!sizes.empty()) sizes.erase(sizes.begin());
  if (sizes.empty())
    for (int64_t bytes = 1024; bytes <= 1 << 20; bytes *= 2) sizes.push_back(bytes);
  Bench bench(*std::max_element(sizes.begin(), sizes.end()));
  if (bench.rank() == 0) {
    fmt::print("{} ranks, {} rounds{}\n", bench.size(), rounds, fresh ? ", fresh tensors" : "");
    fmt::print("{:>9} {:<10} {:>9} {:>9}   {}\n", "bytes", "side", "median us", "least us",
               "time / MPI: median (range)");
  }
  for (const int64_t bytes : sizes) bench.Run(bytes, rounds, fresh);
  return 0;
}

}  // namespace
}  // namespace autodist::comm

int main(int argc, char** argv) {
  try {
    return autodist::comm::Main(argc, argv);
  } catch (const autodist::core::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return error.exit_code();
  }
}
