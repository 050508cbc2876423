#include "autodist/planner/rates.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "autodist/core/error.h"

namespace autodist::planner {
namespace {

constexpr double kReadBytesPerCore = 8e9;
constexpr double kFlopsPerCore = 30e9;
constexpr double kLinkLatency = 5e-6;
constexpr double kLinkBytes = 4e9;

double RanksPerHost(const spec::Mesh& mesh, const spec::Cluster& cluster) {
  return std::max(1.0, std::ceil(static_cast<double>(mesh.world()) / cluster.hosts));
}

bool Positive(double value) { return std::isfinite(value) && value > 0.0; }

// At a size between measured ones, in proportion between them; below the first, as the first; above
// the last, as many times the last as the size is.
template <typename Entry, typename SizeOf, typename SecondsOf>
double SecondsAt(double size, std::span<const Entry> measured, const SizeOf& size_of,
                 const SecondsOf& seconds_of) {
  const auto next = std::ranges::find_if(
      measured, [&](const Entry& entry) { return static_cast<double>(size_of(entry)) >= size; });
  if (next == measured.begin()) return seconds_of(*next);
  const Entry& before = *std::prev(next);
  const auto below = static_cast<double>(size_of(before));
  if (next == measured.end()) return size / below * seconds_of(before);
  const double part = (size - below) / (static_cast<double>(size_of(*next)) - below);
  return (1.0 - part) * seconds_of(before) + part * seconds_of(*next);
}

[[noreturn]] void RefuseRate(const char* name, double value, const char* limit) {
  throw core::BadInput("cluster: {} is {}, must be a {}, finite number", name, value, limit);
}

// Without these nothing can be predicted.
constexpr double spec::Cluster::*kNeeded[] = {
    &spec::Cluster::read_bytes_per_s, &spec::Cluster::flops_per_s, &spec::Cluster::link_latency_s,
    &spec::Cluster::link_bytes_per_s};

void CheckRates(const spec::Cluster& cluster) {
  for (const spec::ClusterRate& rate : spec::kClusterRates) {
    const double value = cluster.*rate.value;
    const bool needed = std::ranges::find(kNeeded, rate.value) != std::end(kNeeded);
    if (needed && !Positive(value)) RefuseRate(rate.name, value, "positive");
    if (value != 0.0 && !Positive(value)) RefuseRate(rate.name, value, "non-negative");
  }
  for (const spec::ProductRate& product : cluster.products)
    if (!Positive(product.weights_per_s))
      RefuseRate("weights_per_s of products", product.weights_per_s, "positive");
  for (const auto* times : {&cluster.collectives, &cluster.host_collectives})
    for (const spec::CollectiveTime& time : *times)
      if (!Positive(time.seconds)) RefuseRate("seconds of collectives", time.seconds, "positive");
}

}  // namespace

bool RatesUnknown(const spec::Cluster& cluster) {
  return cluster.read_bytes_per_s == 0.0 && cluster.flops_per_s == 0.0;
}

spec::Cluster CompleteCluster(const spec::Cluster& cluster) {
  if (cluster.cores < 1)
    throw core::BadInput("cluster: cores is {}, must be at least 1", cluster.cores);
  if (cluster.hosts < 1)
    throw core::BadInput("cluster: hosts is {}, must be at least 1", cluster.hosts);
  spec::Cluster complete = cluster;
  if (RatesUnknown(cluster)) {
    complete.read_bytes_per_s = kReadBytesPerCore * cluster.cores;
    complete.flops_per_s = kFlopsPerCore * cluster.cores;
  }
  if (cluster.link_latency_s == 0.0 && cluster.link_bytes_per_s == 0.0) {
    complete.link_latency_s = kLinkLatency;
    complete.link_bytes_per_s = kLinkBytes;
  }
  CheckRates(complete);
  constexpr double kFree = std::numeric_limits<double>::infinity();
  const auto complete_rate = [](double& rate, double value) {
    if (rate == 0.0) rate = value;
  };
  complete_rate(complete.core_read_bytes_per_s, complete.read_bytes_per_s / complete.cores);
  complete_rate(complete.attention_flops_per_s, complete.flops_per_s);
  complete_rate(complete.attention_scores_per_s, kFree);
  complete_rate(complete.cache_write_bytes_per_s, kFree);
  complete_rate(complete.cache_bytes_per_s, complete.read_bytes_per_s);
  complete_rate(complete.cache_flops_per_s, kFree);
  complete_rate(complete.row_bytes_per_s, kFree);
  if (complete.host_link_latency_s == 0.0 && complete.host_collectives.empty())
    complete.host_collectives = complete.collectives;
  complete_rate(complete.host_link_latency_s, complete.link_latency_s);
  complete_rate(complete.host_link_bytes_per_s, complete.link_bytes_per_s);
  return complete;
}

RankRates::RankRates(const spec::Mesh& mesh, const spec::Cluster& cluster, double calls_in_flight)
    : cluster_(cluster) {
  const double cores = cluster.cores;
  const double here = RanksPerHost(mesh, cluster);
  const double busy = std::min(here, std::min<double>(mesh.pp, calls_in_flight) * mesh.tp);
  const double own_cores = std::max(1.0, std::floor(cores / here));
  share_ = std::min(own_cores / cores, 1.0 / busy);
  read_share_ =
      std::min(cluster.core_read_bytes_per_s * own_cores / cluster.read_bytes_per_s, 1.0 / busy);
}

double RankRates::WeightSeconds(double rows) const {
  return SecondsAt(
      rows, std::span(cluster_.products), [](const auto& product) { return product.rows; },
      [](const auto& product) { return 1.0 / product.weights_per_s; });
}

double RankRates::Products(double rows, double weights, double bytes) const {
  const double reading = bytes / cluster_.read_bytes_per_s / read_share_;
  if (cluster_.products.empty())
    return std::max(reading, 2.0 * rows * weights / (cluster_.flops_per_s * share_));
  return reading + weights * std::max(0.0, WeightSeconds(rows) - WeightSeconds(1)) / share_;
}

double RankRates::Attention(double queries, double scores, double head_dim) const {
  return (scores + cluster_.attention_extra_keys * queries) *
         (1.0 / cluster_.attention_scores_per_s + 4.0 * head_dim / cluster_.attention_flops_per_s) /
         share_;
}

double RankRates::CachedAttention(double keys, double key_bytes, double key_flops) const {
  return (keys + cluster_.cache_extra_keys) *
         std::max(key_bytes / cluster_.cache_bytes_per_s / read_share_,
                  key_flops / cluster_.cache_flops_per_s / share_);
}

double RankRates::Cache(double read_bytes, double written_bytes) const {
  return read_bytes / cluster_.cache_bytes_per_s / read_share_ +
         written_bytes / cluster_.cache_write_bytes_per_s / share_;
}

double RankRates::Rows(double bytes) const { return bytes / cluster_.row_bytes_per_s / share_; }

double RankRates::Operations(double count) const { return count * cluster_.operation_s; }

double RankRates::Wait(double rows, double seconds, double meetings) const {
  constexpr auto kMany = static_cast<double>(spec::kManyRows);
  const double part = std::clamp((rows - 1.0) / (kMany - 1.0), 0.0, 1.0);
  return meetings * cluster_.wait_s + seconds * ((1.0 - part) * cluster_.wait_fraction_one_row +
                                                 part * cluster_.wait_fraction_many_rows);
}

double Link::Seconds(double moved_bytes, int steps) const {
  if (measured.empty()) return steps * latency_s + moved_bytes / bytes_per_s;
  return SecondsAt(
      moved_bytes, measured, [](const auto& time) { return time.moved_bytes; },
      [](const auto& time) { return time.seconds; });
}

Link LinkBetween(const spec::Mesh& mesh, const spec::Cluster& cluster, int first, int last) {
  const int per_host = static_cast<int>(RanksPerHost(mesh, cluster));
  if (first / per_host == last / per_host)
    return {cluster.link_latency_s, cluster.link_bytes_per_s, cluster.collectives};
  return {cluster.host_link_latency_s, cluster.host_link_bytes_per_s, cluster.host_collectives};
}

}  // namespace autodist::planner
