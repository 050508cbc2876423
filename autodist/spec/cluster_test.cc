#include "autodist/spec/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "autodist/core/error.h"

namespace autodist::spec {
namespace {

std::string RefusalOf(const core::Json& document) {
  try {
    ParseCluster(document, "c.json");
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "accepted";
}

TEST(ClusterTest, ComesBackFromItsJson) {
  const Cluster cluster{.cores = 6,
                        .hosts = 2,
                        .read_bytes_per_s = 1,
                        .flops_per_s = 2,
                        .link_latency_s = 3,
                        .link_bytes_per_s = 4,
                        .core_read_bytes_per_s = 5,
                        .attention_flops_per_s = 6,
                        .row_bytes_per_s = 7,
                        .operation_s = 8,
                        .host_link_latency_s = 9,
                        .host_link_bytes_per_s = 10};
  const core::Json document = ToJson(cluster);
  EXPECT_EQ(document.size(), 12u);
  EXPECT_EQ(ToJson(ParseCluster(document, "c.json")), document);
  EXPECT_EQ(ParseCluster(document, "c.json").hosts, 2);
  EXPECT_EQ(ParseCluster(document, "c.json").host_link_bytes_per_s, 10);
}

TEST(ClusterTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(RefusalOf({{"hosts", 2}}), ::testing::HasSubstr("cores"));
  EXPECT_THAT(RefusalOf({{"cores", 0}}), ::testing::HasSubstr("cores is 0"));
  EXPECT_EQ(RefusalOf({{"cores", 2}, {"flop_per_s", 1e9}}),
            "c.json: field flop_per_s is not one of a cluster's");
}

}  // namespace
}  // namespace autodist::spec
