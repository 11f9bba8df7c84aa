"""Strict JSON to frozen dataclasses: no unknown key, no missing key, no conversion."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, TypeAlias, Union, get_args, get_origin, get_type_hints

from sewd_runtime.errors import BundleError, ManifestKeyError, ManifestTypeError
from sewd_runtime.system.terminal import has_controls

_NAMES: Mapping[Any, str] = {
    str: "a string",
    int: "an integer of up to 64 bits",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
    list: "an array",
    dict: "an object",
}

_LARGEST = {int: (1 << 64) - 1, float: sys.float_info.max}
"""JSON has no limits of its own."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on a value beyond its type, for use in ``Annotated``."""

    must: str
    holds: Callable[[Any], bool]
    error: type[BundleError] = ManifestTypeError


def one_of(names: Iterable[str]) -> Rule:
    """Return the rule that a string is one of these."""
    allowed = tuple(names)
    return Rule(must=f"one of {', '.join(allowed)}", holds=lambda value: value in allowed)


def at_most(limit: int) -> Rule:
    """Return the rule that a number is not above a limit."""
    return Rule(must=f"at most {limit}", holds=lambda value: value <= limit)


Positive: TypeAlias = Annotated[int, Rule(must="> 0", holds=lambda value: value > 0)]
Count: TypeAlias = Annotated[int, Rule(must=">= 0", holds=lambda value: value >= 0)]
Amount: TypeAlias = Annotated[float, Rule(must=">= 0", holds=lambda value: value >= 0)]
Share: TypeAlias = Annotated[float, Rule(must="in [0, 1]", holds=lambda value: 0 <= value <= 1)]


def parse_json(text: str, *, where: str) -> Any:
    """Parse JSON; refuses NaN, infinities and repeated keys. Raises ManifestTypeError or ManifestKeyError."""

    def refuse_constant(name: str) -> NoReturn:
        raise ManifestTypeError(f"{where}: {name} is not JSON")

    def refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
            raise ManifestKeyError(f"{where}: the key {_show(repeated)} appears twice in one object")
        return content

    try:
        return json.loads(text, parse_constant=refuse_constant, object_pairs_hook=refuse_repeats)
    except BundleError:
        raise
    except (ValueError, RecursionError) as error:
        raise ManifestTypeError(f"{where}: not JSON: {error}") from error


def build(kind: Any, value: Any, *, where: str, path: str = "") -> Any:
    """Build a ``kind`` (dataclass, dict, tuple, union with None, plain type, or Annotated) from parsed JSON.

    Raises ManifestKeyError, ManifestTypeError or a Rule's own error, which names the file and the path.
    """
    if is_dataclass(kind):
        return _build_dataclass(kind, value, where, path)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        # A rule for strings says which characters they have.
        check = _expect if arguments[0] is str else build
        built = check(arguments[0], value, where=where, path=path)
        for rule in arguments[1:]:
            if not rule.holds(built):
                raise rule.error(f"{where}: {path} must be {rule.must}, got {_show(value)}")
        return built
    if origin in (Union, UnionType):
        inner = next(argument for argument in arguments if argument is not NoneType)
        return None if value is None else build(inner, value, where=where, path=path)
    if origin is dict:
        return {
            build(arguments[0], key, where=where, path=_join(path, key)): build(
                arguments[1], item, where=where, path=_join(path, key)
            )
            for key, item in _expect(dict, value, where, path).items()
        }
    if origin is tuple:
        items = enumerate(_expect(list, value, where, path))
        return tuple(build(arguments[0], item, where=where, path=f"{path}[{index}]") for index, item in items)
    if _expect(kind, value, where, path) is value and kind is str and has_controls(value):
        raise ManifestTypeError(f"{where}: {path} has control characters or half a surrogate: {_show(value)}")
    return value


def _build_dataclass(kind: Any, value: Any, where: str, path: str) -> Any:
    content = _expect(dict, value, where, path)
    hints = get_type_hints(kind, include_extras=True)
    for key in content:
        if key not in hints:
            raise ManifestKeyError(f"{where}: {_join(path, key)} is not a key of this format")
    for key in hints:
        if key not in content:
            raise ManifestKeyError(f"{where}: {_join(path, key)} is missing")
    return kind(
        **{key: build(hint, content[key], where=where, path=_join(path, key)) for key, hint in hints.items()}
    )


def _expect(kind: Any, value: Any, where: str, path: str) -> Any:
    # `type(value) is`, not isinstance: True is an int in Python, not in JSON.
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits or (kind in _LARGEST and not abs(value) <= _LARGEST[kind]):
        raise ManifestTypeError(f"{where}: {path or 'the top'} must be {_NAMES[kind]}, got {_show(value)}")
    return value


def to_plain(value: Any) -> Any:
    """Turn dataclasses, dicts and tuples into what json writes; dicts are sorted by key."""
    if is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(value[key]) for key in sorted(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def _join(path: str, key: str) -> str:
    shown = key if len(key) <= _LONGEST_SHOWN and not has_controls(key) else _show(key)
    return f"{path}.{shown}" if path else shown


def _show(value: Any) -> str:
    if isinstance(value, list | dict):
        return _NAMES[type(value)]  # it may be too deep or too large to write
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
