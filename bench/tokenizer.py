#!/usr/bin/env python3
"""Encode and load of autodist's tokenizer beside the tokenizers library, on one thread.

Makes a megabyte of mixed text (prose, code and JSON of this repository, sentences in other scripts,
emoji, numbers, white space; seeded, so the same in every run of one commit), then in every round and
for every tokenizer, in turn: both load, both encode, both encode once more. Twice: the whole text as
one string, and line by line. A round's library figure stands beside autodist's of the same round.
Ends non-zero when an id differs.

usage: tokenizer.py --bench build/release/libraries/text/tokenizer_bench --tokenizers DIR [--rounds 9] NAME...
DIR holds NAME/tokenizer.json. Needs the Python package tokenizers.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from spread import spread

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # noqa: E402  (reads the variable above)

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT_BYTES = 1_000_000
SCRIPTS = {
    "ru": "это был долгий день и никто не знал что будет дальше река текла медленно под старым "
          "мостом дети играли во дворе пока солнце садилось за лесом".split(),
    "el": "η θάλασσα ήταν ήρεμη και το φως έπεφτε πάνω στα μικρά σπίτια του νησιού όπου οι άνθρωποι "
          "ζούσαν με τον ρυθμό του ανέμου".split(),
    "de": "größere Städte überqueren früher als geplant die Brücke während müde Gäste über schöne "
          "Gärten sprächen und Straßen weiß blühten".split(),
    "zh": "今天 天气 很好 我们 一起 去 公园 散步 看到 许多 美丽 的 花 和 孩子 在 湖边 玩耍 时间 过得 很快".split(),
    "ja": "昨日 は とても 暑かった ので 友達 と 海 へ 行きました 夕方 に なる と 涼しい 風 が 吹いて きた".split(),
    "ko": "오늘은 날씨가 매우 좋아서 우리는 강가를 따라 걸었고 아이들은 물가에서 놀고 있었다".split(),
    "ar": "كان اليوم طويلا والسماء صافية وجلس الرجل قرب النهر يقرأ كتابا قديما عن المدن البعيدة".split(),
    "hi": "आज मौसम बहुत अच्छा था और बच्चे नदी के किनारे खेल रहे थे जबकि लोग धीरे धीरे घर लौट रहे थे".split(),
}
EMOJI = ["😀", "👍🏿", "👩‍💻", "🇫🇷", "☃️", "🎉", "❤️", "👨‍👩‍👧"]


def excerpts(rng, pattern):
    """Runs of lines of the files that match."""
    texts = [path.read_text(encoding="utf-8").splitlines(keepends=True)
             for path in sorted(ROOT.glob(pattern))]
    while True:
        lines = rng.choice(texts)
        begin = rng.randrange(len(lines))
        yield "".join(lines[begin:begin + rng.randint(5, 40)])


def sentences(rng):
    while True:
        words, parts = rng.choice(list(SCRIPTS.values())), []
        for _ in range(rng.randint(20, 80)):
            parts.append(rng.choice(words))
            if rng.random() < 0.08:
                parts[-1] += rng.choice(".,!?;")
        # Chinese and Japanese are written without spaces.
        joint = "" if any("\u3040" <= c <= "\u9fff" for c in parts[0]) else " "
        yield joint.join(parts) + ".\n"


def records(rng):
    while True:
        yield json.dumps([{"id": rng.randrange(10**6), "name": f"item_{rng.randrange(999)}",
                           "price": round(rng.random() * 100, 2), "tags": ["new", "κόσμος", None],
                           "ok": rng.random() < 0.5} for _ in range(rng.randint(2, 8))],
                         ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2])) + "\n"


def odds(rng):
    while True:
        kind = rng.randrange(3)
        if kind == 0:
            yield "".join(rng.choice(EMOJI) + rng.choice(["", " "]) for _ in range(20)) + "\n"
        elif kind == 1:
            yield ", ".join(str(rng.randrange(10**rng.randint(1, 12))) for _ in range(30)) + "\n"
        else:
            yield "".join(rng.choice([" ", "\t", "\n", "    ", "\r\n", "\u00a0", "-" * 20, "x"])
                          for _ in range(60))


def mixed_text():
    rng = random.Random(4)
    sources = [(4, excerpts(rng, "**/*.md")), (3, excerpts(rng, "autodist/*/*.cc")),
               (1, excerpts(rng, "tools/*.py")), (2, records(rng)), (5, sentences(rng)),
               (1, odds(rng))]
    weights = [weight for weight, _ in sources]
    text = ""
    while len(text.encode()) < TEXT_BYTES:
        text += next(rng.choices(sources, weights)[0][1])
    return text.encode()[:TEXT_BYTES].decode(errors="ignore")


def run_autodist(bench, model_dir, strings, scratch):
    ids_path = os.path.join(scratch, "ids.json")
    done = subprocess.run([bench, model_dir, strings, "1", ids_path], check=True,
                          capture_output=True, text=True)
    with open(ids_path, encoding="utf-8") as file:
        return json.loads(done.stdout), json.load(file)


def run_library(model_dir, strings):
    marks = [time.perf_counter()]
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))
    marks.append(time.perf_counter())
    for _ in range(2):
        encodings = [tokenizer.encode(text, add_special_tokens=False) for text in strings]
        marks.append(time.perf_counter())
    seconds = [[end - begin] for begin, end in zip(marks, marks[1:])]
    return (dict(zip(["load_s", "first_s", "again_s"], seconds)),
            [encoding.ids for encoding in encodings])


def report(name, pieces, ours, theirs, text_bytes):
    for what in ["load_s", "first_s", "again_s"]:
        if what == "load_s":
            unit, show = "ms", lambda s: f"{s * 1e3:.1f}"
        else:
            unit, show = "MB/s", lambda s: f"{text_bytes / s / 1e6:.2f}"
        ratios = [their / our for our, their in zip(ours[what], theirs[what])]
        print(f"| {name} | {pieces} | {what[:-2]}, {unit} | {spread(theirs[what], show)} | "
              f"{spread(ours[what], show)} | {spread(ratios, '{:.2f}'.format)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True)
    parser.add_argument("--tokenizers", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    text = mixed_text()
    forms = {"one string": [text], "lines": text.splitlines(keepends=True)}
    size = len(text.encode())
    print(f"tokenizers {tokenizers.__version__}, {size} bytes, {len(forms['lines'])} lines, "
          f"{args.rounds} rounds; medians (range)\n")
    print("| tokenizer | text as | what | library | autodist | speed-up |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for form, strings in forms.items():
            path = os.path.join(scratch, "strings.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(strings, file)
            for name in args.names:
                model_dir = os.path.join(args.tokenizers, name)
                ours, theirs = {}, {}
                for _ in range(args.rounds):
                    our_times, our_ids = run_autodist(args.bench, model_dir, path, scratch)
                    their_times, their_ids = run_library(model_dir, strings)
                    for what in their_times:
                        ours.setdefault(what, []).extend(our_times[what])
                        theirs.setdefault(what, []).extend(their_times[what])
                    if our_ids != their_ids:
                        sys.exit(f"{name}, {form}: ids differ")
                report(name, form, ours, theirs, size)


if __name__ == "__main__":
    main()
