from __future__ import annotations

import dataclasses

import pytest

from sewd_runtime.bundle.manifest import Manifest
from sewd_runtime.errors import PrecisionError, ProviderError
from sewd_runtime.inference.providers import PROVIDERS
from sewd_runtime.inference.variants import DERIVED, default_precision, find_variant, find_variants


@pytest.fixture
def full(manifest: Manifest) -> Manifest:
    """A manifest with a file of every precision."""
    entry = manifest.precisions["fp32"]
    names = ("fp16", "fp32", "int8", "int8-static")
    return dataclasses.replace(
        manifest,
        precisions={name: dataclasses.replace(entry, file=f"model.{name}.onnx") for name in names},
    )


def test_onnxruntime_runs_what_has_a_file(full: Manifest) -> None:
    variants = find_variants(full, "cpu")
    assert list(variants) == list(full.precisions)
    for name, variant in variants.items():
        entry = full.precisions[name]
        assert (variant.entry, variant.tolerance, variant.parity) == (entry, entry.tolerance, entry.parity)
        assert variant.compute == "f32"
        assert str(variant) == f"cpu {name}"


def test_openvino_derives_and_leaves_dynamic_int8(full: Manifest) -> None:
    variants = find_variants(full, "openvino")
    assert set(variants) == set(PROVIDERS["openvino"].precisions or ())
    with pytest.raises(PrecisionError, match=r"'int8' \(provider cpu has it\); it has .*int8-static.*bf16"):
        find_variant(full, "openvino", "int8")


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_precision_reads_anothers_file(full: Manifest, name: str) -> None:
    variant, base = (find_variant(full, "openvino", which) for which in (name, DERIVED[name].of))
    assert variant.entry == base.entry
    assert (base.compute, base.weights) == ("f32", "f32")
    assert (variant.compute, variant.weights) == (DERIVED[name].compute, DERIVED[name].weights)
    assert "bf16" not in name or variant.compute == "bf16"
    assert variant.parity is None
    for field in ("max_abs", "relative", "batch_error"):
        added = getattr(DERIVED[name].added, field)
        assert getattr(variant.tolerance, field) == getattr(base.tolerance, field) + added


def test_no_file_to_derive_from(full: Manifest) -> None:
    static = dataclasses.replace(full, precisions={"int8-static": full.precisions["int8-static"]})
    assert list(find_variants(static, "openvino")) == ["int8-static", "int8-static+bf16"]
    with pytest.raises(PrecisionError, match=r"provider cpu has no precision 'bf16'; it has int8-static$"):
        find_variant(static, "cpu", "bf16")


def test_a_file_goes_before_what_is_derived(full: Manifest) -> None:
    entry = dataclasses.replace(full.precisions["fp32"], file="model.bf16.onnx")
    own = dataclasses.replace(full, precisions={**full.precisions, "bf16": entry})
    assert find_variant(own, "openvino", "bf16").entry is entry


def test_every_precision_of_a_row_is_a_files_or_derived() -> None:
    for row in PROVIDERS.values():
        for name in row.precisions or ():
            assert name in DERIVED or "+" not in name


def test_an_unknown_provider(full: Manifest) -> None:
    with pytest.raises(ProviderError, match="tpu"):
        find_variants(full, "tpu")


def test_the_default_is_fp32_where_there_is_one(full: Manifest) -> None:
    assert default_precision(full) == "fp32"
    assert (
        default_precision(dataclasses.replace(full, precisions={"int8": full.precisions["int8"]})) == "int8"
    )
