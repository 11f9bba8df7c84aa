"""``sewd bench --serve``; no test asserts a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sewd_runtime.bench import callers
from sewd_runtime.cli import main


def test_every_way_to_share_the_cores_is_measured(
    tiny_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "CLIP_SECONDS", (0.5, 1.0))
    monkeypatch.setattr(callers, "available_cores", lambda: 4)
    arguments = ["bench", str(tiny_bundle), "--serve", "--threads", "1,2", "--rounds", "1"]
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    ways = [(case["workers"], case["threads"], case["seconds"]) for case in document["callers"]]
    assert ways == [(4, 1, 0.5), (4, 1, 1.0), (2, 2, 0.5), (2, 2, 1.0)]
    assert all(case["audio_per_s"] > 0 for case in document["callers"])
    assert main(arguments) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[-1].startswith("best: sewd serve --workers ")


def test_the_best_way_is_the_fastest_over_all_lengths() -> None:
    speeds = {(2, 1): (100.0, 90.0), (1, 2): (120.0, 60.0)}
    cases = [
        {"workers": workers, "threads": threads, "audio_per_s": speed}
        for (workers, threads), row in speeds.items()
        for speed in row
    ]
    assert callers._best(cases) == {"workers": 2, "threads": 1}


def test_it_draws_no_plot(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--serve", "-o", str(tmp_path / "plot.png")])
