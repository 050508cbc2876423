#include "autodist/planner/rates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "autodist/planner/testing/example_model.h"

namespace autodist::planner {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Two cores that read 20 GB/s and compute 1 TFLOP/s together; one core alone reads 15 GB/s.
spec::Cluster TwoCores() {
  return CompleteCluster(
      {.cores = 2, .read_bytes_per_s = 20e9, .flops_per_s = 1e12, .core_read_bytes_per_s = 15e9});
}

TEST(RatesTest, ARankAloneHasItsHost) {
  const spec::Cluster host = TwoCores();
  const RankRates rates({}, host, 1);
  EXPECT_DOUBLE_EQ(rates.Products(1, 1e9, 2e9), 0.1);            // reading: 2 GB
  EXPECT_DOUBLE_EQ(rates.Products(100, 1e9, 2e9), 0.2);          // computing: 200 GFLOP
  EXPECT_DOUBLE_EQ(rates.Attention(10, 1e9, 250), 1.0);          // 4 * 250 FLOP per score
  EXPECT_DOUBLE_EQ(rates.CachedAttention(100, 2e7, 1e30), 0.1);  // computing is free
  EXPECT_DOUBLE_EQ(rates.Cache(2e9, 1e30), 0.1);                 // and so is writing
  EXPECT_DOUBLE_EQ(rates.Rows(1e30), 0.0);
  EXPECT_DOUBLE_EQ(rates.Wait(1, 1.0, 100), 0.0);
}

TEST(RatesTest, RanksShareTheirHost) {
  const spec::Cluster host = TwoCores();
  // Both work at once: each has half.
  EXPECT_DOUBLE_EQ(RankRates({.tp = 2}, host, 1).Products(1, 1e9, 2e9), 0.2);
  EXPECT_DOUBLE_EQ(RankRates({.tp = 2}, host, 1).Products(100, 1e9, 2e9), 0.4);
  // One stage after the other: a core reads more alone, but computes no faster.
  EXPECT_DOUBLE_EQ(RankRates({.pp = 2}, host, 1).Products(1, 1e9, 1.5e9), 0.1);
  EXPECT_DOUBLE_EQ(RankRates({.pp = 2}, host, 1).Products(100, 1e9, 2e9), 0.4);
  EXPECT_DOUBLE_EQ(RankRates({.pp = 2}, host, 2).Products(1, 1e9, 2e9), 0.2);
  // More ranks than cores take turns.
  EXPECT_DOUBLE_EQ(RankRates({.tp = 4}, host, 1).Products(1, 1e9, 2e9), 0.4);
  EXPECT_DOUBLE_EQ(RankRates({.tp = 4}, host, 1).Products(100, 1e9, 2e9), 0.8);
  // Two hosts: one rank each.
  spec::Cluster hosts = host;
  hosts.hosts = 2;
  EXPECT_DOUBLE_EQ(RankRates({.tp = 2}, hosts, 1).Products(1, 1e9, 2e9), 0.1);
}

// Measured at 1, 11 and 21 rows: 0.1, 0.3 and 0.4 s for a billion weights.
TEST(RatesTest, ProductsFollowWhatWasMeasured) {
  spec::Cluster host = TwoCores();
  host.products = {{.rows = 1, .weights_per_s = 1e10},
                   {.rows = 11, .weights_per_s = 1e9 / 0.3},
                   {.rows = 21, .weights_per_s = 1e9 / 0.4}};
  const RankRates rates({}, host, 1);
  EXPECT_NEAR(rates.Products(1, 1e9, 2e9), 0.1, 1e-12);
  EXPECT_NEAR(rates.Products(6, 1e9, 2e9), 0.2, 1e-12);
  EXPECT_NEAR(rates.Products(11, 1e9, 2e9), 0.3, 1e-12);
  EXPECT_NEAR(rates.Products(42, 1e9, 2e9), 0.8, 1e-12);
  // Half of the bytes, int8: reading takes half as long, computing as long as before.
  EXPECT_NEAR(rates.Products(1, 1e9, 1e9), 0.05, 1e-12);
  EXPECT_NEAR(rates.Products(11, 1e9, 1e9), 0.25, 1e-12);
  // A rank of two has half of the host in both.
  EXPECT_NEAR(RankRates({.tp = 2}, host, 1).Products(11, 1e9, 2e9), 0.6, 1e-12);
}

TEST(RatesTest, Attention) {
  spec::Cluster host = TwoCores();
  host.attention_flops_per_s = 4e11;
  host.attention_scores_per_s = 1e10;
  host.attention_extra_keys = 50;
  host.cache_write_bytes_per_s = 1e9;
  host.cache_extra_keys = 10;
  host.cache_bytes_per_s = 10e9;
  host.cache_flops_per_s = 1e11;
  const RankRates rates({}, host, 1);
  // 100 queries with 50 keys each, and 50 in effect; per score 0.1 ns and 4 * 100 FLOP.
  EXPECT_NEAR(rates.Attention(100, 5000, 100), 1e4 * (1e-10 + 1e-9), 1e-15);
  EXPECT_NEAR(rates.Cache(1e9, 2e9), 2.1, 1e-12);
  // 90 keys and 10 in effect.
  EXPECT_NEAR(rates.CachedAttention(90, 1e7, 1e7), 0.1, 1e-12);
  EXPECT_NEAR(rates.CachedAttention(90, 1e7, 2e8), 0.2, 1e-12);
}

TEST(RatesTest, WaitsGrowFromOneRowToMany) {
  spec::Cluster host = TwoCores();
  host.wait_fraction_one_row = 0.1;
  host.wait_fraction_many_rows = 0.3;
  const RankRates rates({.tp = 2}, host, 1);
  EXPECT_NEAR(rates.Wait(1, 2.0, 10), 0.2, 1e-12);
  EXPECT_NEAR(rates.Wait(256.5, 2.0, 10), 0.4, 1e-12);
  EXPECT_NEAR(rates.Wait(4096, 2.0, 10), 0.6, 1e-12);
  // And with each meeting.
  host.wait_s = 0.01;
  EXPECT_NEAR(rates.Wait(1, 2.0, 10), 0.3, 1e-12);
}

TEST(RatesTest, LinksBetweenRanks) {
  spec::Cluster hosts = TwoCores();
  hosts.hosts = 2;
  hosts.host_link_latency_s = 1e-3;
  const spec::Mesh mesh{.tp = 2, .pp = 2};
  EXPECT_EQ(LinkBetween(mesh, hosts, 0, 1).latency_s, hosts.link_latency_s);
  EXPECT_EQ(LinkBetween(mesh, hosts, 1, 2).latency_s, 1e-3);
}

TEST(RatesTest, CollectivesTakeALatencyForEachStep) {
  spec::Cluster host = TwoCores();
  host.link_latency_s = 1e-3;
  host.link_bytes_per_s = 1e6;
  const Link link = LinkBetween({.tp = 2}, host, 0, 1);
  EXPECT_NEAR(link.Seconds(1e4), 0.011, 1e-12);
  EXPECT_NEAR(link.Seconds(1e4, 2), 0.012, 1e-12);
}

// Steps are a part of what was measured.
TEST(RatesTest, CollectivesFollowWhatWasMeasured) {
  spec::Cluster hosts = TwoCores();
  hosts.hosts = 2;
  hosts.collectives = {{.moved_bytes = 1000, .seconds = 0.1}};
  hosts.host_collectives = {{.moved_bytes = 100, .seconds = 0.1},
                            {.moved_bytes = 1100, .seconds = 0.3},
                            {.moved_bytes = 2100, .seconds = 0.4}};
  const Link link = LinkBetween({.tp = 2}, hosts, 0, 1);
  for (const int steps : {1, 2}) {
    EXPECT_NEAR(link.Seconds(1, steps), 0.1, 1e-12);
    EXPECT_NEAR(link.Seconds(600, steps), 0.2, 1e-12);
    EXPECT_NEAR(link.Seconds(2100, steps), 0.4, 1e-12);
    EXPECT_NEAR(link.Seconds(4200, steps), 0.8, 1e-12);
  }
  EXPECT_NEAR(LinkBetween({.tp = 4}, hosts, 0, 1).Seconds(1000), 0.1, 1e-12);
}

TEST(RatesTest, UnknownLinksBetweenHostsAreAsWithinOne) {
  spec::Cluster hosts{.cores = 1, .hosts = 2, .collectives = {{.moved_bytes = 8, .seconds = 1}}};
  EXPECT_EQ(CompleteCluster(hosts).host_collectives.size(), 1u);
  hosts.host_link_latency_s = 1e-3;
  EXPECT_TRUE(CompleteCluster(hosts).host_collectives.empty());
  hosts.host_collectives = {{.moved_bytes = 8, .seconds = 2}};
  EXPECT_EQ(CompleteCluster(hosts).host_collectives.at(0).seconds, 2);
}

spec::Cluster Measured() {
  return {.cores = 8,
          .read_bytes_per_s = 1e9,
          .flops_per_s = 1e18,
          .link_latency_s = 1e-12,
          .link_bytes_per_s = 1e15};
}

TEST(RatesTest, UnknownRatesAreTypicalOnes) {
  const spec::Cluster unknown{.cores = 4};
  EXPECT_TRUE(RatesUnknown(unknown));
  const spec::Cluster typical = CompleteCluster(unknown);
  EXPECT_FALSE(RatesUnknown(typical));
  EXPECT_EQ(typical.read_bytes_per_s, 32e9);
  const spec::Cluster measured = CompleteCluster(Measured());
  EXPECT_EQ(measured.read_bytes_per_s, 1e9);
  // One rank measured: nothing joins it.
  spec::Cluster alone = Measured();
  alone.link_latency_s = alone.link_bytes_per_s = 0;
  EXPECT_GT(CompleteCluster(alone).link_latency_s, 0);
  EXPECT_EQ(CompleteCluster(alone).read_bytes_per_s, 1e9);
}

TEST(RatesTest, RefusesImpossibleRates) {
  const auto refusal = [](spec::Cluster cluster) {
    return testing::RefusalOf([&] { CompleteCluster(cluster); });
  };
  spec::Cluster cluster = Measured();
  cluster.read_bytes_per_s = 0.0;
  EXPECT_THAT(refusal(cluster), HasSubstr("read_bytes_per_s is 0"));
  cluster = Measured();
  cluster.link_latency_s = -1e-6;
  EXPECT_THAT(refusal(cluster),
              AllOf(HasSubstr("link_latency_s is -1e-06"), HasSubstr("positive")));
  cluster.link_latency_s = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(refusal(cluster), HasSubstr("link_latency_s is nan"));
  cluster = Measured();
  cluster.row_bytes_per_s = -1;
  EXPECT_THAT(refusal(cluster), HasSubstr("row_bytes_per_s is -1"));
  cluster = Measured();
  cluster.products = {{.rows = 1, .weights_per_s = 0}};
  EXPECT_THAT(refusal(cluster), HasSubstr("weights_per_s of products is 0"));
  cluster = Measured();
  cluster.host_collectives = {{.moved_bytes = 64, .seconds = -1}};
  EXPECT_THAT(refusal(cluster), HasSubstr("seconds of collectives is -1"));
  EXPECT_THAT(refusal({.cores = 0}), HasSubstr("cores is 0"));
  EXPECT_THAT(refusal({.hosts = 0}), HasSubstr("hosts is 0"));
}

}  // namespace
}  // namespace autodist::planner
