"""Captions of generated scenes: true sentences from a small grammar with paraphrases.

A noun phrase claims that something like it is in the picture, a list of them that there are that
many different things; only "exactly", "in total" and "nothing else" claim that there is no more.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cookie.data.draws import Draws
from cookie.data.scene_graph import COLORS, MATERIALS, SHAPES, Scene, SceneObject

SYNONYMS: dict[str, tuple[str, ...]] = {
    "cube": ("cube", "cube", "block"),
    "ball": ("ball", "ball", "sphere"),
    "ring": ("ring", "ring", "hoop"),
    "diamond": ("diamond", "diamond", "rhombus"),
    "purple": ("purple", "purple", "violet"),
    "turquoise": ("turquoise", "turquoise", "teal"),
    "large": ("large", "big"),
    "small": ("small", "little", "tiny"),
    "matte": ("matte", "plain", "dull"),
    "striped": ("striped", "striped", "banded"),
    "shiny": ("shiny", "glossy", "polished"),
}
PLURALS = {"cross": "crosses", "rhombus": "rhombuses"}
NUMBERS = ("no", "one", "two", "three", "four")
RELATIONS: dict[str, tuple[str, ...]] = {
    "left": ("left of", "to the left of", "on the left side of"),
    "right": ("right of", "to the right of", "on the right side of"),
    "above": ("above", "over", "higher than"),
    "below": ("below", "under", "lower than"),
}
OPENINGS = ("", "", "there is ", "we see ", "a picture of ", "this image shows ", "look at ")
ENDINGS = ("", "", "", " on a gray background", " in the picture", " on gray ground")


@dataclass(frozen=True, slots=True)
class Mention:
    """What a noun phrase says of an object: adjectives in English order, then a noun."""

    adjectives: tuple[str, ...]
    noun: str

    def text(self, count: int = 1) -> str:
        """Return the phrase with its article or, from two on, with its number."""
        noun = self.noun if count == 1 else _plural(self.noun)
        words = " ".join((*self.adjectives, noun))
        if count > 1:
            return f"{NUMBERS[count]} {words}"
        return f"an {words}" if words[0] in "aeio" else f"a {words}"


def describe(draws: Draws, scene: Scene) -> list[str]:
    """Return five captions: all objects, a relation, two relations, some objects, the gist."""
    return [write(draws, scene) for write in CAPTION_KINDS]


def relations(first: SceneObject, second: SceneObject) -> list[str]:
    """Return how ``first`` stands to ``second``: one or two of the keys of ``RELATIONS``."""
    found = []
    if first.column != second.column:
        found.append("left" if first.column < second.column else "right")
    if first.row != second.row:
        found.append("above" if first.row < second.row else "below")
    return found


def _everything(draws: Draws, scene: Scene) -> str:
    """List all objects: 'two shiny red cubes and a blue ball, and nothing else'."""
    order = draws.sample(scene.objects, len(scene.objects))
    ending = draws.choice(("", ", and nothing else", *ENDINGS))
    return draws.choice(OPENINGS) + _listing(draws, order) + ending


def _relation(draws: Draws, scene: Scene) -> str:
    """Relate two objects: 'to the left of a red cube is a blue ball'."""
    first, second = draws.sample(scene.objects, 2)
    subject, other = _mention(draws, first).text(), _mention(draws, second).text()
    where = draws.choice(RELATIONS[draws.choice(relations(first, second))])
    if draws.chance(1, 3):
        return f"{where} {other} is {subject}"
    if draws.chance(1, 2):
        return f"{subject} is {where} {other}"
    return draws.choice(OPENINGS) + f"{subject} {where} {other}" + draws.choice(ENDINGS)


def _two_relations(draws: Draws, scene: Scene) -> str:
    """Relate three objects in a chain, or two objects in more detail where there are no more."""
    chosen = draws.sample(scene.objects, min(3, len(scene.objects)))
    detail = 4 if len(chosen) == 2 else 2
    mentions = [_mention(draws, thing, detail).text() for thing in chosen]
    where = [
        draws.choice(RELATIONS[draws.choice(relations(*pair))])
        for pair in itertools.pairwise(chosen)
    ]
    sentence = f"{mentions[0]} is {where[0]} {mentions[1]}"
    if len(chosen) == 2:
        return sentence
    return f"{sentence}, which is {where[1]} {mentions[2]}"


def _some(draws: Draws, scene: Scene) -> str:
    """List two objects and something that is absent: 'a cube and a red ball, but nothing green'."""
    pair = draws.sample(scene.objects, 2)
    return f"{draws.choice(OPENINGS)}{_listing(draws, pair)}, {_absence(draws, scene)}"


def _gist(draws: Draws, scene: Scene) -> str:
    """Count two attributes: 'three things in total, two of them red, one cube'; rarely unique."""
    total = f"{NUMBERS[len(scene.objects)]} things in total"
    attributes = draws.sample(("color", "shape", "size", "material"), 2)
    return ", ".join((total, *(_counted(draws, scene, attribute) for attribute in attributes)))


CAPTION_KINDS: tuple[Callable[[Draws, Scene], str], ...] = (
    _everything,
    _relation,
    _two_relations,
    _some,
    _gist,
)


def _counted(draws: Draws, scene: Scene, attribute: str) -> str:
    """Return 'exactly two of them red', 'all of them small' or 'exactly one cube'."""
    value, number = draws.choice(sorted(_tally(scene, attribute).items()))
    word = _say(draws, value)
    if attribute == "shape":
        return f"exactly {NUMBERS[number]} {word if number == 1 else _plural(word)}"
    if number == len(scene.objects):
        return f"all of them {word}"
    return f"exactly {NUMBERS[number]} of them {word}"


def _plural(noun: str) -> str:
    return PLURALS.get(noun, noun + "s")


def _say(draws: Draws, word: str) -> str:
    return draws.choice(SYNONYMS.get(word, (word,)))


def _mention(draws: Draws, thing: SceneObject, detail: int = 3) -> Mention:
    """Mention color and shape, and size and material each with probability ``detail`` / 4."""
    said = [value for value in (thing.size, thing.material) if draws.chance(detail, 4)]
    adjectives = tuple(_say(draws, value) for value in (*said, thing.color))
    return Mention(adjectives, _say(draws, thing.shape))


def _listing(draws: Draws, things: Sequence[SceneObject]) -> str:
    """Return 'a red cube, a blue ball and two cones'; things that look alike are counted."""
    looks = Counter(thing.look for thing in things)
    examples = {thing.look: thing for thing in things}
    phrases = [_mention(draws, examples[look]).text(number) for look, number in looks.items()]
    head, last = phrases[:-1], phrases[-1]
    return f"{', '.join(head)} and {last}" if head else last


def _absence(draws: Draws, scene: Scene) -> str:
    """Return a phrase naming a color, shape or material that the scene lacks."""
    attribute, options = draws.choice(
        (("color", COLORS), ("shape", SHAPES), ("material", MATERIALS))
    )
    present = _tally(scene, attribute)
    absent = [value for value in options if value not in present]
    if not absent:
        return f"with {NUMBERS[len(scene.objects)]} things in total"
    word = _say(draws, draws.choice(absent))
    if attribute == "shape":
        return f"but no {word}"
    return f"but nothing {word}"


def _tally(scene: Scene, attribute: str) -> Counter[str]:
    return Counter(getattr(thing, attribute) for thing in scene.objects)
