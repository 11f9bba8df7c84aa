"""Sentences to be read aloud: they can be spelled, and nothing of the books' frames is among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("scipy", reason="the recipe needs scipy")

from benchmarks.reference import corpora, english, layout, speak_english, voices  # noqa: E402

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

    chosen = speak_english.shuffle([f"sentence {'abcdefghij' * (1 + one)} spoken aloud" for one in range(40)])
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


def test_pitch_moves_about_its_mean() -> None:
    pitch_hz = np.array([0, 100, 200, 400, 0], np.float32)
    assert np.allclose(voices.move_pitch(pitch_hz, 1.0, 1.0), pitch_hz)
    assert np.allclose(voices.move_pitch(pitch_hz, 0.6, 1.0), pitch_hz * 0.6)
    assert np.allclose(voices.move_pitch(pitch_hz, 1.0, 0.0), [0, 200, 200, 200, 0])
    moved = [voices.move_pitch(pitch_hz, factor, 1.0)[1:4] for factor in (0.48, 1.35)]
    assert (moved[0].min(), moved[1].max()) == voices.HIBARI_PITCH_HZ
    unvoiced = np.zeros(4, np.float32)
    assert np.array_equal(voices.move_pitch(unvoiced, 0.5, 1.0), unvoiced)


def test_bins_are_stretched_and_stay_in_place_at_one() -> None:
    spectra = np.random.default_rng(0).normal(size=(65, 7)).astype(np.float32)
    assert np.array_equal(voices.warp_bins(spectra, 1.0), spectra)
    ramp = np.repeat(np.arange(65, dtype=np.float32)[:, None], 3, axis=1)
    assert np.allclose(voices.warp_bins(ramp, 1.25)[:, 0], np.arange(65) / 1.25, atol=1e-4)
    assert np.allclose(voices.warp_bins(ramp, 0.8)[:, 0], np.minimum(np.arange(65) / 0.8, 64), atol=1e-4)


@pytest.mark.skipif(not TEXT.exists(), reason="needs ../shared/speech")
def test_no_sentence_spoken_is_held_out() -> None:
    held_out = corpora.HeldOutTexts.read(TEXT.parent)
    spoken = [*speak_english.book_sentences(TEXT.parent), *speak_english.taught_sentences(TEXT.parent)]
    assert len(spoken) > 14_000
    assert not any(one in held_out for one in spoken)


def test_every_round_has_keys_of_its_own() -> None:
    texts = ["a", "b", "c"]
    shuffled = speak_english.shuffle(texts, 3)
    assert len({key for key, _ in shuffled}) == 9
    assert all(sorted(text for _, text in shuffled[at : at + 3]) == texts for at in (0, 3, 6))
    assert speak_english.shuffle(texts) == shuffled[:3]


def test_a_sentence_keeps_its_key_when_others_change() -> None:
    before, after = (dict(map(reversed, speak_english.shuffle(texts))) for texts in ("abc", "bxcd"))
    assert (before["b"], before["c"]) == (after["b"], after["c"])
