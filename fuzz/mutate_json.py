"""Mutations of JSON: values of other types, sizes and depths; keys missing, unknown or repeated."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz.mutants import mutate_bytes

_VALUES = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "2",
        "7",
        "100",
        "16000",
        "44100",
        "2147483648",
        "1000000000000",
    ),
    *("18446744073709551616", "-9223372036854775809", "1" + "0" * 30, "1" + "0" * 400, "-1" + "0" * 5_000),
    *("0.5", "1.5", "-0.0", "1e308", "1e-320", "1e999", "NaN", "Infinity", "-Infinity"),
    *(
        '""',
        '" "',
        '"a"',
        '"|"',
        '"<pad>"',
        '"%s"',
        '"\\n"',
        '"\\u0000"',
        '"\\ud800"',
        '"\\u202e"',
        '"\\u001b[31mX"',
    ),
    *(
        '"../x"',
        '"/etc/passwd"',
        '"C:x"',
        '"a\\\\b"',
        '"."',
        '".."',
        '"bundle.json"',
        '"BUNDLE.JSON"',
        '"vocab.json"',
    ),
    *(
        '"model.fp32.onnx"',
        '"golden.npz"',
        '"ctc"',
        '"encoding"',
        '"classification"',
        '"sew-d"',
        '"gelu"',
        '"layer"',
    ),
    *('"%s"' % ("x" * size) for size in (300, 5_000)),
    *("[]", "{}", "[[]]", "[null]", "[1,2,3]", '["com.evil"]', '{"a":1}', "[0,0]", "[-1]", "[1000000]"),
    *("[" * depth + "]" * depth for depth in (50, 980, 5_000, 100_000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (400, 2_000)),
)
_KEYS = (
    "",
    "x",
    "é",
    "a" * 400,
    "\0",
    "\ud800",
    "../x",
    "/etc/passwd",
    "a\\b",
    "__class__",
    "engines",
    "auto_map",
)
_HOLE = "@a hole for raw text@"
_TWIN = "@again@"
"""After a key that a dict has already; left out of the text, so that the key is there twice."""


def mutate_json(random: Random, document: Any) -> tuple[bytes, str]:
    """Return the text of a changed copy of a document, and what was changed."""
    if random.random() < 0.15:
        return mutate_bytes(random, json.dumps(document).encode())
    if random.random() < 0.05:
        encoding = random.choice(("utf-16", "utf-8-sig", "utf-32"))
        return json.dumps(document).encode(encoding), encoding
    document, notes, values = copy.deepcopy(document), [], []
    for _ in range(random.choice((1, 1, 1, 1, 2, 3))):
        path = random.choice(list(_paths(document)))
        if not path:
            return random.choice(_VALUES).encode(), "the whole document"
        holder = _at(document, path[:-1])
        change = random.choice(("replace", "replace", "replace", "delete", "add", "rename", "repeat", "swap"))
        notes.append(f"{change} {'.'.join(map(str, path))}"[:100])
        if change == "replace" or not isinstance(holder, dict):
            holder[path[-1]] = _HOLE
            values.append(random.choice(_VALUES))
        else:
            _change_key(random, document, holder, path[-1], change)
    text = json.dumps(document).replace(_TWIN, "")
    for value in values:
        text = text.replace(json.dumps(_HOLE), value, 1)
    return text.encode(), "; ".join(notes)


def _change_key(random: Random, document: Any, holder: dict[str, Any], key: str, change: str) -> None:
    if change == "delete":
        del holder[key]
    elif change == "add":
        holder[random.choice(_KEYS)] = random.choice((None, 1, "x", {}))
    elif change == "rename":
        holder[random.choice((key.upper(), key.title(), key + " ", *_KEYS))] = holder.pop(key)
    elif change == "repeat":
        holder[key + _TWIN] = holder[key]
    else:
        other = random.choice(list(_paths(document)))
        holder[key] = copy.deepcopy(_at(document, other))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(inner, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value
