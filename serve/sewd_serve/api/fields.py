"""The fields of a form as values; a field that cannot be read is an InvalidRequestError that names it."""

from collections.abc import Collection

from sewd_serve.errors import InvalidRequestError
from sewd_serve.uploads import Form
from sewd_serve.worker.messages import Decode

KEYWORD_BONUS = 8.0
"""The bonus of a hotword that has none of its own, as OpenAI's keywords: strong."""

MAX_HOTWORDS = 1000
MAX_BEAM_WIDTH = 512


def read_choice(form: Form, name: str, choices: Collection[str], *, default: str) -> str:
    """Return a field that has one of some values."""
    value = form.get(name) or default
    if value not in choices:
        raise InvalidRequestError(
            f"{name} must be one of {', '.join(choices)}, not {value[:60]!r}", param=name
        )
    return value


def read_choices(form: Form, name: str, choices: Collection[str]) -> tuple[str, ...]:
    """Return a field that has some of some values."""
    for value in form.all(name):
        if value not in choices:
            raise InvalidRequestError(
                f"{name} must be among {', '.join(choices)}, not {value[:60]!r}", param=name
            )
    return tuple(form.all(name))


def read_flag(form: Form, name: str) -> bool:
    """Return a field that is true or false, false if it is absent."""
    value = (form.get(name) or "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise InvalidRequestError(f"{name} must be true or false, not {value[:60]!r}", param=name)
    return value in ("true", "1")


def read_count(form: Form, name: str, *, most: int) -> int | None:
    """Return a field that is a whole number of 1 to ``most``, None if it is absent."""
    value = form.get(name)
    if value is None:
        return None
    if not value.isdecimal() or len(value) > 9 or not 1 <= int(value) <= most:
        raise InvalidRequestError(
            f"{name} must be a whole number of 1 to {most}, not {value[:60]!r}", param=name
        )
    return int(value)


def check_temperature(form: Form) -> None:
    """Raise for a temperature that OpenAI would not take; any other changes nothing here."""
    value = form.get("temperature") or "0"
    try:
        is_right = 0 <= float(value) <= 1
    except ValueError:
        is_right = False
    if not is_right:
        raise InvalidRequestError(
            f"temperature must be a number of 0 to 1, not {value[:60]!r}", param="temperature"
        )


def check_language(value: str | None, of_model: str | None) -> str | None:
    """Return the language of an answer; raise if another than the model's is asked for."""
    if value is not None and of_model is not None and value.split("-")[0].lower() != of_model:
        raise InvalidRequestError(f"the model's language is {of_model}, not {value[:60]!r}", param="language")
    return of_model or value


def refuse_unknown(form: Form, extensions: Collection[str]) -> None:
    """Raise for a field that begins as our extensions do and is none: a slip that would do nothing."""
    for name in form.fields:
        if name.startswith("sewd_") and name.removesuffix("[]") not in extensions:
            raise InvalidRequestError(
                f"there is no field {name[:60]!r}; there are {', '.join(extensions)}", param=name[:60]
            )


def read_decode(form: Form) -> Decode:
    """Return how a recording is decoded: OpenAI's keywords, and fields of ours."""
    lines = [line for value in form.all("sewd_hotwords") for line in value.splitlines() if line.strip()]
    decoder = form.get("sewd_decoder") and read_choice(
        form, "sewd_decoder", ("greedy", "beam"), default="greedy"
    )
    width = read_count(form, "sewd_beam_width", most=MAX_BEAM_WIDTH)
    hotwords = parse_hotwords([*lines, *form.all("keywords")], param="sewd_hotwords")
    if decoder == "greedy" and (hotwords or width is not None):
        raise InvalidRequestError("hotwords and a beam width need sewd_decoder=beam", param="sewd_decoder")
    return Decode(decoder=decoder or None, beam_width=width, hotwords=hotwords)


def parse_hotwords(lines: Collection[str], *, param: str) -> tuple[tuple[str, float], ...]:
    """Read hotwords, each ``TEXT=BONUS`` or ``TEXT``."""
    if len(lines) > MAX_HOTWORDS:
        raise InvalidRequestError(f"{len(lines)} hotwords are more than {MAX_HOTWORDS}", param=param)
    return tuple(_parse_hotword(line, param) for line in lines)


def _parse_hotword(line: str, param: str) -> tuple[str, float]:
    text, equals, bonus = line.rpartition("=")
    try:
        return (text.strip(), float(bonus)) if equals else (line.strip(), KEYWORD_BONUS)
    except ValueError:
        raise InvalidRequestError(f"{line[:60]!r} is not TEXT=BONUS, such as Aachen=8", param=param) from None
