"""Characters, places, openings and endings of the story corpus; story_plots.py has the plots.

Markup of a template: `[a|b|c]` picks one alternative (they nest, an empty one leaves the words
out), `{slot}` is a word of the story at hand. Slots of every story: hero, kind, he, him, his (He,
His at the start of a sentence), friend, fkind, fhe, fhim, fhis, Fhe, parent, trait, place, day,
food, moral (Moral at the start of a sentence).
"""

GIRLS = ("Lily Mia Anna Ella Rosa Nina Clara Ruby Molly Zoe Ivy Hanna Sara Emma Dora Lucy Maya "
         "Tess Wanda Elsa").split()
BOYS = ("Tom Ben Max Leo Sam Jack Finn Oscar Hugo Felix Peter Noah Omar Eli Carl Theo Anton Milo "
        "Emil Jonas").split()
ANIMALS = ("rabbit fox bear mouse hedgehog squirrel duck frog kitten puppy turtle owl goat "
           "pony").split()
ANIMAL_NAMES = ("Pip Bobo Hazel Nutty Coco Pepper Biscuit Mossy Willow Button Ginger Rusty Pebble "
                "Daisy Clover Acorn").split()
TRAITS = "kind brave clever curious cheerful gentle quiet shy patient busy friendly careful".split()
PARENTS = {"child": ["mother", "father", "grandmother", "grandfather", "aunt", "uncle"],
           "animal": ["mother", "father", "grandmother", "grandfather"]}
PLACES = ["in a small village by the sea", "in a little house on a hill",
          "near a deep green forest", "on a farm with a red barn", "at the edge of a big town",
          "beside a slow river",
          "in a valley full of flowers", "at the foot of a tall mountain", "next to a quiet lake",
          "in a cottage with a blue door", "on a small island",
          "under the roots of an old oak tree"]

OPENINGS = [
    "Once upon a time, there was a {trait} [little|young|small] {kind} named {hero}. {He} lived "
    "{place} with {his} {parent}.",
    "Once upon a time, there lived a {trait} {kind} named {hero}. {He} lived {place}.",
    "Once upon a time, {place}, there lived a [little|young|small] {kind} named {hero}. {He} was "
    "very {trait}.",
    "Once upon a time, there was a {kind} named {hero} who lived {place}. Everyone said that "
    "{hero} was very {trait}.",
    "Once upon a time, a {trait} {kind} named {hero} lived {place}. {His} best friend was a "
    "{fkind} named {friend}.",
    "[Long ago|Many years ago], there was a {trait} {kind} named {hero}. {He} lived {place}.",
    "There once was a {kind} named {hero}. {He} was {trait}, and {he} lived {place}.",
    "{hero} was a {trait} {kind}. {He} lived {place} with {his} {parent}.",
    "This is a story about {hero}, a {trait} {kind} who lived {place}.",
]

LIKES = [
    "[Every day|Every morning|Each afternoon], {hero} [played outside with {friend}|walked along "
    "the path and sang|helped {his} {parent} with the work|sat by the window and watched the "
    "clouds].",
    "{hero} loved [to play in the sun|to read stories|to climb trees|to sing songs|to draw "
    "pictures|to count the stars].",
    "",
]

DAYS = ["One day", "One morning", "One sunny day", "One rainy afternoon", "One cold morning",
        "One warm evening", "One day in spring", "One day in autumn", "One bright morning"]

MORALS = [
    "{hero} [learned|knew now] that {moral}.",
    "{hero} never forgot that {moral}.",
    "\"{Moral},\" said {his} {parent}, and {hero} [nodded|smiled].",
    "",
]

CLOSINGS = [
    "[From that day on|After that], {hero} and {friend} [were the best of friends|played together "
    "every day|always helped each other].",
    "That night, {hero} [went to bed|fell asleep] with a [smile|happy heart|big smile].",
    "[And so|In the end], everyone was happy, and {hero} most of all.",
    "And they all lived happily ever after.",
]

FOODS = ["bread", "soup", "apple pie", "pancakes", "cheese", "honey cake", "berries", "cookies"]
