"""Laws of endpoints: nothing loud is outside a segment, and a pause ends a segment at any level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime.audio.loudness import frame_levels
from sewd_runtime.streaming.endpointing import Endpointer

PAUSE, MARGIN = 25, 12
LOUD_DB, QUIET_DB = -20.0, -60.0

# (frames of speech, frames of silence after it)
talks = st.lists(st.tuples(st.integers(1, 200), st.integers(0, 200)), min_size=1, max_size=6)


def frames_of(talk: Sequence[tuple[int, int]]) -> list[float]:
    return [level for loud, quiet in talk for level in [LOUD_DB] * loud + [QUIET_DB] * quiet]


def segments(levels_db: Sequence[float]) -> list[tuple[int, int]]:
    """Return begin and end of each segment with speech; the last may still be open."""
    endpointer = Endpointer(pause=PAUSE, margin=MARGIN, frame_s=0.02)
    found, begin = [], 0
    for level in levels_db:
        heard = endpointer.heard_speech
        for turn in endpointer.advance(level):
            if turn.begins:
                begin = turn.frame
            elif heard:
                found.append((begin, turn.frame))
    if endpointer.in_speech and endpointer.heard_speech:
        found.append((begin, len(levels_db)))
    return found


@settings(deadline=None)
@given(talk=talks)
def test_segments_are_in_order_and_contain_everything_loud(talk: list[tuple[int, int]]) -> None:
    # The first pause gives the quiet level; without it the first loud frames could be background noise.
    levels = [QUIET_DB] * 50 + frames_of(talk)
    found = segments(levels)
    inside = np.zeros(len(levels), bool)
    end = 0
    for segment in found:
        assert segment[0] >= end
        end = segment[1]
        inside[slice(*segment)] = True
    assert inside[np.array(levels) == LOUD_DB].all()


@settings(deadline=None)
@given(talk=talks, gain_db=st.floats(-10, 10))
def test_the_level_of_a_recording_never_matters(talk: list[tuple[int, int]], gain_db: float) -> None:
    levels = frames_of(talk)
    assert segments([level + gain_db for level in levels]) == segments(levels)


@pytest.mark.parametrize(("pause", "parts"), [(PAUSE - 1, 1), (PAUSE, 2), (300, 2)])
def test_a_whole_pause_splits_and_its_margins_are_kept(pause: int, parts: int) -> None:
    found = segments(frames_of([(100, pause), (100, 60)]))
    assert len(found) == parts
    if parts == 2:
        assert found == [(0, 100 + MARGIN), (100 + pause - MARGIN, 200 + pause + MARGIN)]


def test_noise_before_the_first_word_is_not_in_its_segment() -> None:
    begin, _ = segments(frames_of([(0, 500), (100, 60)]))[-1]
    assert 500 - MARGIN <= begin <= 500


def test_digital_silence_is_not_speech_but_steady_sound_is() -> None:
    assert segments([-80.0] * 500) == []
    assert segments([LOUD_DB] * 500) == [(0, 500)]


def test_levels_are_the_power_of_frames_with_the_last_padded() -> None:
    samples = np.concatenate([np.full(10, 0.1), np.zeros(10), np.ones(9)]).astype(np.float32)
    np.testing.assert_allclose(frame_levels(samples, 10), [-20, -80, 10 * np.log10(0.9)], atol=1e-4)
