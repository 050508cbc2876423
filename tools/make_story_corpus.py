"""Writes the story corpus on which the bundled model is trained: one story a line, plain English.

The stories come from story_grammar.py and story_plots.py; the same --seed and --stories give the
same file on every machine. Equal stories are told once.

usage: make_story_corpus.py --out corpus.txt [--stories 40000] [--seed 1]
"""
import argparse
import random
import re

import story_grammar as grammar
from story_plots import PLOTS

_INNERMOST_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")


def expand(template, slots, rng):
    """One wording of `template`: choices drawn, slots filled (a slot's value may name slots)."""
    text = template
    while match := _INNERMOST_CHOICE.search(text):
        text = text[:match.start()] + rng.choice(match.group(1).split("|")) + text[match.end():]
    while "{" in text:
        text = text.format(**slots)
    return _ARTICLE.sub(r"\1n ", text)


def made_up_name(rng):
    """A name that no list has: it makes the model copy a name it does not know from the prompt."""
    syllables = [rng.choice("bdfgklmnprstvz") + rng.choice("aeiou")
                 for _ in range(rng.choice([2, 2, 3]))]
    return ("".join(syllables) + rng.choice(["", "n", "r", "s"])).capitalize()


def draw_character(rng, taken_name=None):
    """Name, kind and pronouns of a girl, a boy or an animal."""
    sort = rng.choices(["girl", "boy", "animal"], [3, 3, 2])[0]
    names = {"girl": grammar.GIRLS, "boy": grammar.BOYS, "animal": grammar.ANIMAL_NAMES}[sort]
    name = rng.choice([n for n in names if n != taken_name])
    if rng.random() < 0.25:
        name = made_up_name(rng)
    female = sort == "girl" or (sort == "animal" and rng.random() < 0.5)
    return {"name": name, "sort": "animal" if sort == "animal" else "child",
            "kind": rng.choice(grammar.ANIMALS) if sort == "animal" else sort,
            "he": "she" if female else "he", "him": "her" if female else "him",
            "his": "her" if female else "his"}


def draw_slots(plot, rng):
    """The words of one story."""
    hero = draw_character(rng)
    friend = draw_character(rng, taken_name=hero["name"])
    slots = {"hero": hero["name"], "friend": friend["name"], "fkind": friend["kind"],
             "kind": hero["kind"], "he": hero["he"], "him": hero["him"], "his": hero["his"],
             "He": hero["he"].capitalize(), "His": hero["his"].capitalize(),
             "fhe": friend["he"], "fhim": friend["him"], "fhis": friend["his"],
             "Fhe": friend["he"].capitalize(),
             "parent": rng.choice(grammar.PARENTS[hero["sort"]]),
             "trait": rng.choice(grammar.TRAITS), "place": rng.choice(grammar.PLACES),
             "day": rng.choice(grammar.DAYS), "food": rng.choice(grammar.FOODS),
             "moral": rng.choice(plot["moral"])}
    slots["Moral"] = slots["moral"][0].upper() + slots["moral"][1:]
    for slot, words in plot["slots"].items():
        slots[slot] = rng.choice(words)
    return slots


def tell_story(rng):
    plot = rng.choice(PLOTS)
    slots = draw_slots(plot, rng)
    beats = [grammar.OPENINGS, grammar.LIKES, *plot["beats"], grammar.MORALS, grammar.CLOSINGS]
    sentences = [expand(rng.choice(beat), slots, rng) for beat in beats]
    return " ".join(s for s in sentences if s)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--stories", type=int, default=40000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    stories = list(dict.fromkeys(tell_story(rng) for _ in range(args.stories)))
    with open(args.out, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(story + "\n" for story in stories)
    words = sum(len(story.split()) for story in stories)
    print(f"{args.out}: {len(stories)} stories, {words} words, "
          f"{len(set(' '.join(stories).split()))} distinct")


if __name__ == "__main__":
    main()
