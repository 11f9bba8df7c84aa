import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.audio.loudness import FLOOR_DB, Levels, LevelTracker

levels = st.lists(st.floats(-80, 0), min_size=1, max_size=60)


@given(levels, st.integers(1, 20), st.integers(1, 20))
def test_the_tracker_measures_the_percentiles_of_the_newest(
    frames_db: list[float], quiet_frames: int, loud_frames: int
) -> None:
    tracker = LevelTracker(quiet_frames=quiet_frames, loud_frames=loud_frames)
    loudest_db = FLOOR_DB
    for end, frame_db in enumerate(frames_db, start=1):
        tracker.extend([frame_db])
        heard = np.array(frames_db[:end])
        loudest_db = max(loudest_db, Levels.of(heard[-loud_frames:]).loud_db)
        measured = tracker.measure()
        assert measured.quiet_db == pytest.approx(Levels.of(heard[-quiet_frames:]).quiet_db, abs=1e-9)
        assert measured.loud_db == pytest.approx(loudest_db, abs=1e-9)
