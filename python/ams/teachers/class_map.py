"""From a teacher's classes to the student's."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from ..errors import InvalidArgumentError
from .class_names import class_names

IGNORED = 255
"""The class id of pixels that nothing is learned from."""

# Words of different data sets for one thing.
_SYNONYMS = (
    ("airplane", "aeroplane", "plane"),
    ("bicycle", "bike"),
    ("bicyclist", "cyclist"),
    ("couch", "sofa"),
    ("motorcycle", "motorbike", "minibike"),
    ("person", "pedestrian", "human", "people"),
    ("sidewalk", "pavement"),
    ("traffic sign", "sign symbol"),
    ("tv", "television", "television receiver", "tv monitor"),
)


@dataclass(frozen=True)
class ClassMap:
    """Gives each class of a teacher its id among the student's. Immutable; made by class_map().

    source, target: names of the teacher's and the student's classes, by id. table: uint8, one
    target id for each source id; 255 for classes that the student does not know.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    table: np.ndarray = field(repr=False, compare=False)

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """Source ids, integers of any shape, to target ids, uint8 of that shape. 255 stays.

        Raises ams.InvalidArgumentError for an id that the source does not have.
        """
        ids = np.asarray(ids)
        unknown = (ids != IGNORED) & ((ids < 0) | (ids >= len(self.source)))
        if unknown.any():
            raise InvalidArgumentError(
                f"the teacher gave class {int(ids[unknown][0])}; its class map has "
                f"{len(self.source)} classes, {self.source[0]!r} to {self.source[-1]!r}: "
                "is it the map of another teacher?"
            )
        table = np.full(max(IGNORED + 1, len(self.source)), IGNORED, np.uint8)
        table[: len(self.source)] = self.table
        return table[ids]

    def __str__(self) -> str:
        """Which source classes become which target class, a line each."""
        lines = []
        for number, name in enumerate(self.target):
            own = [self.source[i] for i in np.flatnonzero(self.table == number)]
            lines.append(f"{number} {name}: {', '.join(own) or 'never'}")
        return "\n".join(lines)


def class_map(
    source: str | Sequence[str],
    target: str | Sequence[str],
    *,
    also: Mapping[str, str | Iterable[str]] | None = None,
    allow_missing: bool = False,
) -> ClassMap:
    """Maps a teacher's classes to the student's by their names.

        class_map("cityscapes", ["road", "person", "car"], also={"car": ["truck", "bus"]})

    source, target: the name of a list that class_names() knows, or names by id; at most 255 of the
        target. Upper case, spaces, hyphens and underscores make no difference. Words of several
        data sets for one thing are one: person and pedestrian, sidewalk and pavement.
    also: for names of the target, further source classes that become it.
    allow_missing: target classes that the source does not have are never labelled; otherwise they
        are an error.

    Source classes that no target class names are ignored (255). Raises ams.InvalidArgumentError
    for unknown names, which names near ones.
    """
    source_names, target_names = _names(source, "source"), _names(target, "target")
    table = np.full(len(source_names), IGNORED, np.uint8)
    missing = dict(enumerate(target_names))
    for key in (_plain, _key):  # what has the very name comes first
        for number, name in list(missing.items()):
            own = [i for i in _same(name, source_names, key) if table[i] == IGNORED]
            table[own] = number
            if own:
                del missing[number]
    for name, further in (also or {}).items():
        number = _indices(name, target_names, "target")[0]
        for each in [further] if isinstance(further, str) else further:
            table[_indices(each, source_names, "source")] = number
        missing.pop(number, None)
    if missing and not allow_missing:
        _refuse(list(missing.values()), source_names, "source", advice=_ADVICE)
    table.flags.writeable = False
    return ClassMap(source_names, target_names, table)


def _names(names: str | Sequence[str], role: str) -> tuple[str, ...]:
    if isinstance(names, str):
        return class_names(names)
    names = tuple(names)
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidArgumentError(
            f"{role} is {names!r:.100}; allowed is the name of a list, or one name or more"
        )
    if role == "target" and len(names) > IGNORED:
        raise InvalidArgumentError(f"target has {len(names)} classes; allowed are {IGNORED}")
    return names


def _same(name: str, names: Sequence[str], key: Callable[[str], str]) -> list[int]:
    return [i for i, each in enumerate(names) if key(each) == key(name)]


def _indices(name: str, names: Sequence[str], role: str) -> list[int]:
    found = _same(name, names, _plain) or _same(name, names, _key)
    if not found:
        _refuse([name], names, role)
    return found


_ADVICE = (
    "; name source classes of it with also={...}, or pass allow_missing=True where the teacher "
    "never labels it"
)


def _refuse(unknown: Sequence[str], names: Sequence[str], role: str, advice: str = "") -> NoReturn:
    """Names classes that resemble the first one, or else some of all."""
    plain = _plain(unknown[0])
    near = difflib.get_close_matches(plain, [_plain(name) for name in names], n=3, cutoff=0.6)
    hints = [name for name in names if _plain(name) in near or plain in _plain(name)]
    count = len(names) - 20
    if hints:
        hint = f"near it are {', '.join(map(repr, hints[:5]))}"
    else:
        hint = f"there are {', '.join(names[:20])}" + (f" and {count} more" if count > 0 else "")
    raise InvalidArgumentError(
        f"no {role} class is called {' or '.join(map(repr, unknown))}: {hint}{advice}"
    )


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


_FIRST_WORD = {_plain(word): _plain(words[0]) for words in _SYNONYMS for word in words}


def _key(name: str) -> str:
    """Equal for words of one thing."""
    plain = _plain(name)
    return _FIRST_WORD.get(plain, plain)
