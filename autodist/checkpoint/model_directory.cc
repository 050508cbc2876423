#include "autodist/checkpoint/model_directory.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <vector>

#include "autodist/checkpoint/safetensors.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::checkpoint {
namespace {

namespace fs = std::filesystem;
using core::BadInput;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// One part of a repository's name, by the hub's own rule.
bool IsRepositoryPart(std::string_view part) {
  return !part.empty() && part.size() <= 96 &&
         std::all_of(part.begin(), part.end(), IsNameCharacter) && part.front() != '.' &&
         part.front() != '-' && part.find("--") == part.npos && part.find("..") == part.npos;
}

// Branches may hold '/'; no component may leave the directory of references.
bool IsRevision(std::string_view revision) {
  if (revision.empty() || revision.size() > 255 || revision.front() == '/') return false;
  for (const char c : revision)
    if (!IsNameCharacter(c) && c != '/') return false;
  const fs::path path(revision);
  return std::none_of(path.begin(), path.end(),
                      [](const fs::path& part) { return part == ".." || part == "."; });
}

struct HubName {
  std::string repository;  // "org/name" or "name"
  std::string revision;    // "main" unless given

  std::string DownloadCommand() const {
    return revision == "main" ? fmt::format("hf download {}", repository)
                              : fmt::format("hf download {} --revision {}", repository, revision);
  }
};

std::optional<HubName> ParseHubName(std::string_view model) {
  HubName name;
  const size_t at = model.find('@');
  const std::string_view repository = model.substr(0, at);
  name.revision = at == model.npos ? "main" : std::string(model.substr(at + 1));
  if (!IsRevision(name.revision)) return std::nullopt;
  const size_t slash = repository.find('/');
  const bool valid = slash == repository.npos ? IsRepositoryPart(repository)
                                              : IsRepositoryPart(repository.substr(0, slash)) &&
                                                    IsRepositoryPart(repository.substr(slash + 1));
  if (!valid) return std::nullopt;
  name.repository = std::string(repository);
  return name;
}

// The variable's value; "~/" stands for $HOME as in the hub's own library. nullopt when unset or
// empty.
std::optional<fs::path> DirectoryVariable(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || value[0] == '\0') return std::nullopt;
  const std::string_view text(value);
  const char* home = std::getenv("HOME");
  if (text.starts_with("~/") && home != nullptr) return fs::path(home) / text.substr(2);
  return fs::path(text);
}

fs::path HubCache() {
  if (const auto cache = DirectoryVariable("HF_HUB_CACHE")) return *cache;
  if (const auto home = DirectoryVariable("HF_HOME")) return *home / "hub";
  if (const auto cache = DirectoryVariable("XDG_CACHE_HOME")) return *cache / "huggingface" / "hub";
  return DirectoryVariable("HOME").value_or("/") / ".cache" / "huggingface" / "hub";
}

std::vector<std::string> Snapshots(const fs::path& repository) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(repository / "snapshots", error), end; !error && it != end;
       it.increment(error))
    names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  return text;
}

// The cache loses blobs when somebody cleans it by hand; better said here than as "no such file"
// later.
void CheckLinks(const HubName& name, const fs::path& snapshot) {
  std::error_code error;
  for (fs::directory_iterator it(snapshot, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (extension != ".json" && extension != ".safetensors" && extension != ".jinja") continue;
    std::error_code ignored;
    if (fs::is_symlink(it->symlink_status(ignored)) && !fs::exists(it->path(), ignored))
      throw BadInput("{}: is a link to {}, which does not exist; complete the download with: {}",
                     it->path().string(), fs::read_symlink(it->path(), ignored).string(),
                     name.DownloadCommand());
  }
  if (error) throw BadInput("{}: cannot be listed: {}", snapshot.string(), error.message());
}

fs::path ResolveInHub(const HubName& name, std::string_view model) {
  const fs::path cache = HubCache();
  std::string folder = "models--" + name.repository;
  if (const size_t slash = folder.find('/'); slash != folder.npos) folder.replace(slash, 1, "--");
  const fs::path repository = cache / folder;
  std::error_code ignored;
  if (!fs::is_directory(repository, ignored))
    throw BadInput(
        "{} is neither a directory nor in the HuggingFace cache {}; download it with: {}",
        QuotedName(model), cache.string(), name.DownloadCommand());

  std::string commit = name.revision;
  const fs::path reference = repository / "refs" / name.revision;
  if (fs::exists(reference, ignored)) {
    commit = Trimmed(core::ReadFile(reference, 4096));
    if (commit.empty() || commit.find_first_not_of("0123456789abcdef") != commit.npos)
      throw BadInput("{}: holds {}, must be a commit hash", reference.string(), QuotedName(commit));
  } else if (!fs::is_directory(repository / "snapshots" / commit, ignored)) {
    std::string known;
    for (const auto& snapshot : Snapshots(repository))
      known += fmt::format("{}{}@{}", known.empty() ? "" : ", ", name.repository, snapshot);
    throw BadInput("{}: revision {} of {} is not in the cache{}; download it with: {}",
                   repository.string(), name.revision, name.repository,
                   known.empty() ? "" : fmt::format(" (it holds {})", known),
                   name.DownloadCommand());
  }
  const fs::path snapshot = repository / "snapshots" / commit;
  if (!fs::is_directory(snapshot, ignored))
    throw BadInput("{}: the snapshot of revision {} is missing; download it with: {}",
                   snapshot.string(), name.revision, name.DownloadCommand());
  CheckLinks(name, snapshot);
  return snapshot;
}

}  // namespace

fs::path ResolveModelDirectory(std::string_view model) {
  const fs::path path(model);
  std::error_code error;
  if (!model.empty() && model.find('\0') == model.npos) {
    if (fs::is_directory(path, error)) return path;
    if (fs::exists(path, error))
      throw BadInput("{}: is not a directory; --model takes the directory that holds config.json",
                     path.string());
  }
  const auto name = ParseHubName(model);
  if (!name) throw BadInput("model {}: no such directory", QuotedName(model));
  return ResolveInHub(*name, model);
}

std::string ModelSlug(const fs::path& directory) {
  std::error_code ignored;
  fs::path path = fs::weakly_canonical(directory, ignored);
  if (path.empty()) path = directory;
  if (path.filename().empty()) path = path.parent_path();  // "dir/"
  std::string slug = path.filename().string();
  const fs::path snapshots = path.parent_path();
  const std::string repository = snapshots.parent_path().filename().string();
  constexpr std::string_view kPrefix = "models--";
  if (snapshots.filename() == "snapshots" && repository.starts_with(kPrefix))
    slug = repository.substr(kPrefix.size());
  for (char& c : slug)
    if (!IsNameCharacter(c)) c = '_';
  if (slug.empty() || slug.front() == '.') slug.insert(0, "model");
  return slug.substr(0, 64);
}

}  // namespace autodist::checkpoint
