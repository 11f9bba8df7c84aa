"""Tables of the results: printed, or with `--write` put into the documents."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.markdown import replace_section, table
from benchmarks.peers import results
from benchmarks.peers.models import COMPARISONS
from benchmarks.results import RESULTS, ROOT

SPEED, ACCURACY, CLAIM, LARGER = "tiny", "digits", "wav2vec2", "mid"
"""The comparisons in the documents: speed, transcripts, the paper's claim, a larger model."""
CLIP_S = 10.0
TIMES = "\N{MULTIPLICATION SIGN}"
MIN_TRANSCRIPTS_EQUAL = 0.97
MAX_WER_INCREASE = 0.001
"""What is called accurate, on the trained model."""

Results = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def row_of(content: Results, variant: str) -> Mapping[str, Any]:
    """Return a variant's row; empty where it was not in the run."""
    return results.find(content["variants"], name=variant) or {}


def is_accurate(accuracy: Results, variant: str) -> bool:
    """Return whether a variant's transcripts on the trained model are as good as float32's."""
    errors = row_of(accuracy, variant).get("errors")
    if not errors or "wer" not in errors:
        return False
    return bool(
        errors["transcripts_equal"] >= MIN_TRANSCRIPTS_EQUAL and errors["wer_increase"] <= MAX_WER_INCREASE
    )


def fastest(speed: Results, accuracy: Results, rows: Rows, *, threads: Sequence[int]) -> str | None:
    """Return the accurate variant with the least geometric mean of its times for CLIP_S, over `threads`."""

    def total(name: str) -> float:
        times = [
            results.find(speed["times"], variant=name, threads=count, clip_s=CLIP_S) for count in threads
        ]
        return float(sum(np.log(time["median_s"]) if time else np.inf for time in times))

    names = [row["name"] for row in rows if "failed" not in row and is_accurate(accuracy, row["name"])]
    return min(names, key=total, default=None)


def _read(folder: Path, comparison: str) -> Results:
    content = results.read(folder, comparison)
    if content is None:
        raise FileNotFoundError(f"{folder}: the documents need the results of {comparison}: make bench")
    return content


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _time(content: Results, variant: str, threads: int, clip_s: float, *, spread: bool) -> str:
    time = results.find(content["times"], variant=variant, threads=threads, clip_s=clip_s)
    if time is None:
        return ""
    ratio = _ratio(content, variant, "transformers", threads, clip_s, spread=spread)
    return f"{time['median_s'] * 1000:.0f} ms" + f", {ratio}" * bool(ratio)


def _ratio(
    content: Results, variant: str, against: str, threads: int, clip_s: float, *, spread: bool = True
) -> str:
    wanted = {"variant": variant, "against": against, "threads": threads, "clip_s": clip_s}
    ratio = results.find(content["ratios"], **wanted)
    if ratio is None:
        return ""
    return _shown(ratio) if spread else f"{ratio['median']:.2f}{TIMES}"


def _shown(ratio: Mapping[str, Any]) -> str:
    return "{median:.2f}{times} ({lower:.2f} to {upper:.2f})".format(times=TIMES, **ratio)


def _errors(content: Results, variant: str) -> list[str]:
    """Return the cells of a trained model: word error rate, share of equal transcripts."""
    errors = row_of(content, variant).get("errors") or {}
    if "wer" not in errors:
        return ["", ""]
    return [f"{errors['wer']:.2%}", f"{errors['transcripts_equal']:.1%}"]


def speed_table(speed: Results, accuracy: Results | None, *, clip_s: float) -> Iterator[str]:
    """Yield the lines of a table: a variant's times and ratios for one clip, and its errors."""
    threads = speed["settings"]["threads"]
    head = ["exported by", "runs in", "precision", *map(_threads, threads), "MB", "relative error of logits"]
    head += ["WER", "same transcripts"] if accuracy is not None else []
    rows = []
    for row in speed["variants"]:
        cells = _row(speed, row, clip_s)
        if "failed" not in row:
            cells += [f"{row['size_bytes'] / 1e6:.1f}", f"{row['errors']['relative_error']:.1e}"]
            cells += [] if accuracy is None else _errors(accuracy, row["name"])
        rows.append(cells)
    yield from table(head, rows)


def _row(speed: Results, row: Mapping[str, Any], clip_s: float, *, spread: bool = True) -> list[str]:
    """Return the first cells of a variant: what it is, and its time with each number of threads."""
    made = f"**{row['made']}**" if row["ours"] else row["made"]
    cells = [made, row["runs"], row["precision"]]
    if "failed" in row:
        return [*cells, f"does not run: {row['failed']}"]
    return [
        *cells,
        *(_time(speed, row["name"], n, clip_s, spread=spread) for n in speed["settings"]["threads"]),
    ]


def clip_tables(speed: Results, accuracy: Results | None) -> Iterator[str]:
    """Yield the lines of a table for each clip, under its length."""
    for clip_s in speed["settings"]["clips_s"]:
        yield f"{clip_s:g} s:\n"
        yield from speed_table(speed, accuracy, clip_s=clip_s)
        yield ""


def claim_lines(claim: Results) -> Iterator[str]:
    """Yield the speed-up of each SEW-D over wav2vec 2.0 base, both run by the same library."""
    clips_s = claim["settings"]["clips_s"]
    for threads in claim["settings"]["threads"]:
        rows = []
        for row in claim["variants"]:
            against = f"wav2vec2-base {row['variant']}"
            if row["name"] != against and "failed" not in row:
                ratios = (_ratio(claim, row["name"], against, threads, clip_s) for clip_s in clips_s)
                rows.append([row["model"], row["runs"], *ratios])
        yield f"{_threads(threads)}:\n"
        yield from table(["", "runs in", *(f"{clip_s:g} s" for clip_s in clips_s)], rows)
        yield ""


def setting_line(content: Results) -> str:
    """Return what a reader must know to judge the figures."""
    machine, settings = content["machine"], content["settings"]
    packages = content["environments"]["main"]
    shown = ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers", "onnxruntime"))
    if "openvino" in content["environments"]:
        shown += f", openvino {content['environments']['openvino']['openvino']}"
    note = f" {content['note']}" if content["note"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instructions'])}); {shown}; "
        f"medians of {settings['rounds']} interleaved rounds, quartiles in brackets.{note}"
    )


def bars(speed: Results, accuracy: Results, *, clip_s: float = CLIP_S) -> Iterator[str]:
    """Yield the comparisons that the project holds itself to: ours against the peer it has to beat."""
    pairs = [("sewd-fp32", "optimum"), ("sewd-int8", "optimum"), ("sewd-int8", "transformers")]
    rows = speed["variants"]
    for threads in speed["settings"]["threads"]:
        ours, peer = (
            fastest(speed, accuracy, [row for row in rows if row["ours"] is own], threads=[threads])
            for own in (True, False)
        )
        yield f"{clip_s:g} s, {_threads(threads)}:"
        for label, name, against in [*(("", *pair) for pair in pairs), ("best accurate ", ours, peer)]:
            place = {"threads": threads, "clip_s": clip_s}
            baseline, time = (results.find(speed["times"], variant=one, **place) for one in (against, name))
            if baseline and time:
                ratio = results.ratios_of(baseline["seconds"], time["seconds"])
                yield f"  {label}{name} against {against}: {_shown(ratio)}"


def readme_section(folder: Path) -> str:
    """Return the README's table: six rows of the comparison."""
    speed, accuracy = _read(folder, SPEED), _read(folder, ACCURACY)
    threads, rows = speed["settings"]["threads"], speed["variants"]
    openvino = [row for row in rows if not row["ours"] and row["engine"] == "openvino"]
    ours = [row for row in rows if row["ours"]]
    best_peer, best = (fastest(speed, accuracy, some, threads=threads) for some in (openvino, ours))
    names = ("transformers", "optimum", best_peer, "sewd-fp32", "sewd-int8", best)
    shown = [row_of(speed, name) for name in dict.fromkeys(names) if name]
    head = ["exported by", "runs in", "precision", *map(_threads, threads), "WER", "same transcripts"]
    cells = ([*_row(speed, row, CLIP_S, spread=False), *_errors(accuracy, row["name"])] for row in shown)
    machine, speech = speed["machine"], accuracy["settings"]["speech"]
    lines = [
        *table(head, cells),
        "",
        f"Median time for {CLIP_S:g} s of speech and speed-up over transformers: {speed['title']}, on "
        f"{machine['processor']}, {machine['cores']} cores. Word error rate",
        f"and share of transcripts equal to float32's: the same variant of {accuracy['title']}, "
        f"{speech['minutes']} minutes of speech. The third row is the fastest peer",
        f"in OpenVINO, the last one the fastest of ours, with at least {MIN_TRANSCRIPTS_EQUAL:.0%} equal "
        f"transcripts and a WER at most {100 * MAX_WER_INCREASE:g} points above float32's.",
    ]
    return "\n".join(lines) + "\n"


def peers_section(folder: Path) -> str:
    """Return the tables of docs/peers.md: all variants of SEW-D tiny and mid, and the paper's claim."""
    speed, accuracy, larger = (_read(folder, name) for name in (SPEED, ACCURACY, LARGER))
    speech = accuracy["settings"]["speech"]
    lines = [
        f"### {speed['title']}",
        "",
        f"Median time for {CLIP_S:g} s of speech and speed-up over transformers, quartiles in brackets. Word "
        f"error rate and share of transcripts equal to float32's: the same variant of {accuracy['title']} on "
        f"{speech['minutes']} minutes ({speech['source']}).",
        "",
        *speed_table(speed, accuracy, clip_s=CLIP_S),
        "",
        setting_line(speed),
        "",
        "### wav2vec 2.0 base",
        "",
        "Speed-up of SEW-D over wav2vec 2.0 base, both run the same way. The paper reports 1.9 times, with a "
        "13.5 % lower word error rate.",
        "",
        *claim_lines(_read(folder, CLAIM)),
        f"### {larger['title']}",
        "",
        "Median time and speed-up over transformers.",
        "",
        *clip_tables(larger, None),
        setting_line(larger),
    ]
    return "\n".join(lines) + "\n"


def write_plots(folder: Path) -> None:
    """Draw both plots beside the results; needs matplotlib."""
    from benchmarks.peers.plots import draw_latency, draw_trade
    from benchmarks.plots import save

    speed, accuracy = _read(folder, SPEED), _read(folder, ACCURACY)
    latency = draw_latency(speed, accuracy, clip_s=CLIP_S, max_wer_increase=MAX_WER_INCREASE)
    save(latency, folder / "peers_latency.svg")
    save(draw_trade(accuracy, clip_s=CLIP_S), folder / "peers_error.svg")


def everything(folder: Path) -> Iterator[str]:
    """Yield every table of every comparison there is."""
    accuracy = results.read(folder, ACCURACY)
    for comparison in COMPARISONS.values():
        content = results.read(folder, comparison.name)
        if content is None:
            continue
        yield f"## {content['title']}\n"
        if comparison.baseline_model:
            yield from claim_lines(content)
            continue
        trained = accuracy if comparison.name == ACCURACY else None
        yield from clip_tables(content, trained)
        if accuracy is not None:
            yield from bars(content, accuracy)
        yield from ("", setting_line(content), "")


DOCUMENTS: Mapping[str, tuple[str, Callable[[Path], str]]] = {
    "README.md": ("results", readme_section),
    "docs/peers.md": ("peers", peers_section),
}
"""Document → the name in its markers, and the text between them."""


def main() -> None:
    """Print the tables, or write those of the documents."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help=f"write {', '.join(DOCUMENTS)} and the plots")
    arguments = parser.parse_args()
    if not arguments.write:
        print("\n".join(everything(arguments.results)))
        return
    for document, (name, section_of) in DOCUMENTS.items():
        path = ROOT / document
        text = replace_section(path.read_text(encoding="utf-8"), name, section_of(arguments.results))
        path.write_text(text, encoding="utf-8")
    write_plots(arguments.results)


if __name__ == "__main__":
    main()
