#include "autodist/spec/cluster.h"

#include <algorithm>
#include <string>

#include "autodist/core/error.h"

namespace autodist::spec {
namespace {

constexpr int64_t kMost = 1 << 20;
constexpr int64_t kMostBytes = int64_t{1} << 40;

// What was measured at several sizes: a list of objects of a size and a value.
template <typename Entry>
struct SizedList {
  const char* name;
  std::vector<Entry> Cluster::*entries;
  const char* size_name;
  int64_t Entry::*size;
  int64_t largest;
  const char* value_name;
  double Entry::*value;

  core::Json ToJson(const Cluster& cluster) const {
    core::Json array = core::Json::array();
    for (const Entry& entry : cluster.*entries)
      array.push_back({{size_name, entry.*size}, {value_name, entry.*value}});
    return array;
  }

  void Parse(const core::JsonFields& document, std::string_view source, Cluster& cluster) const {
    const core::Json* array = document.Find(name);
    if (array == nullptr) return;
    if (!array->is_array())
      throw core::BadInput("{}: field {} is not a list of {} and {}", source, name, size_name,
                           value_name);
    for (const core::Json& object : *array) {
      const core::JsonFields fields(object, source);
      Entry entry;
      entry.*size = fields.RequiredInt(size_name, 1, largest);
      entry.*value = fields.Number(value_name).value_or(0.0);
      std::vector<Entry>& all = cluster.*entries;
      if (!all.empty() && entry.*size <= all.back().*size)
        throw core::BadInput("{}: field {} has {} {} behind {}, must ascend", source, name,
                             entry.*size, size_name, all.back().*size);
      all.push_back(entry);
    }
  }
};

constexpr SizedList<CollectiveTime> Collectives(const char* name,
                                                std::vector<CollectiveTime> Cluster::*entries) {
  return {name,       entries,   "moved_bytes",           &CollectiveTime::moved_bytes,
          kMostBytes, "seconds", &CollectiveTime::seconds};
}

constexpr SizedList<ProductRate> kProducts = {
    "products",      &Cluster::products,         "rows", &ProductRate::rows, kMost,
    "weights_per_s", &ProductRate::weights_per_s};
constexpr SizedList<CollectiveTime> kCollectives[] = {
    Collectives("collectives", &Cluster::collectives),
    Collectives("host_collectives", &Cluster::host_collectives)};

bool IsField(std::string_view name) {
  const auto named = [&](const auto& field) { return name == field.name; };
  return name == "cores" || name == "hosts" || named(kProducts) ||
         std::ranges::any_of(kClusterRates, named) || std::ranges::any_of(kCollectives, named);
}

}  // namespace

core::Json ToJson(const Cluster& cluster) {
  core::Json document = {{"cores", cluster.cores}, {"hosts", cluster.hosts}};
  document[kProducts.name] = kProducts.ToJson(cluster);
  for (const ClusterRate& rate : kClusterRates) document[rate.name] = cluster.*rate.value;
  for (const auto& list : kCollectives) document[list.name] = list.ToJson(cluster);
  return document;
}

Cluster ParseCluster(const core::Json& document, std::string_view source) {
  const core::JsonFields fields(document, source);
  Cluster cluster;
  cluster.cores = static_cast<int>(fields.RequiredInt("cores", 1, kMost));
  cluster.hosts = static_cast<int>(fields.Int("hosts", 1, kMost).value_or(1));
  for (const ClusterRate& rate : kClusterRates)
    cluster.*rate.value = fields.Number(rate.name).value_or(cluster.*rate.value);
  kProducts.Parse(fields, source, cluster);
  for (const auto& list : kCollectives) list.Parse(fields, source, cluster);
  for (const auto& [name, value] : document.items())
    if (!IsField(name))
      throw core::BadInput("{}: field {} is not one of a cluster's", source, name);
  return cluster;
}

}  // namespace autodist::spec
