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
                        .products = {{.rows = 1, .weights_per_s = 1.5}, {.rows = 8}},
                        .attention_flops_per_s = 6,
                        .attention_scores_per_s = 7,
                        .attention_extra_keys = 8,
                        .cache_write_bytes_per_s = 8.25,
                        .cache_extra_keys = 8.5,
                        .cache_bytes_per_s = 9,
                        .cache_flops_per_s = 10,
                        .row_bytes_per_s = 11,
                        .operation_s = 12,
                        .wait_s = 12.5,
                        .wait_fraction_one_row = 13,
                        .wait_fraction_many_rows = 14,
                        .host_link_latency_s = 15,
                        .host_link_bytes_per_s = 16,
                        .collectives = {{.moved_bytes = 64, .seconds = 17}},
                        .host_collectives = {{.moved_bytes = 64, .seconds = 18},
                                             {.moved_bytes = int64_t{1} << 33, .seconds = 19}}};
  const core::Json document = ToJson(cluster);
  EXPECT_EQ(document.size(), 24u);
  EXPECT_EQ(ToJson(ParseCluster(document, "c.json")), document);
  EXPECT_EQ(ParseCluster(document, "c.json").hosts, 2);
  EXPECT_EQ(ParseCluster(document, "c.json").host_link_bytes_per_s, 16);
  EXPECT_EQ(ParseCluster(document, "c.json").products[0].weights_per_s, 1.5);
  EXPECT_EQ(ParseCluster(document, "c.json").collectives[0].seconds, 17);
  EXPECT_EQ(ParseCluster(document, "c.json").host_collectives[1].moved_bytes, int64_t{1} << 33);
}

TEST(ClusterTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(RefusalOf({{"hosts", 2}}), ::testing::HasSubstr("cores"));
  EXPECT_THAT(RefusalOf({{"cores", 0}}), ::testing::HasSubstr("cores is 0"));
  EXPECT_EQ(RefusalOf({{"cores", 2}, {"flop_per_s", 1e9}}),
            "c.json: field flop_per_s is not one of a cluster's");
  EXPECT_THAT(RefusalOf({{"cores", 2}, {"products", 3}}), ::testing::HasSubstr("not a list"));
  const core::Json rate = {{"rows", 8}, {"weights_per_s", 1e9}};
  EXPECT_THAT(RefusalOf({{"cores", 2}, {"products", core::Json::array({rate, rate})}}),
              ::testing::HasSubstr("8 rows behind 8"));
  EXPECT_THAT(RefusalOf({{"cores", 2}, {"host_collectives", "fast"}}),
              ::testing::HasSubstr("host_collectives is not a list of moved_bytes and seconds"));
  const core::Json time = {{"moved_bytes", 0}, {"seconds", 1}};
  EXPECT_THAT(RefusalOf({{"cores", 2}, {"collectives", core::Json::array({time})}}),
              ::testing::HasSubstr("moved_bytes is 0"));
}

}  // namespace
}  // namespace autodist::spec
