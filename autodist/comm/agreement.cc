#include "autodist/comm/agreement.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace autodist::comm {
namespace {

// `text` of `root`, on every rank.
std::string BroadcastText(Communicator& comm, std::string text, int root) {
  auto length = static_cast<int64_t>(text.size());
  comm.Broadcast({&length, 1, 1}, root).Wait();
  text.resize(static_cast<size_t>(length));
  comm.Broadcast({text.data(), core::DType::kU8, 1, length}, root).Wait();
  return text;
}

std::vector<int32_t> GatherNumbers(Communicator& comm, int32_t own) {
  std::vector<int32_t> all(static_cast<size_t>(comm.size()));
  comm.AllGather({&own, 1, 1}, {all.data(), 1, comm.size()}).Wait();
  return all;
}

std::string Shown(const std::string& text) {
  constexpr size_t kShownBytes = 200;
  return text.size() <= kShownBytes ? text : text.substr(0, kShownBytes) + "...";
}

}  // namespace

void AgreeOnError(Communicator& comm, const std::optional<core::Error>& error) {
  const std::vector<int32_t> codes = GatherNumbers(comm, error ? error->exit_code() : 0);
  const auto first =
      std::find_if(codes.begin(), codes.end(), [](int32_t code) { return code != 0; });
  if (first == codes.end()) return;
  const std::string text =
      BroadcastText(comm, error ? error->what() : "", static_cast<int>(first - codes.begin()));
  throw core::Error(static_cast<core::ErrorKind>(*first), text);
}

void CheckSame(Communicator& comm, std::string_view label, std::string_view value) {
  const std::string own(value);
  const std::string wanted = BroadcastText(comm, own, 0);
  const std::vector<int32_t> differs = GatherNumbers(comm, own == wanted ? 0 : 1);
  const auto first = std::find(differs.begin(), differs.end(), 1);
  if (first == differs.end()) return;
  const auto rank = static_cast<int>(first - differs.begin());
  const std::string other = BroadcastText(comm, own, rank);
  throw core::BadInput("{} differs between ranks: rank 0 has {}, rank {} has {}", label,
                       Shown(wanted), rank, Shown(other));
}

}  // namespace autodist::comm
