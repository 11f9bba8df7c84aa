"""URL KEY RECORDING: every format, a stream of events and the models, as the package ``openai`` has them."""

import json
import sys
from pathlib import Path
from typing import Any

import openai

url, key, path = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


def transcribe(**options: Any) -> Any:
    with Path(path).open("rb") as file:
        return client.audio.transcriptions.create(**{"file": file, "model": "digits", **options})


def error_of(**options: Any) -> tuple[Any, ...]:
    try:
        transcribe(**options)
    except openai.APIStatusError as error:
        return type(error).__name__, error.status_code, error.code, error.param
    raise AssertionError(f"{options} was answered")


found: dict[str, Any] = {
    "json": transcribe().text,
    "usage": transcribe().usage.model_dump(),
    **{each: transcribe(response_format=each) for each in ("text", "srt", "vtt")},
    "verbose_json": transcribe(response_format="verbose_json").model_dump(),
    "words": transcribe(response_format="verbose_json", timestamp_granularities=["word"]).model_dump(),
    "both": transcribe(
        response_format="verbose_json", timestamp_granularities=["word", "segment"]
    ).model_dump(),
    "ignored": transcribe(prompt="digits", temperature=0.5, language="en").text,
    "stream": [event.model_dump() for event in transcribe(stream=True)],
    "models": [model.id for model in client.models.list()],
    "model": client.models.retrieve("digits").id,
    "errors": {
        "no audio": error_of(file=("a.wav", b"no audio")),
        "speakers": error_of(response_format="diarized_json"),
        "language": error_of(language="de"),
        "model": error_of(model="whisper-1"),
    },
}
try:
    client.models.retrieve("gpt-4o")
except openai.NotFoundError as error:
    found["errors"]["retrieve"] = type(error).__name__, error.status_code, error.code, error.param
print(json.dumps(found))
