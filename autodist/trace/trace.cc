#include "autodist/trace/trace.h"

#include <algorithm>
#include <map>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/trace/byte_source.h"
#include "autodist/trace/reader.h"
#include "autodist/trace/tar.h"

namespace autodist::trace {
namespace {

bool IsTar(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".tar") || name.ends_with(".tar.gz") || name.ends_with(".tgz");
}

// macOS puts "._name" beside each file of an archive.
bool IsTraceName(const std::string& member) {
  const std::string name = std::filesystem::path(member).filename().string();
  return !name.starts_with("._") && name.ends_with(".json");
}

void ReadArchive(const std::filesystem::path& path, const Classifier& classifier,
                 std::vector<Trace>& traces) {
  const size_t before = traces.size();
  TarReader archive(OpenBytes(path), path.string());
  while (archive.Next()) {
    if (!IsTraceName(archive.member())) continue;
    const std::string name = fmt::format("{}!{}", path.string(), archive.member());
    traces.push_back(ReadTrace(archive.content(), name, classifier));
  }
  if (traces.size() == before)
    throw core::BadInput("{}: there is no .json file in the archive", path.string());
}

}  // namespace

Trace ReadTrace(const std::filesystem::path& path, const Classifier& classifier) {
  const std::unique_ptr<ByteSource> bytes = OpenBytes(path);
  return ReadTrace(*bytes, path.string(), classifier);
}

std::vector<Trace> ReadTraces(const std::vector<std::filesystem::path>& paths,
                              const Classifier& classifier) {
  std::vector<Trace> traces;
  for (const std::filesystem::path& path : paths) {
    if (IsTar(path)) {
      ReadArchive(path, classifier, traces);
    } else {
      traces.push_back(ReadTrace(path, classifier));
    }
  }
  std::map<int64_t, const Trace*> ranks;
  for (const Trace& trace : traces) {
    if (!trace.rank) continue;
    const auto [other, added] = ranks.emplace(*trace.rank, &trace);
    if (!added)
      throw core::BadInput("{} and {}: both are of rank {} (distributedInfo.rank)",
                           other->second->file, trace.file, *trace.rank);
  }
  std::stable_sort(traces.begin(), traces.end(), [](const Trace& a, const Trace& b) {
    return a.rank.value_or(0) < b.rank.value_or(0);
  });
  return traces;
}

}  // namespace autodist::trace
