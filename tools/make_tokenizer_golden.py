"""Records what the tokenizers library makes of 300 awkward strings with real tokenizer.json files.

OUT/strings.json is the list of strings (some are written down below, the others put together by a
seeded generator); OUT/<name>.json holds for one tokenizer
  sha256    of its tokenizer.json
  ids       per string, with add_special_tokens=False
  decoded   {index: text} of decode(ids, skip_special_tokens=False) where it is not the string
Drawn characters are those whose general category is the same in Unicode 3.2 and today, so that the
age of a reader's Unicode tables does not matter.

usage: make_tokenizer_golden.py --tokenizers DIR [--out tests/golden/data/tokenizers]
DIR holds <name>/tokenizer.json for every name of NAMES.
"""
import argparse
import hashlib
import json
import os
import random
import unicodedata

import tokenizers

NAMES = ["gpt2", "gpt-neox-20b", "phi-2", "smollm2-135m", "falcon-7b", "qwen2", "olmo2-dolma2",
         "whisper-tiny", "roberta-base", "mistral-7b-v0.1", "mistral-7b-v0.1-legacy", "phi-3-mini",
         "clip-vit-base"]
COUNT = 300
SEED = 20

WRITTEN = [
    "", " ", "  ", "\n", "\t", "\r\n", "\0", "a", " a", "a ", "Hello, world!", "  leading",
    "trailing  ", "Once upon a time,", "don't DON'T we'll I'd you'Re it'\u017f he'LL",
    "'s's 's \u2019s '\u017f", "\u4f60\u597d \U0001f44b\U0001f3fd 1234567 don't",
    "12345678901234567890", "3.14159 1,000,000 1e-5", "a\u00a0b\u3000c\u2003d\u2028e\u0085f",
    "zero\u200bwidth\u200djoin\ufeffbom", "x\u180ey\u001cz",
    "caf\u00e9 cafe\u0301 \u212b A\u030a \u1e9b\u0323", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u200fabc\u200e",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f 1\ufe0f\u20e3",
    "def f(x):\n    return x ** 2  # square\n\n\nprint(f(3))\n",
    "if (a&&b||!c) { x->y[i++] += ~z; }", "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ",
    "<|endoftext|><|endoftext|>", "<s>", "</s>", "<s> [INST] hi [/INST]</s>", "x <mask> y",
    "x  <mask>  y", "<unk>a<unk>", "<|im_start|>user\nhi", "<|user|>\nhi<|end|>\n<|assistant|>",
    "<|end|>   x", ">>TITLE<<x", "<|startoftext|>a", "|||EMAIL_ADDRESS|||",
    "<|notimestamps|><|0.00|> a", "<|endoftext", "|endoftext|>", "<|ENDOFTEXT|>", "  " * 12 + "x",
    "\t\t\tx", "\n\n\n\nx", " \n \n x", "\u2581under\u2581score \u2581", "\u0120gpt\u010a",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ABCdefGHI",
    "\u0130stanbul \u00df \u03a3\u03c2 \u01c5", "\ufffd", "\U0010fffd\ue000", "<0x41><0x00>",
    "\x01\x02\x1f\x7f\x80\x9f",
]
ADDED = ["<|endoftext|>", "<s>", "</s>", "<unk>", "<pad>", "<mask>", "<|im_start|>", "<|im_end|>",
         "<|user|>", "<|end|>", "<|en|>", "<|0.02|>", ">>QUESTION<<", "<|fim_prefix|>",
         "<|startoftext|>", "|||IP_ADDRESS|||"]
WORDS = ("the of and story little river tokenization antidisestablishmentarianism don't we've I'm "
         "they'll Python GPU x86_64 https://example.org/a?b=c e.g. Ltd. O'Neill na\u00efve "
         "\u00fcber stra\u00dfe \u0441\u043b\u043e\u0432\u043e \u03bb\u03cc\u03b3\u03bf\u03c2 "
         "\u6771\u4eac \u65e5\u672c\u8a9e \ud55c\uad6d \u05e9\u05dc\u05d5\u05dd "
         "\u0633\u0644\u0627\u0645 \u0928\u092e\u0938\u094d\u0924\u0947").split()
SPACES = [" ", " ", " ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n", "\n ", "\u00a0",
          "\u3000", "\u0085", "\u2028", "\u200b", "\v", "\f"]
EMOJI = ["\U0001f600", "\U0001f44d\U0001f3ff", "\U0001f469\u200d\U0001f4bb", "\U0001f1eb\U0001f1f7",
         "\u2603\ufe0f"]
COMBINING = "\u0300\u0301\u0308\u0327\u0323\u0345\u20dd\u3099\u093c"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u2026\u2014\u00bf\u201c\u201d\u20ac\u00a7"
RANGES = [(0x20, 0x7e), (0xa1, 0x24f), (0x370, 0x52f), (0x5d0, 0x6ff), (0x900, 0xdff),
          (0x1100, 0x11ff), (0x1e00, 0x1fff), (0x2000, 0x2bff), (0x3040, 0x30ff), (0x4e00, 0x9fa5),
          (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xff01, 0xffee), (0x1d400, 0x1d7ff)]


def old_character(rng):
    while True:
        character = chr(rng.randint(*rng.choice(RANGES)))
        category = unicodedata.ucd_3_2_0.category(character)
        if category == unicodedata.category(character) and category not in ("Cn", "Cs", "Co"):
            return character


def piece(rng):
    """A word, a number, a space, ...: a few characters of one sort."""
    sort = rng.randrange(11)
    if sort <= 2:
        return rng.choice(WORDS)
    if sort == 3:
        return rng.choice(WORDS).title() if rng.random() < 0.5 else rng.choice(WORDS).upper()
    if sort == 4:
        return str(rng.randrange(10 ** rng.randint(1, 9)))
    if sort == 5:
        return "".join(rng.choice(PUNCTUATION) for _ in range(rng.randint(1, 4)))
    if sort == 6:
        return unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKD"]), old_character(rng) +
                                     rng.choice("aeiouncz") + rng.choice(COMBINING))
    if sort == 7:
        return rng.choice(EMOJI)
    if sort == 8:
        return rng.choice(ADDED)
    if sort == 9:
        return chr(rng.choice([0, 1, 7, 0x1b, 0x1f, 0x7f, 0x90, 0xad, 0x17f, 0x200b, 0xfeff]))
    return "".join(old_character(rng) for _ in range(rng.randint(1, 3)))


def make_strings():
    rng = random.Random(SEED)
    strings = list(WRITTEN)
    while len(strings) < COUNT:
        parts = [piece(rng) + (rng.choice(SPACES) if rng.random() < 0.6 else "")
                 for _ in range(rng.randint(1, 6))]
        strings.append("".join(parts))
    return strings


def write_json(path, value):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizers", required=True)
    parser.add_argument("--out", default="tests/golden/data/tokenizers")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    strings = make_strings()
    write_json(os.path.join(args.out, "strings.json"), strings)
    print(f"tokenizers {tokenizers.__version__}, {len(strings)} strings")
    for name in NAMES:
        source = os.path.join(args.tokenizers, name, "tokenizer.json")
        with open(source, "rb") as file:
            sha256 = hashlib.sha256(file.read()).hexdigest()
        tokenizer = tokenizers.Tokenizer.from_file(source)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in strings]
        decoded = [tokenizer.decode(row, skip_special_tokens=False) for row in ids]
        lossy = {str(i): text for i, text in enumerate(decoded) if text != strings[i]}
        write_json(os.path.join(args.out, f"{name}.json"),
                   {"tokenizers": tokenizers.__version__, "sha256": sha256, "ids": ids,
                    "decoded": lossy})
        print(f"{name}: {sum(map(len, ids))} ids, {len(lossy)} strings decode to another text")


if __name__ == "__main__":
    main()
