"""Records how transformers continues a prompt with a real model: ids and text, greedy, float32.

The model may be stored in any dtype; it is computed in float32 with eager attention. The run stops
at EOS like generate() does; "ended" says whether it did.

usage: make_text_golden.py --model models/story-2m --prompt "Once upon a time," --tokens 64
           --out tests/golden/data/story-2m.json [--name models/story-2m]
"""
import argparse
import json

from oracle_torch import load_model, torch, transformers, versions


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--name", help="what the record calls the model (default: --model)")
    args = parser.parse_args()
    torch.set_num_threads(1)

    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model, local_files_only=True)
    model = load_model(args.model)
    ids = tokenizer(args.prompt).input_ids
    prompt = torch.tensor([ids])
    # Without a mask, generate() hides the tokens of the prompt that equal the padding's id.
    output = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                            max_new_tokens=args.tokens, pad_token_id=0, output_logits=True,
                            return_dict_in_generate=True)
    greedy = output.sequences[0, len(ids):].tolist()
    best = torch.stack(output.logits)[:, 0].topk(2, dim=-1).values
    record = {
        "model": args.name or args.model, "prompt": args.prompt, "prompt_ids": ids,
        "greedy": greedy, "text": tokenizer.decode(greedy, skip_special_tokens=True),
        "ended": greedy[-1] == model.config.eos_token_id,
        "closest_margin": round(float(((best[:, 0] - best[:, 1]) / best[:, 0].abs()).min()), 6),
        "versions": versions()}
    with open(args.out, "w", encoding="utf-8", newline="\n") as file:
        json.dump(record, file, indent=1)
        file.write("\n")
    print(f"{args.out}: closest margin {record['closest_margin']}\n{args.prompt}{record['text']}")


if __name__ == "__main__":
    main()
