"""URL KEY RECORDING SECONDS: the error that a transcription raises, within some seconds of trying."""

import json
import sys
import time
from pathlib import Path

import openai

url, key, path, seconds = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
deadline = time.monotonic() + float(seconds)
found = None
while found is None:
    try:
        with Path(path).open("rb") as file:
            client.audio.transcriptions.create(file=file, model="digits")
    except openai.APIStatusError as error:
        found = type(error).__name__, error.status_code, error.code
    assert found or time.monotonic() < deadline, "every request was answered"
print(json.dumps(found))
