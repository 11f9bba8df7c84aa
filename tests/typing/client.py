"""A program of someone who has installed the wheel: type checkers must accept it, and it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

import sewd_runtime as sewd


def say(words: tuple[sewd.Word, ...]) -> str:
    return " ".join(f"{word.text} {word.start_s:.2f} {word.confidence:.2f}" for word in words)


def committed(recognizer: sewd.Recognizer, path: str) -> Iterator[str]:
    stream: sewd.Stream = recognizer.stream(streaming=sewd.Streaming(chunk_s=0.5))
    samples = sewd.read_audio(path, target_rate_hz=recognizer.manifest.sample_rate_hz)
    for block in np.array_split(samples, 10):
        yield from (word.text for word in stream.feed(block).committed)
    yield from (word.text for word in stream.finish().committed)


def main(path: str) -> None:
    recognizer = sewd.Recognizer.load(threads=1)
    transcript: sewd.Transcript = recognizer.transcribe(path, characters=True)
    print(transcript.text, say(transcript.words), transcript.words[0].characters[0].text)
    beam = sewd.BeamSearch(width=8, hotwords={"seven": 3.0}, alternatives=2)
    [segment] = recognizer.transcribe(path, decoder=beam).segments
    print([reading.score for reading in segment.alternatives])
    print(" ".join(committed(recognizer, path)))
    done: sewd.Place | None = None
    for step in recognizer.steps(path, segmentation=sewd.Segmentation(whole_s=0.0)):
        done = step.done
    print(done, sewd.as_srt(recognizer.align(path, transcript.text), sewd.CueLimits(lines=1)))
    spotter = sewd.Classifier.load(threads=1)
    label: str = spotter.classify(path).label
    windows: list[sewd.ClassifiedWindow] = list(spotter.classify_windows(path, every_s=0.5))
    print(label, windows[-1].end_s)
    try:
        sewd.Classifier.load("digits")
    except sewd.TaskError as error:
        print(error)


if __name__ == "__main__":
    main(sys.argv[1])
