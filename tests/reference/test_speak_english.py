"""Sentences to be read aloud: they can be spelled, and nothing of the books' frames is among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("scipy", reason="the recipe needs scipy")

from benchmarks.reference import english, layout, speak_english, voices  # noqa: E402

TEXT = ROOT / "../shared/speech/text"
BOOK = """An eBook.

*** START OF THIS PROJECT GUTENBERG EBOOK ***

CHAPTER ONE IN CAPITAL LETTERS HERE

"I saw Mr. Holmes
at five," said she. "He--as _ever_--was late!" It was 1895 when that happened. No.
Dr. Watson's friend came home.

*** END OF THIS PROJECT GUTENBERG EBOOK ***

The licence must never be read aloud.
"""


def test_sentences_are_whole_and_can_be_spelled(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text(BOOK, encoding="utf-8")
    assert [layout.spellable(one) for one in speak_english.sentences(english.read_book(path))] == [
        "I SAW MISTER HOLMES AT FIVE SAID SHE",
        "HE AS EVER WAS LATE",
        "DOCTOR WATSON'S FRIEND CAME HOME",
    ]


@pytest.mark.skipif(not TEXT.exists(), reason="needs ../shared/speech")
def test_real_books_give_thousands_of_sentences() -> None:
    for path in sorted(TEXT.glob("gutenberg_*.txt")):
        found = list(speak_english.sentences(english.read_book(path)))
        assert len(found) > 3000
        assert not any("TRADEMARK" in layout.spellable(one) for one in found)
        assert all(4 <= len(layout.spellable(one).split()) <= 30 for one in found)


def test_speaking_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A second run speaks only what is missing, and both write the same list."""
    spoken: list[str] = []

    def speak(sentence: str, rng: np.random.Generator) -> np.ndarray:
        spoken.append(sentence)
        return rng.normal(size=16_000 + 7 * len(sentence)).astype(np.float32)

    chosen = [(number, f"sentence {'abcdefghij' * (number + 1)} spoken aloud") for number in range(40)]
    rows = speak_english.speak_until(speak, "made", chosen, 20 / 3600, tmp_path, 2)
    assert [text for _, text in rows] == [one.upper() for _, one in chosen[: len(rows)]]
    durations = [soundfile.info(tmp_path / f"{name}.flac").duration for name, _ in rows]
    assert 20 <= sum(durations) < 20 + 16 * 1.2
    (tmp_path / f"{rows[3][0]}.flac").unlink()
    spoken.clear()
    assert speak_english.speak_until(speak, "made", chosen, 20 / 3600, tmp_path, 2) == rows
    assert spoken == [chosen[3][1]]


def test_phonemes_keep_the_punctuation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stretch between marks is asked for alone, as kokoro-js does it."""

    def answer(command: list[str], **_: object) -> object:
        class Found:
            stdout = f" {command[-1].strip()[::-1]}\n"

        return Found()

    monkeypatch.setattr(voices.subprocess, "run", answer)
    assert voices.phonemes("abc, def: ghi.", "en-us") == "cba, fed: ihg."
