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
#include "autodist/cli/interrupt.h"
#include "autodist/cli/output.h"
#include "autodist/cli/progress.h"
#include "autodist/cli/prompts.h"
#include "autodist/cli/run_flags.h"
#include "autodist/cli/summary.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/infer/model_runner.h"
#include "autodist/text/stop_matcher.h"
#include "autodist/text/stream_decoder.h"

namespace autodist::cli {
namespace {

using core::BadInput;

// The text of one prompt's output as it grows: decoded, special tokens left out, cut before a stop string.
class OutputText {
 public:
  OutputText(const text::Tokenizer* tokenizer, const std::vector<std::string>& stop) : matcher_(stop) {
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
  int Run() override;

 private:
  ModelRunnerOptions PlanLengths(const spec::ModelConfig& config);
  void OnToken(size_t prompt, int32_t id, std::optional<infer::FinishReason> finished);
  void PrintPrompt(size_t prompt) const;
  void PrintFinishedInOrder();
  core::Json ResultJson(const ModelRunner& runner, const infer::Timing& timing) const;
  void Save(const ModelRunner& runner, const infer::Timing& timing) const;

  RunFlags run_;
  PromptFlags prompt_flags_;
  GenerateRequest request_;
  CLI::Option* max_output_ = nullptr;
  std::optional<bool> stream_flag_;

  Prompts prompts_;
  bool stream_ = false;
  std::vector<PromptState> states_;
  size_t printed_ = 0;
  std::unique_ptr<ProgressLine> progress_;
};

void GenerateCommand::AddFlags(CLI::App& app) {
  run_.Add(app);
  prompt_flags_.Add(app, /*many=*/true);
  infer::SamplingOptions& sampling = request_.sampling;
  const auto add = [&](const char* flag, auto& value, const char* help) {
    return app.add_option(flag, value, help)->capture_default_str()->group("Generation");
  };
  add("--min-output-length", request_.min_output_length, "Tokens before an end-of-sequence token may come");
  max_output_ = add("--max-output-length", request_.max_output_length, "Generated tokens at most");
  add("--temperature", sampling.temperature, "0: greedy");
  add("--top-k", sampling.top_k, "Keep the k most probable tokens; 0: all");
  add("--top-p", sampling.top_p, "Keep the most probable tokens that sum to p");
  add("--min-p", sampling.min_p, "Keep tokens at least this fraction as probable as the best");
  add("--repetition-penalty", sampling.repetition_penalty, "Of tokens seen before; 1: none");
  add("--seed", sampling.seed, "Of sampling");
  app.add_option("--stop", request_.stop, "End when this text appears; may be repeated")
      ->type_name("TEXT")->group("Generation");
  app.add_flag("--ignore-eos", request_.ignore_eos, "Go on after end-of-sequence tokens")->group("Generation");
  app.add_flag("--stream,!--no-stream", stream_flag_, "Print tokens as they come; default for one prompt")
      ->group("Output");
}

// The lengths that the KV cache is planned for. An explicit length that does not fit is refused, the default clipped.
ModelRunnerOptions GenerateCommand::PlanLengths(const spec::ModelConfig& config) {
  ModelRunnerOptions options = run_.Options();
  if (request_.max_output_length < 1)
    throw BadInput("--max-output-length is {}, must be at least 1", request_.max_output_length);
  if (options.max_model_len < 0 || options.max_model_len > config.context_length)
    throw BadInput("--max-model-len is {}, must be 1 to {}, the model's context", options.max_model_len,
                   config.context_length);
  const int64_t context = options.max_model_len > 0 ? options.max_model_len : config.context_length;
  int64_t longest = 0;
  for (size_t p = 0; p < prompts_.ids.size(); ++p) {
    const auto length = static_cast<int64_t>(prompts_.ids[p].size());
    if (length >= context)
      throw BadInput("prompt {} has {} tokens; with one generated token the context of {} holds at most {}", p, length,
                     context, context - 1);
    const bool given = max_output_->count() > 0;
    if (given && request_.max_output_length > context - length)
      throw BadInput("--max-output-length is {}; after the {} tokens of prompt {} the context of {} leaves {}",
                     request_.max_output_length, length, p, context, context - length);
    longest = std::max(longest, std::min(context, length + request_.max_output_length));
  }
  options.max_model_len = options.max_model_len > 0 ? options.max_model_len : longest;
  return options;
}

int GenerateCommand::Run() {
  const std::filesystem::path model_dir = checkpoint::ResolveModelDirectory(run_.model.Resolve());
  prompts_ = ReadPrompts(prompt_flags_, model_dir, arch::ParseConfig(model_dir));
  if (!request_.stop.empty() && prompts_.tokenizer == nullptr)
    throw BadInput("--stop needs a tokenizer, and {} has none that can be read", model_dir.string());
  ModelRunnerOptions options = PlanLengths(arch::ParseConfig(model_dir));
  options.model_name_or_path = model_dir.string();
  run_.PrepareOutputDir();
  request_.prompts = prompts_.ids;
  request_.tokenizer = prompts_.tokenizer.get();
  request_.on_token = [this](size_t prompt, int32_t id, std::optional<infer::FinishReason> finished) {
    OnToken(prompt, id, finished);
  };
  for (size_t p = 0; p < prompts_.ids.size(); ++p)
    states_.push_back({{}, OutputText(prompts_.tokenizer.get(), request_.stop), std::nullopt});
  stream_ = !run_.json && stream_flag_.value_or(prompts_.ids.size() == 1);
  if (stream_flag_.value_or(false) && run_.json) throw BadInput("--stream and --json exclude each other");
  if (stream_ && prompts_.ids.size() > 1) throw BadInput("--stream needs a single prompt, {} are given", prompts_.ids.size());

  ModelRunner runner(options);
  const bool speaks = runner.holds_rank0();
  const InterruptGuard guard;
  progress_ = std::make_unique<ProgressLine>(!options.quiet && speaks && prompts_.ids.size() > 1);
  if (stream_ && speaks) PrintPrompt(0);
  infer::Timing timing;
  try {
    timing = runner.Generate(request_).timing;
  } catch (const core::Error&) {
    progress_.reset();
    if (speaks) Save(runner, timing);
    if (InterruptGuard::signal() != 0) return 128 + InterruptGuard::signal();
    throw;
  }
  progress_.reset();
  if (!speaks) return 0;
  if (run_.json) {
    Print(core::DumpJson(ResultJson(runner, timing), 2) + "\n");
  } else {
    if (stream_) Print("\n");
    Print(SummaryText(runner, timing));
  }
  Save(runner, timing);
  return 0;
}

void GenerateCommand::OnToken(size_t prompt, int32_t id, std::optional<infer::FinishReason> finished) {
  if (InterruptGuard::signal() != 0) throw core::RuntimeFailure("interrupted by signal {}", InterruptGuard::signal());
  PromptState& state = states_[prompt];
  state.ids.push_back(id);
  const std::string part = state.output.Push(id, finished.has_value());
  state.finished = finished;
  if (stream_) {
    if (!part.empty()) Print(part);
  } else if (finished) {
    if (!run_.json) PrintFinishedInOrder();
    progress_->Update(fmt::format("{} of {} prompts done",
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

core::Json GenerateCommand::ResultJson(const ModelRunner& runner, const infer::Timing& timing) const {
  core::Json prompts = core::Json::array();
  for (size_t p = 0; p < states_.size(); ++p) {
    const PromptState& state = states_[p];
    prompts.push_back({{"prompt_token_ids", prompts_.ids[p]},
                       {"token_ids", state.ids},
                       {"text", prompts_.tokenizer == nullptr ? core::Json() : core::Json(state.output.text())},
                       {"finish_reason", state.finished ? core::Json(infer::NameOf(*state.finished)) : core::Json()}});
  }
  return {{"prompts", prompts}, {"timing", infer::ToJson(timing)}, {"plan", spec::ToJson(runner.plan())}};
}

void GenerateCommand::Save(const ModelRunner& runner, const infer::Timing& timing) const {
  if (run_.output_dir.empty()) return;
  core::WriteFileAtomically(std::filesystem::path(run_.output_dir) / "generate.json",
                            core::DumpJson(ResultJson(runner, timing), 2) + "\n");
}

}  // namespace

std::unique_ptr<Command> MakeGenerateCommand() { return std::make_unique<GenerateCommand>(); }

}  // namespace autodist::cli
