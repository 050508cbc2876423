#include "autodist/comm/agreement.h"

#include <gtest/gtest.h>

#include <string>

#include "autodist/comm/testing.h"

namespace autodist::comm {
namespace {

TEST(AgreementTest, EveryRankThrowsTheErrorOfTheLowestRank) {
  RunOnThreads(4, [](Communicator& comm) {
    AgreeOnError(comm, std::nullopt);  // nobody objects
    std::optional<core::Error> own;
    if (comm.rank() == 2) own = core::BadInput("config.json: no such file");
    if (comm.rank() == 3) own = core::RuntimeFailure("out of memory");
    const core::Error error = ErrorOf([&] { AgreeOnError(comm, own); });
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    EXPECT_STREQ(error.what(), "config.json: no such file");
    comm.Barrier();  // the job could go on
  });
}

TEST(AgreementTest, ADifferenceIsRefusedEverywhereWithBothValues) {
  RunOnThreads(3, [](Communicator& comm) {
    CheckSame(comm, "version", "1.2");
    const core::Error error =
        ErrorOf([&] { CheckSame(comm, "model hash", comm.rank() == 1 ? "beef" : "f00d1"); });
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    EXPECT_STREQ(error.what(),
                 "model hash differs between ranks: rank 0 has f00d1, rank 1 has beef");
  });
}

TEST(AgreementTest, LongTextsAreComparedWholeAndShownShort) {
  RunOnThreads(2, [](Communicator& comm) {
    std::string plan(5000, 'x');
    CheckSame(comm, "plan", plan);
    plan.back() = static_cast<char>('0' + comm.rank());
    const core::Error error = ErrorOf([&] { CheckSame(comm, "plan", plan); });
    EXPECT_LT(std::string(error.what()).size(), 500u);
  });
}

TEST(AgreementTest, OneRankAgreesWithItself) {
  RunOnThreads(1, [](Communicator& comm) {
    CheckSame(comm, "version", "1.2");
    EXPECT_STREQ(ErrorOf([&] { AgreeOnError(comm, core::BadInput("no")); }).what(), "no");
  });
}

}  // namespace
}  // namespace autodist::comm
