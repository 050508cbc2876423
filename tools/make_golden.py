"""Makes the tiny random checkpoints of tests/golden with the logits that transformers computes.

For every Case of golden_cases.py, in OUT/<name>/: config.json, the safetensors file or files, and
  golden.json               prompts (ids, greedy continuation), the margin of the closest greedy
                            choice, versions, notes
  golden_logits.npy         float32 [sum of prompt lengths, vocab]: the prompts' rows, in order
  golden_step_logits.npy    float32 [prompts * 24, vocab]: the row behind each greedy token
  golden_logits_bf16.npy    for bfloat16 checkpoints: what transformers computes in bfloat16
Everything is computed from the written directory, in float32 with eager attention, one prompt at a
time with a freshly loaded model. EOS is ignored in the greedy runs, and weights are drawn so that
no run contains the EOS of its config: a caller who stops at EOS gets the same tokens.

Weights come from numpy generators seeded by the case's name and a small integer: the first one with
which every greedy choice has a clear margin and the continuations are not monotonous.

usage: make_golden.py [--out tests/golden/data] [--only NAME]
"""
import argparse
import json
import os
import shutil
import zlib

from oracle_torch import decode_greedily, load_model, prompt_logits, torch, transformers, versions
import numpy as np
from safetensors.torch import save_file

from golden_cases import CASES

STEPS = 24
MIN_MARGIN = 1e-3  # of the best logit over the second, relative to the largest |logit| of the row
MIN_DISTINCT = 8  # tokens in a greedy continuation
MAX_SEEDS = 60
MAX_CHECKPOINT_BYTES = 300_000


def write_json(path, value):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def write_config(case, directory):
    path = os.path.join(directory, "config.json")
    write_json(path, case.config)
    if case.rewrite_config:
        transformers.AutoConfig.from_pretrained(directory).save_pretrained(directory)


def draw_tensor(case, name, shape, rng):
    """Norm weights near 1, biases near 0, both random; matrices large enough for steep logits."""
    if name.endswith(".bias"):
        return 0.1 * rng.standard_normal(shape)
    if len(shape) == 1:
        return 1.0 + 0.2 * rng.standard_normal(shape)
    outer = any(word in name for word in ("embed", "wte", "project"))
    return (case.embedding_std if outer else case.matrix_std) * rng.standard_normal(shape)


def draw_tensors(case, config, rng):
    """Every tensor of the checkpoint under its on-disk name."""
    skeleton = transformers.AutoModelForCausalLM.from_config(config)
    dtype = getattr(torch, case.dtype)
    tensors = {}
    for name, parameter in skeleton.state_dict().items():
        tied = name == "lm_head.weight" and config.tie_word_embeddings
        if not tied:
            values = draw_tensor(case, name, tuple(parameter.shape), rng).astype(np.float32)
            tensors[name] = torch.from_numpy(values).to(dtype)
    if case.store_tied_head:
        tensors["lm_head.weight"] = tensors["model.decoder.embed_tokens.weight"].clone()
    tensors = {name.removeprefix(case.strip_prefix): tensor for name, tensor in tensors.items()}
    for pattern, shape, fill in case.extras:
        for layer in range(config.num_hidden_layers):
            buffer = torch.ones(shape).tril() if fill == "tril" else torch.full(shape, fill)
            tensors[pattern.format(layer=layer)] = buffer
    return tensors


def write_safetensors(tensors, path):
    save_file(tensors, path, {"format": "pt"})
    os.chmod(path, 0o644)  # the library writes files that only their owner can read


def write_tensors(case, tensors, directory):
    """One file, or `case.shards` files of about equal size with their index."""
    if case.shards == 1:
        write_safetensors(tensors, os.path.join(directory, "model.safetensors"))
        return
    total = sum(t.nbytes for t in tensors.values())
    shards, weight_map, done = [{} for _ in range(case.shards)], {}, 0
    for name, tensor in tensors.items():
        index = min(done * case.shards // total, case.shards - 1)
        shards[index][name] = tensor
        weight_map[name] = f"model-{index + 1:05d}-of-{case.shards:05d}.safetensors"
        done += tensor.nbytes
    for index, shard in enumerate(shards):
        file = f"model-{index + 1:05d}-of-{case.shards:05d}.safetensors"
        write_safetensors(shard, os.path.join(directory, file))
    write_json(os.path.join(directory, "model.safetensors.index.json"),
               {"metadata": {"total_size": total}, "weight_map": weight_map})


def closest_margin(step_logits):
    """Smallest (best - second) / max|logit| over the rows."""
    best = step_logits.topk(2, dim=-1).values
    return float(((best[:, 0] - best[:, 1]) / step_logits.abs().amax(-1)).min())


def run_prompts(directory, prompts):
    """[(logits of the prompt, greedy tokens, their logits)], each from a freshly loaded model."""
    results = []
    for ids in prompts:
        logits = prompt_logits(load_model(directory), ids)
        tokens, step_logits = decode_greedily(load_model(directory), ids, STEPS)
        results.append((logits, tokens, step_logits))
    return results


def usable(results, eos_id):
    return all(closest_margin(step_logits) > MIN_MARGIN and len(set(tokens)) >= MIN_DISTINCT
               and eos_id not in tokens for _, tokens, step_logits in results)


def check_consistency(case, directory, prompts, results):
    """transformers' own generate() and a run without cache must agree with what is stored."""
    report = []
    for ids, (_, tokens, step_logits) in zip(prompts, results):
        generated = load_model(directory).generate(
            torch.tensor([ids]), do_sample=False, max_new_tokens=STEPS, eos_token_id=None,
            pad_token_id=0)
        assert generated[0, len(ids):].tolist() == tokens, case.name
        whole = prompt_logits(load_model(directory), ids + tokens)[len(ids) - 1:-1]
        error = float((whole - step_logits).abs().max() / step_logits.abs().max())
        report.append(error)
        if "dynamic" not in case.name:
            assert error < 1e-5, (case.name, error)
    return max(report)


def make_case(case, out):
    directory = os.path.join(out, case.name)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    write_config(case, directory)
    config = transformers.AutoConfig.from_pretrained(directory)
    for seed in range(MAX_SEEDS):
        rng = np.random.default_rng([zlib.crc32(case.name.encode()), seed])
        prompts = [rng.integers(3, config.vocab_size, n).tolist() for n in case.prompt_lengths]
        write_tensors(case, draw_tensors(case, config, rng), directory)
        results = run_prompts(directory, prompts)
        if usable(results, config.eos_token_id):
            break
    else:
        raise SystemExit(f"{case.name}: no seed below {MAX_SEEDS} gives usable greedy runs")
    size = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory))
    assert size <= MAX_CHECKPOINT_BYTES, f"{case.name}: {size} bytes"

    cache_difference = check_consistency(case, directory, prompts, results)
    np.save(os.path.join(directory, "golden_logits.npy"),
            torch.cat([logits for logits, _, _ in results]).numpy().astype("<f4"))
    np.save(os.path.join(directory, "golden_step_logits.npy"),
            torch.cat([step_logits for _, _, step_logits in results]).numpy().astype("<f4"))
    if case.dtype == "bfloat16":
        rows = [prompt_logits(load_model(directory, torch.bfloat16), ids) for ids in prompts]
        np.save(os.path.join(directory, "golden_logits_bf16.npy"),
                torch.cat(rows).numpy().astype("<f4"))
    write_json(os.path.join(directory, "golden.json"), {
        "notes": case.notes, "vocab_size": config.vocab_size, "eos_token_id": config.eos_token_id,
        "seed": seed, "closest_margin": round(min(closest_margin(s) for _, _, s in results), 6),
        "versions": versions(),
        "prompts": [{"ids": ids, "greedy": tokens}
                    for ids, (_, tokens, _) in zip(prompts, results)]})
    print(f"{case.name}: seed {seed}, checkpoint {size} bytes, cached vs recomputed "
          f"{cache_difference:.1e}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="tests/golden/data")
    parser.add_argument("--only", help="make this case alone")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(versions(), "numpy", np.__version__)
    chosen = [case for case in CASES if args.only in (None, case.name)]
    if not chosen:
        parser.error(f"--only {args.only}: the cases are {', '.join(c.name for c in CASES)}")
    for case in chosen:
        make_case(case, args.out)


if __name__ == "__main__":
    main()
