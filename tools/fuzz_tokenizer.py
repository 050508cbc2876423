"""Compares autodist's ids with the tokenizers library's on random strings, for every tokenizer.

Strings are put together like those of make_tokenizer_golden.py (words, numbers, white space, marks,
emoji, added tokens, ...), a few up to a hundred parts long; every seed gives others. Prints the
first differences and ends non-zero if there are any.

usage: fuzz_tokenizer.py --bench build/release/libraries/text/tokenizer_bench --tokenizers DIR [--count 2000] [--seed 1]
DIR holds <name>/tokenizer.json for every name of make_tokenizer_golden.NAMES.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

import tokenizers

from make_tokenizer_golden import NAMES, SPACES, piece

SHOWN = 5


def make_strings(rng, count):
    strings = []
    for _ in range(count):
        parts = rng.choice([rng.randint(1, 6), rng.randint(1, 25), rng.randint(25, 100)])
        repeat = rng.choice([1, 1, 1, rng.randint(2, 40)])
        strings.append("".join(piece(rng) * rng.choice([1, 1, repeat]) +
                               (rng.choice(SPACES) * rng.choice([1, repeat])
                                if rng.random() < 0.6 else "") for _ in range(parts)))
    return strings


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True)
    parser.add_argument("--tokenizers", required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    strings = make_strings(random.Random(args.seed), args.count)
    print(f"tokenizers {tokenizers.__version__}, seed {args.seed}, {len(strings)} strings, "
          f"{sum(len(text.encode()) for text in strings)} bytes")
    differences = 0
    with tempfile.TemporaryDirectory() as scratch:
        strings_path = os.path.join(scratch, "strings.json")
        ids_path = os.path.join(scratch, "ids.json")
        with open(strings_path, "w", encoding="utf-8") as file:
            json.dump(strings, file)
        for name in NAMES:
            model_dir = os.path.join(args.tokenizers, name)
            subprocess.run([args.bench, model_dir, strings_path, "1", ids_path], check=True,
                           stdout=subprocess.DEVNULL)
            with open(ids_path, encoding="utf-8") as file:
                ids = json.load(file)
            tokenizer = tokenizers.Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            wrong = [i for i, text in enumerate(strings)
                     if tokenizer.encode(text, add_special_tokens=False).ids != ids[i]]
            differences += len(wrong)
            print(f"{name}: {sum(map(len, ids))} ids, {len(wrong)} strings differ")
            for i in wrong[:SHOWN]:
                print(f"  {strings[i]!r}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
