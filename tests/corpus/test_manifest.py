"""Manifests and the shards that they are cut into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.errors import TextError
from sewd_serve.corpus.manifest import Recording, read_recordings
from sewd_serve.corpus.shards import Cut, cut_shards

ROWS = [
    {"id": "a", "path": "a.wav", "reference": "one two", "start": 1.5, "end": 4.0},
    {"id": "b", "path": "b.wav", "duration": 3.5},
    {"id": "c", "path": "s3://bucket/c.flac"},
]
READ = [
    Recording(id="a", path="a.wav", reference="one two", start_s=1.5, end_s=4.0, length_s=2.5),
    Recording(id="b", path="b.wav", length_s=3.5),
    Recording(id="c", path="s3://bucket/c.flac"),
]


def write(folder: Path, kind: str) -> Path:
    path = folder / f"list.{kind}"
    if kind == "parquet":
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(
            arrow.Table.from_pylist(ROWS, arrow.Table.from_pylist([ROWS[0] | ROWS[1]]).schema), path
        )
    elif kind == "tsv":
        columns = ("id", "path", "reference", "start", "end", "duration")
        lines = ["\t".join(columns), *("\t".join(str(row.get(key, "")) for key in columns) for row in ROWS)]
        path.write_text("".join(f"{line}\r\n" for line in lines))
    else:
        path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "tsv", "parquet"])
def test_every_kind_of_manifest_says_the_same(kind: str, tmp_path: Path) -> None:
    assert list(read_recordings(write(tmp_path, kind))) == READ


def test_manifests_of_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "nemo.jsonl"
    path.write_text('{"audio_filepath": "a.wav", "text": "one", "offset": 2.0, "duration": 1.5}\n')
    [recording] = read_recordings(path)
    assert recording == Recording(
        id="a.wav", path="a.wav", reference="one", start_s=2.0, end_s=3.5, length_s=1.5
    )
    path = tmp_path / "transcripts.tsv"
    path.write_text("a.wav\tone two\nb.wav\n")
    assert [(one.path, one.reference) for one in read_recordings(path)] == [
        ("a.wav", "one two"),
        ("b.wav", None),
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nonsense", "not JSON"),
        ("[1]", 'write {"id"'),
        ('{"id": "a"}', "needs a path"),
        ('{"path": "a\\u0000b"}', "not the name of a file"),
        ('{"path": "a", "reference": "\\ud800"}', "line 2: 'utf-8'"),
        ('{"path": "a", "reference": 7}', "reference 7 is not a text"),
        ('{"path": "a", "start": -1}', "start -1 is not a number of seconds"),
        ('{"path": "a", "end": "soon"}', "end 'soon' is not a number"),
        ('{"path": "a", "start": 2, "end": 2}', "ends at 2 s, before it starts"),
        ('{"path": "a", "end": NaN}', "is not a number of seconds"),
    ],
)
def test_a_wrong_row_is_named(line: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(f'{{"path": "first.wav"}}\n{line}\n')
    with pytest.raises(TextError, match=r"list\.jsonl: line 2") as caught:
        list(read_recordings(path))
    assert fault in str(caught.value)


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"a folder; give the list of its recordings, such as a transcripts"):
        list(read_recordings(tmp_path))


@given(st.lists(st.one_of(st.none(), st.floats(0.1, 9000))), st.integers(1, 7), st.floats(0.1, 2))
def test_shards_are_the_recordings_in_order(
    lengths: list[float | None], recordings: int, hours: float
) -> None:
    listed = [Recording(id=str(place), path="a", length_s=each) for place, each in enumerate(lengths)]
    cut = Cut(hours=hours, recordings=recordings)
    shards = list(cut_shards(listed, cut, task="t"))
    assert [one for shard in shards for one in shard.recordings] == listed
    assert all(sum(map(cut.share, shard.recordings[:-1])) < 1 for shard in shards)
    assert all(sum(map(cut.share, shard.recordings)) >= 1 - 1e-6 for shard in shards[:-1])
    names = [shard.name for shard in shards]
    assert len(set(names)) == len(names) and names == sorted(names)
    # What follows changes no shard that is complete, and what a file depends on is in its name.
    more = list(cut_shards([*listed, Recording(id="x", path="a")], cut, task="t"))
    assert [shard.name for shard in more[: len(shards) - 1]] == names[: len(shards) - 1]
    assert not {shard.name for shard in cut_shards(listed, cut, task="u")} & set(names)
