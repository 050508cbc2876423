// How fast a trace is read, and how much memory that takes.
//
// usage: trace_bench FILE...          reads each file seven times: MB of JSON per second, and peak
// memory
//        trace_bench --make FILE MB   writes a synthetic trace like PyTorch's, a layer after the
//        other
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/trace/byte_source.h"
#include "autodist/trace/trace.h"

namespace autodist::trace {
namespace {

constexpr int kRounds = 7;

// One launch: operators of the host around it, the runtime call, the arrows, the kernel.
std::string LaunchText(int64_t id, int64_t ns, std::string_view kernel, int stream) {
  const auto us = [](int64_t time) { return fmt::format("{}.{:03}", time / 1000, time % 1000); };
  std::string text;
  for (const std::string_view op : {"aten::linear", "aten::t", "aten::transpose", "aten::addmm"})
    text += fmt::format(
        "  {{\n    \"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"{}\", \"pid\": 4242, \"tid\": "
        "4242,\n"
        "    \"ts\": {}, \"dur\": 11.250,\n    \"args\": {{\n      \"External id\": {},\"Sequence "
        "number\": {}, \"Fwd thread id\": 0, \"Record function id\": 0, \"Ev Idx\": {}\n    }}\n  "
        "}},\n",
        op, us(ns), id, id / 8, id);
  text += fmt::format(
      "  {{\n    \"ph\": \"X\", \"cat\": \"cuda_runtime\", \"name\": \"cudaLaunchKernel\", "
      "\"pid\": "
      "4242, \"tid\": 4242,\n    \"ts\": {0}, \"dur\": 4.105,\n    \"args\": {{\n      \"External "
      "id\": {1}, \"cbid\": 211, \"correlation\": {1}\n    }}\n  }},\n"
      "  {{\n    \"ph\": \"s\", \"id\": {1}, \"pid\": 4242, \"tid\": 4242, \"ts\": {0},\n    "
      "\"cat\": \"ac2g\", \"name\": \"ac2g\"\n  }},\n"
      "  {{\n    \"ph\": \"f\", \"id\": {1}, \"pid\": 0, \"tid\": {2}, \"ts\": {3},\n    \"cat\": "
      "\"ac2g\", \"name\": \"ac2g\", \"bp\": \"e\"\n  }},\n"
      "  {{\n    \"ph\": \"X\", \"cat\": \"kernel\", \"name\": \"{4}\", \"pid\": 0, \"tid\": {2},\n"
      "    \"ts\": {3}, \"dur\": 17.408,\n    \"args\": {{\n      \"External id\": {1}, "
      "\"queued\": "
      "0, \"device\": 0, \"context\": 1, \"stream\": {2}, \"correlation\": {1}, \"registers per "
      "thread\": 168, \"shared memory\": 98304, \"blocks per SM\": 0.969697, \"warps per SM\": "
      "3.878788, \"grid\": [128, 1, 1], \"block\": [128, 1, 1], \"est. achieved occupancy %\": "
      "6\n    }}\n  }},\n",
      us(ns + 5000), id, stream, us(ns + 30000), kernel);
  return text;
}

void Make(const std::filesystem::path& path, int64_t megabytes) {
  constexpr std::string_view kKernels[] = {
      "void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x128_64x3_tn_align8>"
      "(cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x128_64x3_tn_align8::Params)",
      "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, "
      "at::detail::Array<char*, 3> >(int, at::native::CUDAFunctor_add<float>, "
      "at::detail::Array<char*, 3>)",
      "ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
      "void flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128, 64, 4, false, false, "
      "cutlass::bfloat16_t> >(flash::Flash_fwd_params)"};
  constexpr int64_t kLaunchesPerStep = 20000;
  constexpr int64_t kLaunchNs = 20000;
  std::ofstream file(path);
  file << "{\n  \"schemaVersion\": 1,\n  \"distributedInfo\": {\"backend\": \"nccl\", \"rank\": 0, "
          "\"world_size\": 8},\n  \"baseTimeNanoseconds\": 1767189312000000000,\n  "
          "\"traceEvents\": [\n";
  for (int64_t id = 1; file.tellp() < megabytes * 1'000'000; ++id) {
    const int64_t ns = 3743411222862936 + id * kLaunchNs;
    if (id % kLaunchesPerStep == 1)
      file << fmt::format(
          "  {{\n    \"ph\": \"X\", \"cat\": \"user_annotation\", \"name\": \"ProfilerStep#{}\", "
          "\"pid\": 4242, \"tid\": 4242,\n    \"ts\": {}.{:03}, \"dur\": {}.000\n  }},\n",
          id / kLaunchesPerStep, ns / 1000, ns % 1000, kLaunchesPerStep * kLaunchNs / 1000);
    file << LaunchText(id, ns, kKernels[id % 4], id % 4 == 2 ? 20 : 7);
  }
  file << "  {\n    \"name\": \"Record Window End\", \"ph\": \"i\", \"s\": \"g\", \"pid\": \"\", "
          "\"tid\": \"\", \"ts\": 0\n  }\n  ],\n  \"traceName\": \"synthetic\"\n}\n";
  if (!file.flush()) throw core::RuntimeFailure("{}: cannot be written", path.string());
}

double PeakMegabytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

double SecondsOf(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The bytes alone, through the same door: no reader can be faster.
uint64_t Drain(const std::filesystem::path& path) {
  const std::unique_ptr<ByteSource> source = OpenBytes(path);
  std::vector<char> buffer(size_t{1} << 20);
  uint64_t bytes = 0;
  while (const size_t count = source->Read(buffer.data(), buffer.size())) bytes += count;
  return bytes;
}

std::string Spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return fmt::format("{:.2f} ({:.2f} to {:.2f})", values[values.size() / 2], values.front(),
                     values.back());
}

void Measure(const std::filesystem::path& path) {
  const Classifier classifier;
  uint64_t bytes = 0;
  size_t events = 0;
  std::vector<double> read_gb_per_s;
  std::vector<double> trace_gb_per_s;
  std::vector<double> fractions;
  for (int round = 0; round < kRounds; ++round) {
    const double read_s = SecondsOf([&] { bytes = Drain(path); });
    const double trace_s = SecondsOf([&] { events = ReadTrace(path, classifier).events.size(); });
    read_gb_per_s.push_back(static_cast<double>(bytes) / 1e9 / read_s);
    trace_gb_per_s.push_back(static_cast<double>(bytes) / 1e9 / trace_s);
    fractions.push_back(read_s / trace_s);
  }
  fmt::print("{}: {:.0f} MB of JSON, {} device events; medians of {} rounds (range)\n",
             path.string(), static_cast<double>(bytes) / 1e6, events, kRounds);
  fmt::print("  bytes alone   {} GB/s\n  as a trace    {} GB/s\n  fraction      {}\n",
             Spread(read_gb_per_s), Spread(trace_gb_per_s), Spread(fractions));
  fmt::print("  peak memory   {:.0f} MB, of which 40 bytes per event {:.0f} MB\n", PeakMegabytes(),
             40e-6 * static_cast<double>(events));
}

int Main(const std::vector<std::string>& arguments) {
  if (arguments.size() == 3 && arguments[0] == "--make") {
    Make(arguments[1], std::atoll(arguments[2].c_str()));
    return 0;
  }
  if (arguments.empty() || arguments[0].starts_with("-")) {
    fmt::print(stderr, "usage: trace_bench FILE... | trace_bench --make FILE MB\n");
    return 2;
  }
  for (const std::string& file : arguments) Measure(file);
  return 0;
}

}  // namespace
}  // namespace autodist::trace

int main(int argc, char** argv) {
  try {
    return autodist::trace::Main({argv + 1, argv + argc});
  } catch (const autodist::core::Error& error) {
    fmt::print(stderr, "trace_bench: {}\n", error.what());
    return error.exit_code();
  }
}
