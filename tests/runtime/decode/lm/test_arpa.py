"""Law: a broken ARPA file is refused with its line, before KenLM, which may crash, sees it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from sewd_runtime.decode.lm.arpa import check_arpa, write_arpa
from sewd_runtime.decode.lm.kneser_ney import estimate
from sewd_runtime.errors import LanguageModelError

TEXT = [["one", "two", "three"], ["two", "one"], ["three", "one", "two"]]


@pytest.fixture(scope="module")
def arpa(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("arpa") / "lm.arpa"
    write_arpa(estimate(TEXT, order=3), path)
    return path.read_bytes()


def check(content: bytes) -> None:
    check_arpa(content.splitlines(keepends=True), "lm.arpa")


def test_what_is_written_passes(arpa: bytes) -> None:
    check(arpa)
    check(arpa.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"\\data\\", b"one two", "not an ARPA file, which begins with"),
        (b"ngram 2=", b"ngram 2=-", r"line 3: 'ngram 2='"),
        (b"ngram 2=", b"ngram 2=9", r"no 2-gram, and the header counts 9\d+ of them"),
        (b"ngram 2=", b"ngram 3=", r"line 3: 'ngram 2='"),
        (b"ngram 1=6", b"ngram 1=5", r"line 12: \\2-grams: must follow here"),
        (b"\\2-grams:", b"\\3-grams:", r"\\2-grams: must follow here"),
        (b"\\end\\", b"", r"the end of the file: \\end\\ must follow here"),
        (b"\tone two", b"\tone\0two", "no 2-gram"),
        (b"\tone two three\n", b"\tone two\n", "no 3-gram"),
        (b"\tone two", b"\tone two three four", "no 2-gram"),
        (b"-99.0000000\t<s>", b"nan\t<s>", "no 1-gram"),
        (b"-99.0000000\t<s>", b"x\t<s>", "no 1-gram"),
    ],
)
def test_a_fault_is_named_with_its_line(arpa: bytes, old: bytes, new: bytes, message: str) -> None:
    assert old in arpa
    with pytest.raises(LanguageModelError, match=rf"lm\.arpa: .*{message}"):
        check(arpa.replace(old, new, 1))


def test_no_part_of_a_file_is_taken_for_all_of_it(arpa: bytes) -> None:
    for length in range(len(arpa.rstrip())):
        with pytest.raises(LanguageModelError):
            check(arpa[:length])


@pytest.mark.parametrize("seed", range(20))
def test_damage_ends_in_the_named_error_or_in_a_model(arpa: bytes, seed: int, tmp_path: Path) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    from sewd_runtime.decode.lm.model import KenlmModel

    rng = random.Random(seed)
    content = bytearray(arpa)
    for _ in range(rng.randint(1, 3)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    (tmp_path / "lm.arpa").write_bytes(content)
    try:
        lm = KenlmModel(tmp_path / "lm.arpa")
    except LanguageModelError:
        return
    lm.score(lm.start(), "one")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_that_was_cut_is_refused(
    arpa: bytes, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    from sewd_runtime.decode.lm.model import KenlmModel

    packed = compress(arpa)
    for content in (packed[: len(packed) // 2], packed[:10] + bytes(20) + packed[30:]):
        (tmp_path / "lm.arpa.z").write_bytes(content)
        with pytest.raises(LanguageModelError, match=r"lm\.arpa\.z: "):
            KenlmModel(tmp_path / "lm.arpa.z")
