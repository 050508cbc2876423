#include "autodist/spec/cluster.h"

#include <algorithm>
#include <string>

#include "autodist/core/error.h"

namespace autodist::spec {
namespace {

constexpr int64_t kMost = 1 << 20;

std::vector<ProductRate> ParseProducts(const core::Json& array, std::string_view source) {
  if (!array.is_array())
    throw core::BadInput("{}: field products is not a list of rows and weights_per_s", source);
  std::vector<ProductRate> products;
  for (const core::Json& entry : array) {
    const core::JsonFields fields(entry, source);
    const ProductRate rate{.rows = fields.RequiredInt("rows", 1, kMost),
                           .weights_per_s = fields.Number("weights_per_s").value_or(0.0)};
    if (!products.empty() && rate.rows <= products.back().rows)
      throw core::BadInput("{}: field products has {} rows behind {}, must ascend", source,
                           rate.rows, products.back().rows);
    products.push_back(rate);
  }
  return products;
}

}  // namespace

core::Json ToJson(const Cluster& cluster) {
  core::Json document = {{"cores", cluster.cores}, {"hosts", cluster.hosts}};
  core::Json& products = document["products"] = core::Json::array();
  for (const ProductRate& rate : cluster.products)
    products.push_back({{"rows", rate.rows}, {"weights_per_s", rate.weights_per_s}});
  for (const ClusterRate& rate : kClusterRates) document[rate.name] = cluster.*rate.value;
  return document;
}

Cluster ParseCluster(const core::Json& document, std::string_view source) {
  const core::JsonFields fields(document, source);
  Cluster cluster;
  cluster.cores = static_cast<int>(fields.RequiredInt("cores", 1, kMost));
  cluster.hosts = static_cast<int>(fields.Int("hosts", 1, kMost).value_or(1));
  for (const ClusterRate& rate : kClusterRates)
    cluster.*rate.value = fields.Number(rate.name).value_or(cluster.*rate.value);
  if (const core::Json* products = fields.Find("products"))
    cluster.products = ParseProducts(*products, source);
  for (const auto& [name, value] : document.items()) {
    const bool known =
        name == "cores" || name == "hosts" || name == "products" ||
        std::ranges::any_of(kClusterRates, [&](const ClusterRate& r) { return name == r.name; });
    if (!known) throw core::BadInput("{}: field {} is not one of a cluster's", source, name);
  }
  return cluster;
}

}  // namespace autodist::spec
