"""torch and transformers for the scripts that use them as an oracle, set up to give steady results.

Import this before anything else that imports torch. oneDNN is held to AVX-512 BF16: its AMX path
crashes (illegal instruction) on virtual machines that offer AMX but hide CPUID leaf 1DH, and one
instruction set gives one bf16 result on all machines that have it.
"""
import os

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import transformers  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def versions():
    return {"torch": str(torch.__version__), "transformers": transformers.__version__}


def load_model(directory, dtype=torch.float32):
    """The checkpoint as transformers reads it, computed with plain ("eager") attention."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        directory, dtype=dtype, attn_implementation="eager", local_files_only=True).eval()


@torch.inference_mode()
def prompt_logits(model, ids):
    """Logits of every position of one prompt, float32 [len(ids), vocab]."""
    return model(torch.tensor([ids])).logits[0].float()


@torch.inference_mode()
def decode_greedily(model, ids, steps):
    """Greedy continuation with the KV cache, EOS ignored.

    Returns (tokens, logits): logits[i], float32 [vocab], is the row from which tokens[i] was taken.
    """
    tokens, rows, cache = [], [], None
    step_input = torch.tensor([ids])
    for _ in range(steps):
        output = model(step_input, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        rows.append(output.logits[0, -1].float())
        tokens.append(int(rows[-1].argmax()))
        step_input = torch.tensor([[tokens[-1]]])
    return tokens, torch.stack(rows)
