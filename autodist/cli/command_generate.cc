#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autodist/arch/registry.h"
#include "autodist/checkpoint/model_directory.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/interrupt.h"
#include "autodist/cli/output.h"
#include "autodist/cli/progress.h"
#include "autodist/cli/prompts.h"
#include "autodist/cli/run_flags.h"
#include "autodist/cli/summary.h"
#include "autodist/cli/trace_flag.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/core/log.h"
#include "autodist/infer/model_runner.h"
#include "autodist/infer/sampling_options.h"
#include "autodist/infer/stop_rules.h"
#include "autodist/runtime/job.h"
#include "autodist/text/stop_matcher.h"
#include "autodist/text/stream_decoder.h"

namespace autodist::cli {
namespace {

using core::BadInput;

constexpr size_t kMaxStops = 256;

// The text of one prompt's output as it grows: decoded, special tokens left out, cut before a stop
// string.
class OutputText {
 public:
  OutputText(const text::Tokenizer* tokenizer, const std::vector<std::string>& stop)
      : matcher_(stop) {
    if (tokenizer != nullptr) decoder_ = std::make_unique<text::StreamDecoder>(*tokenizer, true);
  }
  // What became certain with this token; the rest with the last one.
  std::string Push(int32_t id, bool last) {
    std::string part;
    if (decoder_ == nullptr) {
      part = fmt::format("{}{}", count_++ == 0 ? "" : ",", id);
    } else if (!matcher_.stopped()) {
      part = matcher_.Push(decoder_->Push(id));
      if (last && !matcher_.stopped()) part += matcher_.Push(decoder_->Flush());
      if (last && !matcher_.stopped()) part += matcher_.Flush();
    }
    text_ += part;
    return part;
  }
  const std::string& text() const { return text_; }

 private:
  std::unique_ptr<text::StreamDecoder> decoder_;
  text::StopMatcher matcher_;
  std::string text_;
  int64_t count_ = 0;
};

struct PromptState {
  std::vector<int32_t> ids;
  OutputText output;
  std::optional<infer::FinishReason> finished;
};

class GenerateCommand final : public Command {
 public:
  const char* name() const override { return "generate"; }
  const char* summary() const override { return "Continue prompts"; }
  void AddFlags(CLI::App& app) override;
  bool runs_on_ranks() const override { return true; }
  void Prepare() override;
  int Run() override;

 private:
  void CheckRequest() const;
  ModelRunnerOptions PlanLengths(ModelRunnerOptions options, const spec::ModelConfig& config) const;
  void OnToken(size_t prompt, int32_t id, std::optional<infer::FinishReason> finished);
  void PrintPrompt(size_t prompt) const;
  void PrintFinishedInOrder();
  core::Json ResultJson(const ModelRunner& runner, const infer::Timing& timing) const;
  void Save(const ModelRunner& runner, const infer::Timing& timing) const;

  RunFlags run_;
  PromptFlags prompt_flags_;
  TraceFlag trace_;
  GenerateRequest request_;
  std::optional<Flag> max_output_;
  bool stream_flag_ = false;
  bool no_stream_flag_ = false;

  ModelRunnerOptions options_;
  Prompts prompts_;
  bool stream_ = false;
  std::vector<PromptState> states_;
  size_t printed_ = 0;
  std::unique_ptr<ProgressLine> progress_;
};

void GenerateCommand::AddFlags(CLI::App& app) {
  prompt_flags_.Add(app);
  constexpr const char* kGroup = "Generation";
  infer::SamplingOptions& sampling = request_.sampling;
  AddInteger(app, "--min-output-length", request_.min_output_length,
             "Generated tokens before an end-of-sequence token may come")
      .Group(kGroup);
  max_output_ =
      AddInteger(app, "--max-output-length", request_.max_output_length, "Generated tokens at most")
          .Group(kGroup);
  AddNumber(app, "--temperature", sampling.temperature, "0: greedy").Group(kGroup);
  AddInteger(app, "--top-k", sampling.top_k, "Keep the k most probable tokens; 0: all")
      .Group(kGroup);
  AddNumber(app, "--top-p", sampling.top_p, "Keep the most probable tokens that sum to p")
      .Group(kGroup);
  AddNumber(app, "--min-p", sampling.min_p,
            "Keep tokens at least this fraction as probable as the best")
      .Group(kGroup);
  AddNumber(app, "--repetition-penalty", sampling.repetition_penalty,
            "Of tokens seen before; 1: none")
      .Group(kGroup);
  AddInteger(app, "--seed", sampling.seed, "Of sampling").Group(kGroup);
  AddTexts(app, "--stop", request_.stop, "End when this text appears; may be repeated")
      .Type("TEXT")
      .Group(kGroup);
  AddSwitch(app, "--ignore-eos", request_.ignore_eos, "Go on after end-of-sequence tokens")
      .Group(kGroup);
  AddSwitch(app, "--stream", stream_flag_, "Print tokens as they come; the default for one prompt")
      .Group("Output");
  AddSwitch(app, "--no-stream", no_stream_flag_, "Print each prompt when it is done")
      .Group("Output");
  trace_.Add(app);
  run_.Add(app);
}

// The lengths that the KV cache is planned for. An explicit length that does not fit is refused,
// the default clipped.
ModelRunnerOptions GenerateCommand::PlanLengths(ModelRunnerOptions options,
                                                const spec::ModelConfig& config) const {
  if (options.max_model_len < 0 || options.max_model_len > config.context_length)
    throw BadInput("--max-model-len is {}, must be 1 to {}, the model's context",
                   options.max_model_len, config.context_length);
  const int64_t context = options.max_model_len > 0 ? options.max_model_len : config.context_length;
  int64_t longest = 0;
  for (size_t p = 0; p < prompts_.ids.size(); ++p) {
    const auto length = static_cast<int64_t>(prompts_.ids[p].size());
    if (length >= context)
      throw BadInput(
          "prompt {} has {} tokens; with one generated token the context of {} holds at most {}", p,
          length, context, context - 1);
    const bool given = max_output_->given();
    if (given && request_.max_output_length > context - length)
      throw BadInput(
          "--max-output-length is {}; after the {} tokens of prompt {} the context of {} leaves {}",
          request_.max_output_length, length, p, context, context - length);
    longest = std::max(longest, std::min(context, length + request_.max_output_length));
    options.prompt_length = std::max(options.prompt_length, length);
  }
  options.max_model_len = options.max_model_len > 0 ? options.max_model_len : longest;
  return options;
}

// What the run checks again, but only after the weights were loaded.
void GenerateCommand::CheckRequest() const {
  infer::Validate(request_.sampling);
  infer::StopRules({}, request_.ignore_eos, request_.min_output_length, request_.max_output_length,
                   /*context_length=*/1);
  if (request_.stop.size() > kMaxStops)
    throw BadInput("--stop is given {} times, must be at most {} times", request_.stop.size(),
                   kMaxStops);
  for (const std::string& stop : request_.stop) {
    if (stop.empty()) throw BadInput("--stop is \"\", must not be empty");
  }
  if (stream_flag_ && no_stream_flag_)
    throw BadInput("--stream and --no-stream exclude each other");
  if (stream_flag_ && run_.json()) throw BadInput("--stream and --json exclude each other");
}

void GenerateCommand::Prepare() {
  CheckRequest();
  const ModelRunnerOptions wanted = run_.Options();
  const std::filesystem::path model_dir =
      checkpoint::ResolveModelDirectory(wanted.model_name_or_path);
  const spec::ModelConfig config = arch::ParseConfig(model_dir);
  prompts_ = ReadPrompts(prompt_flags_, model_dir, config);
  if (!request_.stop.empty() && prompts_.tokenizer == nullptr)
    throw BadInput("--stop needs a tokenizer, and {} has none that can be read",
                   model_dir.string());
  options_ = PlanLengths(wanted, config);
  options_.model_name_or_path = model_dir.string();
  if (stream_flag_ && prompts_.ids.size() > 1)
    throw BadInput("--stream needs a single prompt, {} are given", prompts_.ids.size());
  stream_ = !run_.json() && !no_stream_flag_ && prompts_.ids.size() == 1;
  run_.PrepareOutputDir();
  trace_.Prepare(run_, options_);
}

int GenerateCommand::Run() {
  request_.prompts = prompts_.ids;
  request_.tokenizer = prompts_.tokenizer.get();
  request_.on_token = [this](size_t prompt, int32_t id,
                             std::optional<infer::FinishReason> finished) {
    OnToken(prompt, id, finished);
  };
  request_.check_cancelled = [] {
    if (InterruptGuard::signal() != 0)
      throw core::RuntimeFailure("interrupted by signal {}", InterruptGuard::signal());
  };
  for (size_t p = 0; p < prompts_.ids.size(); ++p)
    states_.push_back({{}, OutputText(prompts_.tokenizer.get(), request_.stop), std::nullopt});

  progress_ = std::make_unique<ProgressLine>(!options_.quiet);
  options_.on_load_progress = LoadProgress(*progress_);
  ModelRunner runner(options_);
  progress_->Clear();
  LogRemarks(runner, options_.ranks > 0);
  const bool speaks = runner.holds_rank0();
  const InterruptGuard guard;
  progress_ = std::make_unique<ProgressLine>(!options_.quiet && speaks && prompts_.ids.size() > 1);
  if (stream_ && speaks) PrintPrompt(0);
  infer::Timing timing;
  try {
    timing = runner.Generate(request_).timing;
  } catch (const runtime::RankError& error) {
    progress_.reset();
    if (speaks) Save(runner, timing);
    trace_.WriteAfterError(runner);
    if (InterruptGuard::signal() == 0) throw;
    if (error.report()) core::Log("autodist: {}", error.what());
    return 128 + InterruptGuard::signal();
  }
  progress_.reset();
  trace_.Write(runner);
  if (!speaks) return 0;
  if (run_.json()) {
    PrintJson(ResultJson(runner, timing));
  } else {
    if (stream_) Print("\n");
    Print(SummaryText(runner, timing));
  }
  Save(runner, timing);
  return 0;
}

void GenerateCommand::OnToken(size_t prompt, int32_t id,
                              std::optional<infer::FinishReason> finished) {
  PromptState& state = states_[prompt];
  state.ids.push_back(id);
  const std::string part = state.output.Push(id, finished.has_value());
  state.finished = finished;
  if (stream_) {
    if (!part.empty()) Print(part);
  } else if (finished) {
    if (!run_.json()) PrintFinishedInOrder();
    progress_->Update(
        fmt::format("{} of {} prompts done",
                    std::count_if(states_.begin(), states_.end(),
                                  [](const PromptState& s) { return s.finished.has_value(); }),
                    states_.size()));
  }
}

void GenerateCommand::PrintPrompt(size_t prompt) const {
  if (!prompts_.texts.empty()) {
    Print(prompts_.texts[prompt]);
  } else if (prompts_.tokenizer != nullptr) {
    Print(prompts_.tokenizer->Decode(prompts_.ids[prompt], true));
  } else {
    Print(fmt::format("{}|", fmt::join(prompts_.ids[prompt], ",")));
  }
}

void GenerateCommand::PrintFinishedInOrder() {
  for (; printed_ < states_.size() && states_[printed_].finished; ++printed_) {
    progress_->Clear();
    PrintPrompt(printed_);
    Print(states_[printed_].output.text() + "\n");
  }
}

core::Json GenerateCommand::ResultJson(const ModelRunner& runner,
                                       const infer::Timing& timing) const {
  core::Json prompts = core::Json::array();
  for (size_t p = 0; p < states_.size(); ++p) {
    const PromptState& state = states_[p];
    prompts.push_back(
        {{"prompt_token_ids", prompts_.ids[p]},
         {"token_ids", state.ids},
         {"text", prompts_.tokenizer == nullptr ? core::Json() : core::Json(state.output.text())},
         {"finish_reason",
          state.finished ? core::Json(infer::NameOf(*state.finished)) : core::Json()}});
  }
  return {{"prompts", prompts},
          {"timing", infer::ToJson(timing)},
          {"plan", spec::ToJson(runner.plan())}};
}

void GenerateCommand::Save(const ModelRunner& runner, const infer::Timing& timing) const {
  if (run_.output_dir().empty()) return;
  core::WriteFileAtomically(std::filesystem::path(run_.output_dir()) / "generate.json",
                            core::JsonText(ResultJson(runner, timing)));
}

}  // namespace

std::unique_ptr<Command> MakeGenerateCommand() { return std::make_unique<GenerateCommand>(); }

}  // namespace autodist::cli
