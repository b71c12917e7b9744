"""An independent reader of scene captions: parses a sentence and says whether it is true.

It shares no code and no word list with the generator, tries every assignment of objects to noun
phrases, and raises on any sentence that it does not fully understand.
"""

import re
from itertools import permutations

from cookie.data.scene_graph import Scene, SceneObject

SHAPES = {
    "cube": "cube block",
    "ball": "ball sphere",
    "cone": "cone",
    "ring": "ring hoop",
    "cross": "cross",
    "diamond": "diamond rhombus",
}
QUALITIES = {
    ("color", "red"): "red",
    ("color", "green"): "green",
    ("color", "blue"): "blue",
    ("color", "yellow"): "yellow",
    ("color", "purple"): "purple violet",
    ("color", "orange"): "orange",
    ("color", "white"): "white",
    ("color", "turquoise"): "turquoise teal",
    ("size", "large"): "large big",
    ("size", "small"): "small little tiny",
    ("material", "matte"): "matte plain dull",
    ("material", "striped"): "striped banded",
    ("material", "shiny"): "shiny glossy polished",
}
WORDS = {word: quality for quality, words in QUALITIES.items() for word in words.split()}
NOUNS = {word: ("shape", shape) for shape, words in SHAPES.items() for word in words.split()}
COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4}
WHERE = {
    "left": "to the left of|on the left side of|left of",
    "right": "to the right of|on the right side of|right of",
    "above": "above|over|higher than",
    "below": "below|under|lower than",
}
ANYWHERE = "|".join(WHERE.values())
OPENING = re.compile(r"^(there is|we see|a picture of|this image shows|look at) ")
ENDING = re.compile(r" (on a gray background|in the picture|on gray ground)$")

Demand = set[tuple[str, str]]


def is_true(caption: str, scene: Scene) -> bool:
    """Return whether ``caption`` describes ``scene``."""
    text = ENDING.sub("", OPENING.sub("", caption))
    if " in total, " in text:
        return _gist(text, scene)
    if re.search(rf"\b({ANYWHERE}) ", text):
        return _relations(text, scene)
    return _listing(text, scene)


def read_phrase(phrase: str) -> tuple[int, Demand]:
    """Return how many things a noun phrase names, and what each of them must be."""
    count, *qualities, noun = phrase.split()
    if (count == "an") != (phrase.split()[1][0] in "aeiou") and count in ("a", "an"):
        raise ValueError(f"wrong article: {phrase}")
    demand = {WORDS[word] for word in qualities}
    if len(demand) != len(qualities):
        raise ValueError(f"says something twice: {phrase}")
    return COUNTS[count], demand | {NOUNS[_singular(noun, COUNTS[count])]}


def _singular(noun: str, count: int) -> str:
    if count == 1:
        return noun
    for ending in ("es", "s"):
        if noun.endswith(ending) and noun.removesuffix(ending) in NOUNS:
            return noun.removesuffix(ending)
    raise ValueError(f"not a plural: {noun}")


def _fits(thing: SceneObject, demand: Demand) -> bool:
    return all(getattr(thing, attribute) == value for attribute, value in demand)


def _stands(first: SceneObject, where: str, second: SceneObject) -> bool:
    """Judge by pixels alone: by where the middles of the objects are."""
    horizontal, vertical = second.x - first.x, second.y - first.y
    distance = {"left": horizontal, "right": -horizontal, "above": vertical, "below": -vertical}
    return distance[_direction(where)] > 200


def _direction(phrase: str) -> str:
    return next(name for name, forms in WHERE.items() if phrase in forms.split("|"))


def _relations(text: str, scene: Scene) -> bool:
    inverted = re.fullmatch(rf"({ANYWHERE}) (.+?) is (an? .+)", text)
    chain = re.fullmatch(rf"(an? .+?) is ({ANYWHERE}) (.+?), which is ({ANYWHERE}) (.+)", text)
    if inverted:
        phrases, wheres = [inverted[3], inverted[2]], [inverted[1]]
    elif chain:
        phrases, wheres = [chain[1], chain[3], chain[5]], [chain[2], chain[4]]
    else:
        simple = re.fullmatch(rf"(an? .+?) (?:is )?({ANYWHERE}) (.+)", text)
        assert simple, text
        phrases, wheres = [simple[1], simple[3]], [simple[2]]
    demands = [read_phrase(phrase)[1] for phrase in phrases]
    return any(
        all(map(_fits, things, demands)) and all(map(_stands, things, wheres, things[1:]))
        for things in permutations(scene.objects, len(demands))
    )


def _gist(text: str, scene: Scene) -> bool:
    total, *claims = text.split(", ")
    count = COUNTS[total.removesuffix(" things in total")]
    return len(scene.objects) == count and all(_counted(claim, scene) for claim in claims)


def _counted(claim: str, scene: Scene) -> bool:
    match = re.fullmatch(r"(exactly (\w+)|all)( of them)? (\w+)", claim)
    assert match, claim
    number = COUNTS[match[2]] if match[2] else len(scene.objects)
    quality = WORDS[match[4]] if match[3] else NOUNS[_singular(match[4], number)]
    return sum(_fits(thing, {quality}) for thing in scene.objects) == number


def _listing(text: str, scene: Scene) -> bool:
    match = re.fullmatch(r"(.+?)(, (but .+|with .+|and nothing else))?", text)
    assert match, text
    demands: list[Demand] = []
    for phrase in re.split(", | and ", match[1]):
        count, demand = read_phrase(phrase)
        demands += [demand] * count
    found = any(
        all(map(_fits, things, demands)) for things in permutations(scene.objects, len(demands))
    )
    return found and _claim(match[3], len(demands), scene)


def _claim(claim: str | None, listed: int, scene: Scene) -> bool:
    if claim is None:
        return True
    if claim == "and nothing else":
        return listed == len(scene.objects)
    if total := re.fullmatch(r"with (\w+) things in total", claim):
        return COUNTS[total[1]] == len(scene.objects)
    absent = re.fullmatch(r"but (no|nothing) (\w+)", claim)
    assert absent, claim
    quality = NOUNS[absent[2]] if absent[1] == "no" else WORDS[absent[2]]
    return not any(_fits(thing, {quality}) for thing in scene.objects)
