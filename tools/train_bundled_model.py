"""Trains the bundled model: a byte-level BPE tokenizer and a small Llama on the story corpus.

Writes a HuggingFace directory (config.json, generation_config.json, model.safetensors in bf16,
tokenizer.json, tokenizer_config.json), prints the loss and samples. Runs on the CPU; the same seed,
thread count and CPU give the same weights.

usage: train_bundled_model.py --corpus corpus.txt --out models/story-2m [--steps 2400] [--threads 2]
"""
import argparse
import json
import math
import os
import time

from oracle_torch import torch, transformers
import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

BOS, EOS = "<s>", "</s>"
CONTEXT = 512
HELD_OUT_STORIES = 500
PROMPTS = ["Once upon a time,", "There once was a fox named Tim.", "Lily was a brave girl."]


def train_tokenizer(stories, vocab_size):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(stories, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[BOS, EOS], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    bos_id = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, bos_id)])
    return tokenizer


def make_config(tokenizer):
    return transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=192, intermediate_size=512,
        num_hidden_layers=5, num_attention_heads=8, num_key_value_heads=4, head_dim=24,
        max_position_embeddings=CONTEXT, rms_norm_eps=1e-5, tie_word_embeddings=True,
        bos_token_id=tokenizer.token_to_id(BOS), eos_token_id=tokenizer.token_to_id(EOS),
        initializer_range=0.05)


def encode(tokenizer, stories):
    """The stories as one stream `<s> story </s> <s> story </s> ...`."""
    eos_id = tokenizer.token_to_id(EOS)
    encoded = tokenizer.encode_batch(stories)
    return np.concatenate([np.array(e.ids + [eos_id], dtype=np.int64) for e in encoded])


def batches(stream, bos_id, batch_size, steps, rng):
    """Windows of CONTEXT + 1 tokens, each beginning at a story."""
    starts = np.flatnonzero(stream == bos_id)
    starts = starts[starts + CONTEXT + 1 <= len(stream)]
    order = np.concatenate([rng.permutation(starts)
                            for _ in range(math.ceil(steps * batch_size / len(starts)))])
    for step in range(steps):
        chosen = order[step * batch_size:(step + 1) * batch_size]
        yield torch.from_numpy(np.stack([stream[s:s + CONTEXT + 1] for s in chosen]))


def loss_of(model, window):
    logits = model(window[:, :-1]).logits.float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())


def train(model, stream, args, bos_id):
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1},
                                   {"params": plain, "weight_decay": 0.0}],
                                  lr=args.learning_rate, betas=(0.9, 0.95))
    warmup = 50
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(
        (step + 1) / warmup, 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / args.steps))))
    began = time.time()
    rng = np.random.default_rng(args.seed)
    for step, window in enumerate(batches(stream, bos_id, args.batch_size, args.steps, rng), 1):
        loss = loss_of(model, window)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == args.steps:
            print(f"step {step} loss {loss.item():.4f} seconds {time.time() - began:.0f}",
                  flush=True)


def print_samples(directory, seed):
    """What the saved files say: greedy and at temperature 0.8, until </s>."""
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    for prompt in PROMPTS:
        for sampling in [dict(do_sample=False), dict(do_sample=True, temperature=0.8, top_k=0)]:
            transformers.set_seed(seed)
            ids = tokenizer(prompt, return_tensors="pt").input_ids
            out = model.generate(ids, attention_mask=torch.ones_like(ids), pad_token_id=0,
                                 max_new_tokens=CONTEXT - ids.shape[1], **sampling)[0]
            ended = out[-1] == model.config.eos_token_id
            print(f"\n{sampling}, {len(out) - ids.shape[1]} tokens, ended {bool(ended)}:\n"
                  f"{tokenizer.decode(out, skip_special_tokens=True)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--vocab-size", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers.set_seed(args.seed)

    with open(args.corpus, encoding="utf-8") as file:
        stories = file.read().splitlines()
    tokenizer = train_tokenizer(stories, args.vocab_size)
    bos_id = tokenizer.token_to_id(BOS)
    held_out = encode(tokenizer, stories[:HELD_OUT_STORIES])
    stream = encode(tokenizer, stories[HELD_OUT_STORIES:])
    model = transformers.LlamaForCausalLM(make_config(tokenizer))
    print(f"{sum(p.numel() for p in model.parameters())} parameters, vocabulary "
          f"{tokenizer.get_vocab_size()}, {len(stream)} tokens; torch {torch.__version__}, "
          f"transformers {transformers.__version__}", flush=True)
    train(model, stream, args, bos_id)
    with torch.inference_mode():
        windows = batches(held_out, bos_id, 16, 4, np.random.default_rng(0))
        print(f"held-out loss {np.mean([loss_of(model, w).item() for w in windows]):.4f}")

    os.makedirs(args.out, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(args.out)
    os.chmod(os.path.join(args.out, "model.safetensors"), 0o644)  # saved as readable by its owner
    tokenizer.save(os.path.join(args.out, "tokenizer.json"))
    with open(os.path.join(args.out, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS,
                   "eos_token": EOS, "model_max_length": CONTEXT,
                   "clean_up_tokenization_spaces": False}, file, indent=2)
        file.write("\n")
    print_samples(args.out, args.seed)


if __name__ == "__main__":
    main()
