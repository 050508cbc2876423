#include "autodist/spec/cluster.h"

#include <algorithm>
#include <string>

#include "autodist/core/error.h"

namespace autodist::spec {
namespace {

struct Rate {
  const char* name;
  double Cluster::*value;
};

constexpr Rate kRates[] = {{"read_bytes_per_s", &Cluster::read_bytes_per_s},
                           {"core_read_bytes_per_s", &Cluster::core_read_bytes_per_s},
                           {"flops_per_s", &Cluster::flops_per_s},
                           {"attention_flops_per_s", &Cluster::attention_flops_per_s},
                           {"row_bytes_per_s", &Cluster::row_bytes_per_s},
                           {"operation_s", &Cluster::operation_s},
                           {"link_latency_s", &Cluster::link_latency_s},
                           {"link_bytes_per_s", &Cluster::link_bytes_per_s},
                           {"host_link_latency_s", &Cluster::host_link_latency_s},
                           {"host_link_bytes_per_s", &Cluster::host_link_bytes_per_s}};

}  // namespace

core::Json ToJson(const Cluster& cluster) {
  core::Json document = {{"cores", cluster.cores}, {"hosts", cluster.hosts}};
  for (const Rate& rate : kRates) document[rate.name] = cluster.*rate.value;
  return document;
}

Cluster ParseCluster(const core::Json& document, std::string_view source) {
  constexpr int64_t kMost = 1 << 20;
  const core::JsonFields fields(document, source);
  Cluster cluster;
  cluster.cores = static_cast<int>(fields.RequiredInt("cores", 1, kMost));
  cluster.hosts = static_cast<int>(fields.Int("hosts", 1, kMost).value_or(1));
  for (const Rate& rate : kRates)
    cluster.*rate.value = fields.Number(rate.name).value_or(cluster.*rate.value);
  for (const auto& [name, value] : document.items()) {
    const bool known = name == "cores" || name == "hosts" ||
                       std::ranges::any_of(kRates, [&](const Rate& r) { return name == r.name; });
    if (!known) throw core::BadInput("{}: field {} is not one of a cluster's", source, name);
  }
  return cluster;
}

}  // namespace autodist::spec
