#include "autodist/device/topology.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace autodist::device {
namespace {

std::optional<std::string> ReadSmallFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The number at the start of `text`; nullopt for "max", "-1" or anything else.
std::optional<uint64_t> ParseUnsigned(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

std::optional<uint64_t> ReadUnsigned(const std::filesystem::path& path) {
  const auto text = ReadSmallFile(path);
  return text ? ParseUnsigned(*text) : std::nullopt;
}

// The value after `key` and white space, in lines of "key value" or "key: value kB".
std::optional<uint64_t> FindValue(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const size_t digit = line.find_first_not_of(" :\t", key.size());
    if (digit == std::string::npos || digit == key.size()) continue;
    return ParseUnsigned(std::string_view(line).substr(digit));
  }
  return std::nullopt;
}

struct MemoryFiles {
  const char* limit;
  const char* usage;
};

void LimitMemory(const std::filesystem::path& group, MemoryFiles files,
                 ControlGroupLimits& limits) {
  const auto limit = ReadUnsigned(group / files.limit);
  const auto usage = ReadUnsigned(group / files.usage);
  if (!limit || !usage) return;
  const auto statistics = ReadSmallFile(group / "memory.stat");
  const uint64_t cache = statistics ? FindValue(*statistics, "inactive_file").value_or(0) : 0;
  const uint64_t used = *usage - std::min(*usage, cache);
  limits.memory_left_bytes = std::min(limits.memory_left_bytes, *limit - std::min(*limit, used));
}

void LimitCores(std::optional<uint64_t> quota_us, std::optional<uint64_t> period_us,
                ControlGroupLimits& limits) {
  if (!quota_us || !period_us || *period_us == 0) return;
  limits.cores =
      std::min(limits.cores, static_cast<double>(*quota_us) / static_cast<double>(*period_us));
}

// Version 2: "cpu.max" holds "<quota or max> <period>".
void LimitUnified(const std::filesystem::path& group, ControlGroupLimits& limits) {
  LimitMemory(group, {"memory.max", "memory.current"}, limits);
  if (const auto text = ReadSmallFile(group / "cpu.max")) {
    const size_t space = text->find(' ');
    if (space != std::string::npos) {
      LimitCores(ParseUnsigned(*text), ParseUnsigned(std::string_view(*text).substr(space + 1)),
                 limits);
    }
  }
}

bool Contains(std::string_view comma_list, std::string_view word) {
  for (size_t begin = 0; begin <= comma_list.size();) {
    const size_t end = std::min(comma_list.find(',', begin), comma_list.size());
    if (comma_list.substr(begin, end - begin) == word) return true;
    begin = end + 1;
  }
  return false;
}

// One line of /proc/self/cgroup is "<hierarchy>:<controllers>:<path>"; version 2 has no
// controllers. Inside a container the path may lie outside of the mount: then only the mount's root
// is read.
void LimitByLine(std::string_view line, const std::filesystem::path& mount,
                 ControlGroupLimits& limits) {
  const size_t first = line.find(':');
  const size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
  if (second == line.npos) return;
  const std::string_view controllers = line.substr(first + 1, second - first - 1);
  const auto relative = std::filesystem::path(line.substr(second + 1)).relative_path();
  for (std::filesystem::path group = relative;; group = group.parent_path()) {
    if (controllers.empty()) {
      LimitUnified(mount / group, limits);
      LimitUnified(mount / "unified" / group, limits);
    }
    if (Contains(controllers, "memory")) {
      LimitMemory(mount / "memory" / group, {"memory.limit_in_bytes", "memory.usage_in_bytes"},
                  limits);
    }
    if (Contains(controllers, "cpu")) {
      const auto folder = mount / "cpu" / group;
      LimitCores(ReadUnsigned(folder / "cpu.cfs_quota_us"),
                 ReadUnsigned(folder / "cpu.cfs_period_us"), limits);
    }
    if (group.empty()) return;
  }
}

ControlGroupLimits OwnLimits() {
  const auto membership = ReadSmallFile("/proc/self/cgroup");
  return membership ? ReadControlGroupLimits(*membership, "/sys/fs/cgroup") : ControlGroupLimits{};
}

}  // namespace

ControlGroupLimits ReadControlGroupLimits(std::string_view membership,
                                          const std::filesystem::path& mount) {
  ControlGroupLimits limits;
  for (size_t begin = 0; begin < membership.size();) {
    const size_t end = std::min(membership.find('\n', begin), membership.size());
    LimitByLine(membership.substr(begin, end - begin), mount, limits);
    begin = end + 1;
  }
  return limits;
}

int UsableCores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  // Fails on hosts with more than 1024 CPUs, where the mask does not fit: then 1024 of them are
  // enough.
  const int allowed =
      sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : CPU_SETSIZE;
  return std::max(1, static_cast<int>(std::min(static_cast<double>(allowed), OwnLimits().cores)));
}

uint64_t AvailableMemoryBytes() {
  const auto meminfo = ReadSmallFile("/proc/meminfo");
  const auto available_kib = meminfo ? FindValue(*meminfo, "MemAvailable") : std::nullopt;
  const uint64_t host =
      available_kib ? *available_kib * 1024 : std::numeric_limits<uint64_t>::max();
  return std::min(host, OwnLimits().memory_left_bytes);
}

}  // namespace autodist::device
