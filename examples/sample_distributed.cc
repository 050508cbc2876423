// Draws tokens from logits whose vocabulary is cut over ranks, and shows that the cut does not
// matter: one, two and three ranks choose the same tokens, and no rank ever sees all logits.
//
// usage: sample_distributed
#include <cmath>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "autodist/comm/thread_communicator.h"
#include "autodist/device/stream.h"
#include "autodist/device/thread_pool.h"
#include "autodist/device/topology.h"
#include "autodist/infer/distributed_sampler.h"

namespace {

constexpr int kVocabulary = 1000;
constexpr int kTokens = 8;

// Stands for a model: the logit of token `id` when `position` tokens were generated.
float Logit(int id, int position) {
  return 4 * std::sin(static_cast<float>(id * 7 + position * 31));
}

std::vector<int32_t> Draw(int ranks) {
  const autodist::SamplingOptions options{
      .temperature = 0.8, .top_k = 50, .top_p = 0.95, .seed = 7};
  std::vector<int32_t> tokens;
  auto group = autodist::comm::CreateThreadGroup(ranks);
  std::vector<std::thread> threads;
  for (auto& member : group) {
    threads.emplace_back([&, comm = std::move(member)] {
      const autodist::spec::Range vocab{kVocabulary * comm->rank() / ranks,
                                        kVocabulary * (comm->rank() + 1) / ranks};
      autodist::device::ThreadPool pool(1);
      autodist::device::Stream stream(pool, autodist::device::DetectIsa());
      autodist::DistributedSampler sampler(*comm, vocab, kVocabulary);
      std::vector<float> logits(static_cast<size_t>(vocab.size()));
      for (int position = 0; position < kTokens; ++position) {
        for (int64_t i = 0; i < vocab.size(); ++i) {
          logits[static_cast<size_t>(i)] = Logit(static_cast<int>(vocab.first + i), position);
        }
        const autodist::SampleRow row{.options = &options,
                                      .position = static_cast<uint32_t>(position)};
        const std::vector<int32_t> chosen =
            sampler.Sample(stream, {logits.data(), 1, vocab.size()}, {&row, 1});
        if (comm->rank() == 0) tokens.push_back(chosen[0]);  // the others got the same
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return tokens;
}

}  // namespace

int main() {
  const std::vector<int32_t> expected = Draw(1);
  for (const int ranks : {1, 2, 3}) {
    const std::vector<int32_t> tokens = Draw(ranks);
    std::printf("%d rank(s):", ranks);
    for (const int32_t token : tokens) std::printf(" %d", token);
    std::printf("\n");
    if (tokens != expected) return 1;
  }
  return 0;
}
