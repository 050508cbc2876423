#include "autodist/tune/case_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/tune/case_traces.h"
#include "autodist/tune/te_config.h"

namespace autodist::tune {
namespace {

constexpr uint64_t kMaxIndexBytes = uint64_t{64} << 20;

// `text` as one word of a shell command.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char letter : text)
    quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return quoted + "'";
}

// What results of one run have in common with those of another that may go on with them.
core::Json IdentityOf(const core::Json& config) {
  core::Json identity;
  for (const char* const name : {"model_name", "operators", "max_token_len", "te_version"})
    identity[name] = config.contains(name) ? config[name] : core::Json();
  const core::Json machine = config.contains("machine") ? config["machine"] : core::Json();
  for (const char* const name : {"name", "sm_count", "compute_capability"})
    identity[fmt::format("machine {}", name)] =
        machine.is_object() && machine.contains(name) ? machine[name] : core::Json();
  return identity;
}

void Fail(CaseResult& result, std::string why) {
  if (!result.failed()) result.error = std::move(why);
  result.samples.clear();
}

// What the launcher says of the case.
void ReadResult(const OverlapCase& overlap_case, const std::string& source, CaseResult& result) {
  const core::Json json = core::ParseJsonFile(source, kMaxIndexBytes);
  const core::JsonFields fields(json, source);
  result.profiler_ratio = fields.Number("profiler_ratio").value_or(0);
  if (!result.failed() && std::ssize(result.samples) < overlap_case.repeats)
    Fail(result, fmt::format("{}: {} repeats, must be at least {}", source, result.samples.size(),
                             overlap_case.repeats));
  const core::Json* const applied = fields.Find("applied");
  if (applied == nullptr) return;
  const spec::OverlapSetting setting = spec::ParseOverlapSetting(*applied, source);
  result.applied = spec::Describe(setting);
  if (setting != overlap_case.setting)
    Fail(result, fmt::format("{}: {} was in effect where {} was asked for", source,
                             core::DumpJson(spec::ToJson(setting)),
                             core::DumpJson(spec::ToJson(overlap_case.setting))));
}

}  // namespace

CaseStore::CaseStore(std::filesystem::path directory, spec::OverlapModel model,
                     OverlapOptions options, Access access)
    : directory_(std::move(directory)),
      access_(access),
      model_(std::move(model)),
      options_(std::move(options)) {
  if (!std::filesystem::is_directory(directory_))
    throw core::BadInput("--output-dir {}: is no directory", directory_.string());
  if (access_ == Access::kRead) {
    if (!std::filesystem::is_directory(directory_ / "traces"))
      throw core::BadInput("--output-dir {}: holds no traces", directory_.string());
  } else {
    std::filesystem::create_directories(directory_ / "test_cases");
    std::filesystem::create_directories(directory_ / "traces");
    std::string holder;
    lock_ = core::FileLock::TryAcquire(directory_ / "test_cases" / "lock", holder);
    if (!lock_)
      throw core::BadInput("--output-dir {}: is in use by {}", directory_.string(), holder);
  }
  if (std::filesystem::exists(directory_ / "test_cases" / "test_cases.json")) ReadIndex();
}

void CaseStore::ReadIndex() {
  const std::filesystem::path path = directory_ / "test_cases" / "test_cases.json";
  const std::string source = path.string();
  const core::Json json = core::ParseJsonFile(path, kMaxIndexBytes);
  // Another tuner's list says nothing that its traces do not.
  if (access_ == Access::kRead && json.is_array()) return;
  const core::JsonFields fields(json, source);
  const core::Json* const config = fields.Find("tuner_config");
  const core::Json* const cases = fields.Find("cases");
  if (config == nullptr || cases == nullptr || !cases->is_array())
    throw core::BadInput("{}: fields tuner_config and cases are needed", source);
  OverlapOptions all = options_;
  all.operators.clear();
  const core::Json mine = IdentityOf(ToJson(all, model_));
  const core::Json theirs = IdentityOf(*config);
  for (const auto& [name, value] : theirs.items())
    if (mine.at(name) != value)
      throw core::BadInput(
          "{}: holds the cases of another run: {} is {} there and {} now; take another "
          "--output-dir",
          source, name, core::DumpJson(value), core::DumpJson(mine.at(name)));
  for (const core::Json& entry : *cases) {
    const core::JsonFields row(entry, source);
    known_.push_back(
        {ParseOverlapCase(entry, source), static_cast<int>(row.RequiredInt("round", 1, 1000000))});
    rounds_ = std::max(rounds_, known_.back().round);
  }
}

void CaseStore::WriteIndex() const {
  OverlapOptions all = options_;
  all.operators.clear();
  core::Json cases = core::Json::array();
  for (const Known& known : known_) {
    core::Json entry = ToJson(known.overlap_case);
    entry["round"] = known.round;
    cases.push_back(std::move(entry));
  }
  const core::Json json = {{"tuner_config", ToJson(all, model_)}, {"cases", cases}};
  core::WriteFileAtomically(directory_ / "test_cases" / "test_cases.json", core::JsonText(json));
}

const CaseStore::Known* CaseStore::Find(const std::string& id) const {
  for (const Known& known : known_)
    if (known.overlap_case.Id() == id) return &known;
  return nullptr;
}

// The index comes last: what it names has its file.
void CaseStore::Add(const std::vector<OverlapCase>& cases) {
  std::vector<OverlapCase> fresh;
  for (const OverlapCase& overlap_case : cases)
    if (Find(overlap_case.Id()) == nullptr) fresh.push_back(overlap_case);
  if (fresh.empty()) return;
  ++rounds_;
  for (const OverlapCase& overlap_case : fresh) {
    core::WriteFileAtomically(CaseFile(overlap_case), CaseYaml(overlap_case, model_, options_));
    known_.push_back({overlap_case, rounds_});
  }
  WriteIndex();
}

void CaseStore::Forget() {
  std::filesystem::remove_all(directory_ / "traces");
  std::filesystem::create_directories(directory_ / "traces");
}

void CaseStore::ForgetFailed() {
  std::vector<std::filesystem::path> failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "traces"))
    if (std::filesystem::exists(entry.path() / "error.txt")) failed.push_back(entry.path());
  for (const std::filesystem::path& traces : failed) std::filesystem::remove_all(traces);
}

std::string CaseStore::Command(const OverlapCase& overlap_case, const std::string& launcher,
                               const std::string& file_word, const std::string& output_word) const {
  std::string command = launcher;
  for (size_t at = command.find("{tp}"); at != std::string::npos; at = command.find("{tp}", at))
    command.replace(at, 4, std::to_string(overlap_case.tp));
  return fmt::format("{} --case {} --output {}", command, file_word, output_word);
}

std::string CaseStore::Command(const OverlapCase& overlap_case, const std::string& launcher,
                               const std::filesystem::path& output) const {
  return Command(overlap_case, launcher, Quoted(CaseFile(overlap_case).string()),
                 Quoted(output.string()));
}

std::filesystem::path CaseStore::WriteScript(const std::vector<OverlapCase>& cases,
                                             const std::string& launcher, double timeout_s) const {
  std::string text = fmt::format(
      "#!/bin/sh\n# Round {} of autodist tune overlap: the cases that are not done yet.\n"
      "directory=$(cd \"$(dirname \"$0\")/..\" && pwd) || exit 1\n\n"
      "# run ID COMMAND...: unless it is done; then its traces, or why there are none.\n"
      "run() {{\n  traces=\"$directory/traces/$1\"\n  shift\n"
      "  [ -e \"$traces/result.json\" ] || [ -e \"$traces/error.txt\" ] && return\n"
      "  rm -rf \"$traces\" \"$traces.running\" && mkdir -p \"$traces.running\"\n"
      "  timeout {:g} sh -c \"$1\" >\"$traces.running/log.txt\" 2>&1\n  status=$?\n"
      "  if [ $status -ne 0 ]; then\n"
      "    echo \"the launcher ended with status $status\" >\"$traces.running/error.txt\"\n"
      "  elif [ ! -e \"$traces.running/result.json\" ]; then\n"
      "    echo \"the launcher wrote no result.json\" >\"$traces.running/error.txt\"\n"
      "  fi\n  mv \"$traces.running\" \"$traces\"\n}}\nexport directory\n",
      rounds_, timeout_s);
  for (const OverlapCase& overlap_case : cases) {
    const std::string id = overlap_case.Id();
    const std::string command =
        Command(overlap_case, launcher, fmt::format("\"$directory/test_cases/{}.yaml\"", id),
                fmt::format("\"$directory/traces/{}.running\"", id));
    text += fmt::format("\nrun {} {}\n", id, Quoted(command));
  }
  const std::filesystem::path path =
      directory_ / "test_cases" / fmt::format("round_{}.sh", rounds_);
  core::WriteFileAtomically(path, text);
  std::filesystem::permissions(path, std::filesystem::perms::owner_exec,
                               std::filesystem::perm_options::add);
  return path;
}

std::filesystem::path CaseStore::CaseFile(const OverlapCase& overlap_case) const {
  return directory_ / "test_cases" / (overlap_case.Id() + ".yaml");
}

std::filesystem::path CaseStore::TraceDirectory(const OverlapCase& overlap_case) const {
  return directory_ / "traces" / overlap_case.Id();
}

std::filesystem::path CaseStore::BeginRun(const OverlapCase& overlap_case) const {
  const std::string traces = TraceDirectory(overlap_case).string();
  std::error_code ignored;  // what a launcher still writes into stays behind
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "traces"))
    if (entry.path().string().starts_with(traces + ".running"))
      std::filesystem::remove_all(entry.path(), ignored);
  std::filesystem::remove_all(traces);
  const std::filesystem::path run = fmt::format("{}.running{}", traces, ::getpid());
  std::filesystem::create_directories(run);
  return run;
}

void CaseStore::EndRun(const OverlapCase& overlap_case, const std::filesystem::path& run,
                       const std::string& why) const {
  if (!why.empty()) core::WriteFileAtomically(run / "error.txt", why + "\n");
  std::filesystem::rename(run, TraceDirectory(overlap_case));
}

// A run of an operator goes through all its passes, so that without overlap one run may serve them
// all.
std::optional<CaseResult> CaseStore::Read(const OverlapCase& overlap_case) const {
  if (auto own = ReadFrom(overlap_case, TraceDirectory(overlap_case))) return own;
  if (overlap_case.setting.method != spec::OverlapMethod::kSequential) return std::nullopt;
  for (const spec::LinearPass pass : spec::kLinearPasses) {
    if (pass == overlap_case.site.pass) continue;
    OverlapCase beside = overlap_case;
    beside.site.pass = pass;
    auto shared = ReadFrom(overlap_case, TraceDirectory(beside));
    if (shared && !shared->failed()) return shared;
  }
  return std::nullopt;
}

std::optional<CaseResult> CaseStore::ReadFrom(const OverlapCase& overlap_case,
                                              const std::filesystem::path& traces) const {
  CaseResult result;
  try {
    if (std::filesystem::exists(traces / "error.txt")) {
      Fail(result, fmt::format("{}; its log is {}", core::ReadFirstLine(traces / "error.txt"),
                               (traces / "log.txt").string()));
      return result;
    }
    const bool has_result = std::filesystem::exists(traces / "result.json");
    if (!std::filesystem::is_directory(traces) || (access_ == Access::kWrite && !has_result))
      return std::nullopt;
    result = ReadCaseTraces(overlap_case, traces);
    if (has_result) {
      ReadResult(overlap_case, (traces / "result.json").string(), result);
    } else if (result.samples.size() == 1) {
      Fail(result, fmt::format("{}: one repeat, must be at least 2", traces.string()));
    }
  } catch (const std::exception& error) {
    Fail(result, error.what());
  }
  return result;
}

std::string CaseYaml(const OverlapCase& overlap_case, const spec::OverlapModel& model,
                     const OverlapOptions& options) {
  const spec::LinearShape shape = spec::ShapeOf(model, overlap_case.site.op);
  const OverlapFlags flags = FlagsOf(overlap_case);
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::string text = fmt::format(
      "case:\n  id: {}\n  tp: {}\n  operator: {}\n  pass: {}\n  tokens: {}\n  inputs: {}\n"
      "  outputs: {}\n  repeats: {}\n",
      overlap_case.Id(), overlap_case.tp, spec::NameOf(overlap_case.site.op),
      spec::NameOf(overlap_case.site.pass), options.max_token_len, shape.inputs, shape.outputs,
      overlap_case.repeats);
  text += "setting:\n";
  const core::Json setting = spec::ToJson(overlap_case.setting);
  for (const auto& [name, value] : setting.items())
    text += fmt::format("  {}: {}\n", name,
                        value.is_string() ? value.get<std::string>() : core::DumpJson(value));
  text += fmt::format(
      "switches:\n  ub_overlap_ag: {}\n  ub_overlap_rs: {}\n  ub_overlap_rs_dgrad: {}\n"
      "  ub_bulk_dgrad: {}\n  ub_bulk_wgrad: {}\n",
      flag(flags.overlap_ag), flag(flags.overlap_rs), flag(flags.overlap_rs_dgrad),
      flag(flags.bulk_dgrad), flag(flags.bulk_wgrad));
  text += "megatron:\n";
  std::istringstream arguments(MegatronFlags(overlap_case.tp, flags, "<userbuffers, as a file>"));
  for (std::string line; std::getline(arguments, line);) text += fmt::format("  - \"{}\"\n", line);
  std::string config = ToYaml(ConfigOf(overlap_case), overlap_case.tp, options.te_version,
                              "What TransformerEngine is given:");
  // One level deeper.
  text += "userbuffers:\n  ";
  for (const char letter : config) {
    text += letter;
    if (letter == '\n') text += "  ";
  }
  text.resize(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace autodist::tune
