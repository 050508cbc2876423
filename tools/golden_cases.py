"""The tiny checkpoints of tests/golden: one Case per config.json, grouped by family.

A config is written literally, in the form that checkpoints of its family have on the hub, unless
`rewrite_config` asks for the form that transformers 5 writes. Sizes are odd on purpose: heads that
do not divide by the rank counts tried (1 to 4), feed-forward widths that are prime or not a
multiple of a vector, prime vocabularies.
"""
import dataclasses


@dataclasses.dataclass
class Case:
    """One checkpoint directory.

    config: the text of config.json. dtype: of the stored tensors. shards: number of safetensors
    files (an index file is written if more than one). prompt_lengths: tokens of each prompt.
    strip_prefix: taken off the front of every tensor name. store_tied_head: also store the tied
    lm_head. extras: buffers of older exports that a reader must ignore, as (name with {layer},
    shape, fill value). matrix_std, embedding_std: spread of the random weights. notes: for the
    reader of golden.json.
    """
    name: str
    config: dict
    notes: str
    dtype: str = "float32"
    shards: int = 1
    prompt_lengths: tuple = (13, 29)
    rewrite_config: bool = False
    strip_prefix: str = ""
    store_tied_head: bool = False
    extras: tuple = ()
    matrix_std: float = 0.25
    embedding_std: float = 0.4


def llama(**changes):
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": 24, "intermediate_size": 52, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 131,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
        "rope_scaling": None, "attention_bias": False, "tie_word_embeddings": False,
        "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32", "use_cache": True}
    return config | changes


def mistral(**changes):
    return llama(architectures=["MistralForCausalLM"], model_type="mistral") | changes


def qwen2(**changes):
    config = llama(architectures=["Qwen2ForCausalLM"], model_type="qwen2", rope_theta=1000000.0,
                   rms_norm_eps=1e-06, vocab_size=101, max_window_layers=2, sliding_window=8,
                   use_sliding_window=False) | changes
    for absent in ("attention_bias", "rope_scaling"):
        del config[absent]
    return config


def qwen3(**changes):
    return llama(architectures=["Qwen3ForCausalLM"], model_type="qwen3", rope_theta=1000000.0,
                 rms_norm_eps=1e-04, max_window_layers=4, sliding_window=None,
                 use_sliding_window=False) | changes


def gpt2(**changes):
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
        "activation_function": "gelu_new", "n_embd": 24, "n_head": 4, "n_layer": 4, "n_ctx": 64,
        "n_positions": 64, "layer_norm_epsilon": 1e-05, "vocab_size": 113, "attn_pdrop": 0.1,
        "embd_pdrop": 0.1, "resid_pdrop": 0.1, "bos_token_id": 112, "eos_token_id": 112}
    return config | changes


def opt(**changes):
    config = {
        "architectures": ["OPTForCausalLM"], "model_type": "opt", "activation_function": "relu",
        "hidden_size": 24, "ffn_dim": 52, "num_hidden_layers": 4, "num_attention_heads": 4,
        "vocab_size": 127, "max_position_embeddings": 64, "word_embed_proj_dim": 24,
        "do_layer_norm_before": True, "_remove_final_layer_norm": False, "dropout": 0.1,
        "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, "prefix": "</s>",
        "torch_dtype": "float32", "use_cache": True}
    return config | changes


CASES = [
    Case("llama_plain",
         llama(hidden_size=36, num_hidden_layers=5, num_attention_heads=6, num_key_value_heads=3),
         "untied head, 3 shards with index, rotary_emb.inv_freq buffers to ignore", shards=3,
         extras=(("model.layers.{layer}.self_attn.rotary_emb.inv_freq", (3,), 0.5),)),
    Case("llama_bias_tied",
         llama(hidden_size=40, intermediate_size=37, num_attention_heads=5, num_key_value_heads=1,
               head_dim=12, vocab_size=97, attention_bias=True, mlp_bias=True,
               tie_word_embeddings=True),
         "tied; biases on every linear; head_dim 12 is not hidden_size / heads; one kv head"),
    Case("llama_rope_llama3",
         llama(hidden_size=32, max_position_embeddings=512, rope_scaling={
             "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
             "original_max_position_embeddings": 64}),
         "the four frequencies meet all three branches of the llama3 rule"),
    Case("llama_rope_linear_f16",
         llama(rope_scaling={"type": "linear", "factor": 4.0}, torch_dtype="float16"),
         "rope_scaling with the old key `type`; tensors stored in float16, computed in float32",
         dtype="float16"),
    Case("llama_rope_dynamic",
         llama(num_key_value_heads=2, max_position_embeddings=24,
               rope_scaling={"rope_type": "dynamic", "factor": 2.0}),
         "runs past max_position_embeddings: the first prompt while decoding, the second already "
         "in its prefill. Every prompt starts with a fresh model; keys that are in the cache keep "
         "the rotation they were stored with", prompt_lengths=(13, 37)),
    Case("llama_rope_yarn",
         llama(num_key_value_heads=2, head_dim=16, max_position_embeddings=4096, rope_scaling={
             "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}),
         "head_dim 16 puts several frequencies on the yarn ramp; attention factor from the rule"),
    Case("llama_v5_config",
         llama(hidden_size=32, num_hidden_layers=5, intermediate_size=43, num_key_value_heads=2,
               max_position_embeddings=256, tie_word_embeddings=True,
               rope_scaling={"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 2.0, "original_max_position_embeddings": 64}),
         "config.json as transformers 5 writes it: rope_parameters, dtype", rewrite_config=True),
    Case("llama_bf16",
         llama(hidden_size=48, intermediate_size=75, num_attention_heads=6, num_key_value_heads=3,
               torch_dtype="bfloat16"),
         "stored in bfloat16; golden_logits.npy is the float32 result of these weights, "
         "golden_logits_bf16.npy what transformers computes in bfloat16", dtype="bfloat16",
         prompt_lengths=(31, 40), matrix_std=0.15),
    Case("mistral_window",
         mistral(num_hidden_layers=5, num_key_value_heads=2, sliding_window=7),
         "window of 7 positions on every layer, shorter than both prompts",
         prompt_lengths=(23, 34)),
    Case("mistral_v5_config",
         mistral(num_hidden_layers=7, hidden_size=24, intermediate_size=31, num_attention_heads=6,
                 num_key_value_heads=3, head_dim=8, sliding_window=None, rope_theta=1000000.0,
                 torch_dtype="bfloat16"),
         "as transformers 5 writes it; no window, explicit head_dim, 7 layers; bfloat16",
         dtype="bfloat16", rewrite_config=True, prompt_lengths=(31, 40), matrix_std=0.2),
    Case("qwen2",
         qwen2(hidden_size=24, num_hidden_layers=7, intermediate_size=37, num_attention_heads=6,
               num_key_value_heads=3, tie_word_embeddings=True),
         "sliding_window is set but use_sliding_window is false: full attention; 2 shards",
         shards=2),
    Case("qwen2_window",
         qwen2(num_hidden_layers=5, num_key_value_heads=2, use_sliding_window=True),
         "window of 8 positions on layers 2, 3 and 4 only", prompt_lengths=(21, 34)),
    Case("qwen3",
         qwen3(num_key_value_heads=2, head_dim=12, tie_word_embeddings=True),
         "per-head RMS norm of q and k before rope; head_dim 12 is not hidden_size / heads"),
    Case("gpt2", gpt2(), "names with the `transformer.` prefix"),
    Case("gpt2_bare",
         gpt2(n_embd=30, n_head=5, n_layer=5, n_inner=53, n_ctx=48, n_positions=48),
         "names without prefix, attn.bias and scalar attn.masked_bias buffers to ignore; 2 shards",
         shards=2, strip_prefix="transformer.",
         extras=(("h.{layer}.attn.bias", (1, 1, 48, 48), "tril"),
                 ("h.{layer}.attn.masked_bias", (), -10000.0)), prompt_lengths=(11, 23)),
    Case("opt_pre_norm", opt(), "as opt-125m; the tied lm_head.weight is stored as well",
         store_tied_head=True),
    Case("opt_post_norm",
         opt(do_layer_norm_before=False, word_embed_proj_dim=17, num_hidden_layers=5),
         "as opt-350m: norms after the residual sum, project_in and project_out, no final norm",
         matrix_std=0.12, embedding_std=1.0),
]
