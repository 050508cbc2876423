#include "autodist/infer/model_runner.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/infer/op_trace.h"
#include "autodist/infer/rank_runner.h"
#include "autodist/runtime/loaded_model.h"

namespace autodist {

using core::BadInput;

class ModelRunner::Impl {
 public:
  explicit Impl(const ModelRunnerOptions& options);

  void CheckPrompts(const GenerateRequest& request) const;
  // Refuses when the processes of a job were asked for different things.
  void AgreeOn(const GenerateRequest& request);
  // What ends a sequence: the ids of the model's files, and the tokenizer's eos and pad tokens.
  std::vector<int32_t> EosIds(const text::Tokenizer* tokenizer) const;

  // body(i) on the thread of the i-th local rank.
  void RunOnRanks(const std::function<void(size_t)>& body);

  runtime::LoadedModel model;
  std::vector<std::unique_ptr<infer::RankRunner>> runners;  // of the job's local ranks
  bool ended = false;  // by an error: the ranks do not communicate any more
};

void ModelRunner::Impl::RunOnRanks(const std::function<void(size_t)>& body) {
  ended = true;
  model.job().Run(body);
  ended = false;
}

ModelRunner::Impl::Impl(const ModelRunnerOptions& options)
    : model(options), runners(model.job().ranks().size()) {
  model.job().Run([&](size_t i) {
    runners[i] = std::make_unique<infer::RankRunner>(model.config(), model.plan(),
                                                     model.job().ranks()[i], model.shard(i));
  });
}

void ModelRunner::Impl::CheckPrompts(const GenerateRequest& request) const {
  if (request.prompts.empty()) throw BadInput("no prompt is given");
  for (size_t p = 0; p < request.prompts.size(); ++p) {
    const auto& prompt = request.prompts[p];
    if (prompt.empty()) throw BadInput("prompt {} has no tokens", p);
    for (const int32_t id : prompt) {
      if (id < 0 || id >= model.config().vocab_size)
        throw BadInput("prompt {}: token id {} is outside the vocabulary of {}", p, id,
                       model.config().vocab_size);
    }
    if (static_cast<int64_t>(prompt.size()) > model.plan().max_model_len)
      throw BadInput("prompt {} has {} tokens, the context holds {}", p, prompt.size(),
                     model.plan().max_model_len);
  }
}

void ModelRunner::Impl::AgreeOn(const GenerateRequest& request) {
  std::string prompts;
  for (const auto& prompt : request.prompts) prompts += fmt::format("{};", fmt::join(prompt, ","));
  const infer::SamplingOptions& sampling = request.sampling;
  model.job().Agree(
      {},
      {{"the list of prompts (token ids)", prompts},
       {"the sampling",
        fmt::format("temperature {}, top-k {}, top-p {}, min-p {}, repetition penalty {}, seed {}",
                    sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p,
                    sampling.repetition_penalty, sampling.seed)},
       {"the output length",
        fmt::format("{} to {} tokens{}", request.min_output_length, request.max_output_length,
                    request.ignore_eos ? ", EOS ignored" : "")},
       {"the set of end-of-sequence ids",
        fmt::format("{}", fmt::join(EosIds(request.tokenizer), ","))},
       {"the list of stop strings", fmt::format("\"{}\"", fmt::join(request.stop, "\", \""))}});
}

std::vector<int32_t> ModelRunner::Impl::EosIds(const text::Tokenizer* tokenizer) const {
  std::vector<int32_t> ids = model.defaults().eos_ids;
  if (tokenizer == nullptr) return ids;
  for (const std::optional<int32_t> id : {tokenizer->eos_id(), tokenizer->pad_id()}) {
    const bool known = id && std::find(ids.begin(), ids.end(), *id) != ids.end();
    if (id && *id < model.config().vocab_size && !known) ids.push_back(*id);
  }
  return ids;
}

ModelRunner::ModelRunner(const ModelRunnerOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}
ModelRunner::~ModelRunner() = default;

std::vector<int32_t> ModelRunner::Generate(const std::vector<int32_t>& input_ids,
                                           int64_t max_length) {
  GenerateRequest request;
  request.prompts = {input_ids};
  request.max_output_length = max_length;
  return std::move(Generate(request).sequences[0].token_ids);
}

GenerateResult ModelRunner::Generate(const GenerateRequest& request) {
  impl_->CheckPrompts(request);
  infer::Validate(request.sampling);
  if (!request.stop.empty() && request.tokenizer == nullptr)
    throw BadInput("stop strings need a tokenizer");
  for (const std::string& stop : request.stop) {
    if (stop.empty()) throw BadInput("a stop string is empty");
  }
  const infer::StopRules rules(impl_->EosIds(request.tokenizer), request.ignore_eos,
                               request.min_output_length, request.max_output_length,
                               impl_->model.plan().max_model_len);
  for (const auto& prompt : request.prompts) {
    if (rules.OutputLimit(static_cast<int64_t>(prompt.size())) < 1)
      throw BadInput("a prompt of {} tokens leaves no room for output in a context of {}",
                     prompt.size(), impl_->model.plan().max_model_len);
  }
  impl_->AgreeOn(request);
  GenerateResult result;
  impl_->RunOnRanks([&](size_t i) {
    GenerateResult of_rank = impl_->runners[i]->Generate(request, rules);
    if (i == 0) result = std::move(of_rank);
  });
  return result;
}

void ModelRunner::Logits(
    const std::vector<int32_t>& input_ids,
    const std::function<void(int64_t first_row, core::ConstTensorView rows)>& sink) {
  GenerateRequest request;
  request.prompts = {input_ids};
  impl_->CheckPrompts(request);
  if (sink == nullptr) throw BadInput("logits are asked for without a receiver");
  impl_->AgreeOn(request);
  impl_->RunOnRanks([&](size_t i) { impl_->runners[i]->Logits(input_ids, sink); });
}

void ModelRunner::WriteTrace(const std::filesystem::path& path) {
  runtime::Job& job = impl_->model.job();
  std::vector<infer::RankEvents> events;
  const bool all_here = static_cast<int>(job.ranks().size()) == job.world_size();
  if (all_here || impl_->ended) {
    for (const runtime::Rank& rank : job.ranks())
      events.push_back(infer::LocalEvents(rank.index, *rank.log));
  } else {
    impl_->RunOnRanks([&](size_t i) {
      const runtime::Rank& rank = job.ranks()[i];
      events = infer::GatherEvents(*rank.world, *rank.log);
    });
  }
  if (holds_rank0()) infer::WriteTrace(path, plan().mesh, events);
}

const spec::ModelConfig& ModelRunner::config() const { return impl_->model.config(); }
const spec::ParallelPlan& ModelRunner::plan() const { return impl_->model.plan(); }
const std::vector<int32_t>& ModelRunner::eos_ids() const { return impl_->model.defaults().eos_ids; }
const std::vector<std::string>& ModelRunner::remarks() const { return impl_->model.remarks(); }
const LoadReport& ModelRunner::load_report() const { return impl_->model.load_report(); }
int ModelRunner::threads_per_rank() const { return impl_->model.job().threads_per_rank(); }
bool ModelRunner::holds_rank0() const { return impl_->model.job().holds_rank0(); }

}  // namespace autodist
