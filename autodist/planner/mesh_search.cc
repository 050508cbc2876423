#include "autodist/planner/mesh_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/planner/cost_model.h"
#include "autodist/planner/rates.h"

namespace autodist::planner {
namespace {

constexpr int kRanksTriedForAdvice = 64;

struct Candidate {
  Outline outline;
  Prediction prediction;
  bool fits = true;
};

std::string NameOf(const spec::Mesh& mesh) {
  return fmt::format("tp {} x pp {}", mesh.tp, mesh.pp);
}

// Three digits, but never an exponent.
std::string Rate(double per_second) {
  return per_second >= 100.0 ? fmt::format("{:.0f}", per_second)
                             : fmt::format("{:.3g}", per_second);
}

std::string Describe(const Candidate& candidate) {
  const Prediction& prediction = candidate.prediction;
  std::string text =
      fmt::format("{}: {:.3g} s predicted ({} prompt tokens/s, {} generated tokens/s",
                  NameOf(candidate.outline.mesh), prediction.total_s(),
                  Rate(prediction.prefill_tokens_per_s), Rate(prediction.decode_tokens_per_s));
  if (candidate.outline.mesh.world() > 1)
    text += fmt::format("; {:.1f} % of rank 0's time in communication",
                        prediction.communication() * 100.0);
  return text + ")";
}

// What the predictions are for, and what they rest on.
std::string Basis(const Outline& outline, const spec::Cluster& cluster) {
  const RunShape& shape = outline.shape;
  const Link link = LinkBetween(outline.mesh, cluster, 0, outline.mesh.world() - 1);
  return fmt::format(
      "predictions: {} sequence{} of {} positions, {} of them prompt; {} cores, {:.3g} GB/s, "
      "{:.3g} GFLOP/s, {:.3g} us and {:.3g} GB/s between ranks",
      shape.batch_size, shape.batch_size == 1 ? "" : "s", shape.max_model_len, shape.prompt_length,
      cluster.cores, cluster.read_bytes_per_s / 1e9, cluster.flops_per_s / 1e9,
      link.latency_s * 1e6, link.bytes_per_s / 1e9);
}

bool Cuts(const spec::ModelConfig& config, const spec::Mesh& mesh) {
  return mesh.tp <= config.num_heads && mesh.tp <= config.ffn_size && mesh.pp <= config.num_layers;
}

// Every mesh of `ranks` ranks that cuts the model, the fastest that fits first.
std::vector<Candidate> Candidates(const spec::ModelConfig& config, const spec::Cluster& cluster,
                                  const PlanRequest& request, int ranks) {
  std::vector<Candidate> candidates;
  for (int tp = ranks; tp >= 1; --tp) {
    const spec::Mesh mesh{.tp = tp, .pp = ranks / tp};
    if (ranks % tp != 0 || !Cuts(config, mesh)) continue;
    if (!request.stage_layers.empty() &&
        request.stage_layers.size() != static_cast<size_t>(mesh.pp))
      continue;
    Candidate candidate;
    candidate.outline = MakeOutline(config, cluster, request, mesh);
    candidate.prediction = Predict(config, candidate.outline, cluster);
    candidate.fits = FirstOverfullRank(candidate.outline, cluster) < 0;
    candidates.push_back(std::move(candidate));
  }
  // Stable: of equally fast meshes the one with the larger tp, whose ranks all work on each token,
  // comes first.
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) {
                     if (a.fits != b.fits) return a.fits;
                     return a.prediction.total_s() < b.prediction.total_s();
                   });
  return candidates;
}

// The largest part of its memory that any rank needs.
double Fullness(const Outline& outline, const spec::Cluster& cluster) {
  double fullness = 0.0;
  for (int rank = 0; rank < outline.mesh.world(); ++rank)
    if (const uint64_t memory = RankMemory(cluster, rank); memory != 0)
      fullness =
          std::max(fullness, static_cast<double>(outline.bytes[static_cast<size_t>(rank)].total()) /
                                 static_cast<double>(memory));
  return fullness;
}

[[noreturn]] void RefuseRanks(const spec::ModelConfig& config, const PlanRequest& request) {
  if (!request.stage_layers.empty())
    throw core::BadInput(
        "--ranks {} with --stage-layers of {} stages: no tp makes tp * {} = {} and cuts this "
        "model; tp "
        "sizes that work: {}",
        request.ranks, request.stage_layers.size(), request.stage_layers.size(), request.ranks,
        LegalTpSizes(config));
  throw core::BadInput(
      "--ranks {} cannot cut this model: no tp * pp makes {}; tp sizes that work: {}; pp sizes "
      "that "
      "work: 1 to {}",
      request.ranks, request.ranks, LegalTpSizes(config), config.num_layers);
}

// "; 4 ranks (tp 2 x pp 2) would do", or nothing.
std::string RankAdvice(const spec::ModelConfig& config, const spec::Cluster& cluster,
                       PlanRequest request, const spec::Mesh& mesh) {
  if (cluster.rank_memory_bytes.size() != 1) return "";
  request.stage_layers.clear();
  for (int ranks = mesh.world() + 1; ranks <= kRanksTriedForAdvice; ++ranks) {
    const auto candidates = Candidates(config, cluster, request, ranks);
    if (!candidates.empty() && candidates.front().fits)
      return fmt::format("; {} ranks with as much memory each would do ({})", ranks,
                         NameOf(candidates.front().outline.mesh));
  }
  return "";
}

// Which part it is that does not fit, in the order in which they are placed.
std::string WhatDoesNotFit(const spec::RankBytes& bytes, uint64_t memory) {
  if (bytes.weights > memory) return "the weights alone do not fit";
  const uint64_t beside = bytes.total() - bytes.kv_cache;
  if (beside > memory)
    return fmt::format("{} are left for activations and buffers",
                       FormatBytes(memory - bytes.weights));
  return fmt::format("{} are left for the KV cache", FormatBytes(memory - beside));
}

}  // namespace

MeshChoice ChooseMesh(const spec::ModelConfig& config, const spec::Cluster& cluster,
                      const PlanRequest& request) {
  std::vector<Candidate> candidates = Candidates(config, cluster, request, request.ranks);
  if (candidates.empty()) RefuseRanks(config, request);
  MeshChoice choice;
  if (!candidates.front().fits) {
    const auto closest = std::min_element(
        candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
          return Fullness(a.outline, cluster) < Fullness(b.outline, cluster);
        });
    choice.outline = std::move(closest->outline);
    return choice;
  }
  const Candidate& best = candidates.front();
  choice.reasons.push_back(fmt::format("chosen of {} for {} ranks: {}",
                                       candidates.size() == 1
                                           ? std::string("the only mesh")
                                           : fmt::format("{} meshes", candidates.size()),
                                       request.ranks, Describe(best)));
  if (candidates.size() > 1)
    choice.reasons.push_back(
        fmt::format("runner-up: {}{}", Describe(candidates[1]),
                    candidates[1].fits ? "" : ", but it does not fit the memory"));
  choice.reasons.push_back(Basis(best.outline, cluster));
  choice.outline = std::move(candidates.front().outline);
  return choice;
}

MeshChoice KeepMesh(const spec::ModelConfig& config, const spec::Cluster& cluster,
                    const PlanRequest& request) {
  Candidate given;
  given.outline = MakeOutline(config, cluster, request, request.mesh);
  given.prediction = Predict(config, given.outline, cluster);
  MeshChoice choice;
  choice.reasons.push_back(fmt::format("as asked: {}", Describe(given)));
  PlanRequest free = request;
  free.stage_layers.clear();
  for (const Candidate& other : Candidates(config, cluster, free, request.mesh.world())) {
    if (other.outline.mesh == request.mesh || !other.fits) continue;
    choice.reasons.push_back(
        fmt::format("the best other mesh of as many ranks: {}", Describe(other)));
    break;
  }
  choice.reasons.push_back(Basis(given.outline, cluster));
  choice.outline = std::move(given.outline);
  return choice;
}

void RefuseOverfull(const spec::ModelConfig& config, const spec::Cluster& cluster,
                    const PlanRequest& request, const Outline& outline) {
  const int rank = FirstOverfullRank(outline, cluster);
  if (rank < 0) return;
  const spec::RankBytes& bytes = outline.bytes[static_cast<size_t>(rank)];
  const RunShape& shape = outline.shape;
  const int64_t context = LargestContextThatFits(config, outline, cluster, shape.max_model_len);
  throw core::BadInput(
      "rank {} of {} needs {} (weights {}, KV cache {} for {} x {} positions, activations {}, "
      "buffers {}) and has {}: {}; {}{}",
      rank, NameOf(outline.mesh), FormatBytes(bytes.total()), FormatBytes(bytes.weights),
      FormatBytes(bytes.kv_cache), shape.batch_size, shape.max_model_len,
      FormatBytes(bytes.activations), FormatBytes(bytes.buffers),
      FormatBytes(RankMemory(cluster, rank)), WhatDoesNotFit(bytes, RankMemory(cluster, rank)),
      context > 0 ? fmt::format("the largest --max-model-len that fits is {}", context)
                  : std::string("no context length fits"),
      RankAdvice(config, cluster, request, outline.mesh));
}

}  // namespace autodist::planner
