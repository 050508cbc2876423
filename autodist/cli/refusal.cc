#include "autodist/cli/refusal.h"

#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#include "autodist/comm/agreement.h"
#include "autodist/comm/create.h"
#include "autodist/comm/launch.h"
#include "autodist/runtime/job.h"

namespace autodist::cli {
namespace {

constexpr double kMeetingLimitS = 10;

// The flags may be what is wrong, so they are not parsed but looked for.
std::optional<int> NumberAfter(std::string_view flag, const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view text = arguments[i];
    if (!text.starts_with(flag)) continue;
    text.remove_prefix(flag.size());
    if (text.starts_with('=')) {
      text.remove_prefix(1);
    } else if (text.empty() && i + 1 < arguments.size()) {
      text = arguments[i + 1];
    } else {
      continue;
    }
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  return std::nullopt;
}

}  // namespace

void RefuseTogether(const core::Error& error, const std::vector<std::string>& arguments) {
  std::shared_ptr<comm::Communicator> world;
  try {
    const comm::LaunchInfo launch =
        comm::DetectLaunch([](const char* name) { return std::getenv(name); },
                           {.local_rank = NumberAfter("--local-rank", arguments),
                            .world_size = NumberAfter("--world-size", arguments)});
    if (launch.launcher != comm::Launcher::kNone && launch.world_size > 1)
      world = comm::CreateCommunicator(launch, {.collective_timeout_s = kMeetingLimitS});
  } catch (const core::Error&) {
    throw error;  // alone
  }
  if (world == nullptr) throw error;
  try {
    comm::AgreeOnError(*world, error);
  } catch (const core::Error& agreed) {
    throw runtime::RankError(agreed, world);
  }
  throw error;  // not reached: this rank brought an error
}

}  // namespace autodist::cli
