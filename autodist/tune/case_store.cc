#include "autodist/tune/case_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
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
  return identity;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

CaseStore::CaseStore(std::filesystem::path directory, spec::OverlapModel model,
                     OverlapOptions options)
    : directory_(std::move(directory)), model_(std::move(model)), options_(std::move(options)) {
  if (!std::filesystem::is_directory(directory_))
    throw core::BadInput("--output-dir {}: is no directory", directory_.string());
  std::filesystem::create_directories(directory_ / "test_cases");
  std::filesystem::create_directories(directory_ / "traces");
  if (std::filesystem::exists(directory_ / "test_cases" / "test_cases.json")) ReadIndex();
}

void CaseStore::ReadIndex() {
  const std::filesystem::path path = directory_ / "test_cases" / "test_cases.json";
  const std::string source = path.string();
  const core::Json json = core::ParseJsonFile(path, kMaxIndexBytes);
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
  core::WriteFileAtomically(directory_ / "test_cases" / "test_cases.json",
                            core::DumpJson(json, 2) + "\n");
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

std::string CaseStore::Command(const OverlapCase& overlap_case, const std::string& launcher,
                               const std::filesystem::path& output) const {
  std::string command = launcher;
  for (size_t at = command.find("{tp}"); at != std::string::npos; at = command.find("{tp}", at))
    command.replace(at, 4, std::to_string(overlap_case.tp));
  return fmt::format("{} --case {} --output {}", command, Quoted(CaseFile(overlap_case).string()),
                     Quoted(output.string()));
}

std::filesystem::path CaseStore::WriteScript(const std::vector<OverlapCase>& cases,
                                             const std::string& launcher) const {
  std::string text = fmt::format(
      "#!/bin/sh\n# Round {} of autodist tune overlap: the cases that are not done yet.\n",
      rounds_);
  for (const OverlapCase& overlap_case : cases) {
    const std::filesystem::path traces = TraceDirectory(overlap_case);
    const std::string run = traces.string() + ".running";
    text += fmt::format(
        "\n# {0}\nif [ ! -e {1}/result.json ] && [ ! -e {1}/error.txt ]; then\n"
        "  rm -rf {1} {2} && mkdir -p {2}\n  {3} > {2}/log.txt 2>&1 ||\n"
        "    echo \"the launcher ended with status $?\" > {2}/error.txt\n  mv {2} {1}\nfi\n",
        overlap_case.Id(), Quoted(traces.string()), Quoted(run),
        Command(overlap_case, launcher, run));
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

std::optional<CaseResult> CaseStore::Read(const OverlapCase& overlap_case,
                                          bool needs_result) const {
  const std::filesystem::path traces = TraceDirectory(overlap_case);
  if (std::filesystem::exists(traces / "error.txt")) {
    CaseResult failed;
    failed.error = fmt::format("{}; its log is {}",
                               FirstLine(core::ReadFile(traces / "error.txt", kMaxIndexBytes)),
                               (traces / "log.txt").string());
    return failed;
  }
  const bool has_result = std::filesystem::exists(traces / "result.json");
  if (!std::filesystem::is_directory(traces) || (needs_result && !has_result)) return std::nullopt;
  CaseResult result = ReadCaseTraces(overlap_case, traces);
  if (!has_result) return result;
  const std::string source = (traces / "result.json").string();
  const core::Json json = core::ParseJsonFile(source, kMaxIndexBytes);
  const core::JsonFields fields(json, source);
  result.profiler_ratio = fields.Number("profiler_ratio").value_or(0);
  const core::Json* const applied = fields.Find("applied");
  if (applied == nullptr) return result;
  const spec::OverlapSetting setting = spec::ParseOverlapSetting(*applied, source);
  result.applied = spec::Describe(setting);
  const std::string asked = spec::Describe(overlap_case.setting);
  if (result.applied != asked && !result.failed()) {
    result.error =
        fmt::format("{}: {} was in effect where {} was asked for", source, result.applied, asked);
    result.samples.clear();
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
