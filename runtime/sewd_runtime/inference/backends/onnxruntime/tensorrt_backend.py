"""TensorRT through onnxruntime, which builds an engine when it first loads a model and caches it."""

import logging
from dataclasses import replace
from pathlib import Path

from sewd_runtime.bundle.engines import BatchShape, Profile
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.backends.buckets import BucketedModel
from sewd_runtime.inference.backends.onnxruntime import backend as onnxruntime_backend
from sewd_runtime.inference.backends.onnxruntime.backend import NAME, devices, installed_version
from sewd_runtime.system.cached_files import check_own
from sewd_runtime.system.machine import cache_folder

__all__ = ["NAME", "devices", "installed_version", "open_model", "provider_options"]

_log = logging.getLogger("sewd")

_FLAGS = {
    "fp16": {"trt_fp16_enable": "1", "trt_layer_norm_fp32_fallback": "1"},
    "int8-static": {"trt_int8_enable": "1"},
}


def open_model(path: Path, options: Options) -> BucketedModel:
    """Load a model file, or the engine that was built from it before; raises ProviderError."""
    settings = provider_options(path, options.precision, options.profiles)
    model = onnxruntime_backend.open_model(path, replace(options, settings={**settings, **options.settings}))
    return BucketedModel.of(model, options.profiles)


def provider_options(path: Path, precision: str, profiles: tuple[Profile, ...]) -> dict[str, str]:
    """Return the settings of onnxruntime's TensorRT provider: shapes, types, folder of the engine cache.

    onnxruntime names a cached engine by graph and GPU, not by weights and version, so each model file has a
    folder of its own for each version.
    """
    [profile] = profiles  # onnxruntime builds for one range of shapes
    stat = path.stat()
    folder = f"{path.resolve().parent.name}-{path.stem}-{stat.st_size}-{stat.st_mtime_ns}"
    cache = cache_folder() / "tensorrt" / f"{NAME}-{installed_version()}" / folder
    return {
        **_cache_options(cache),
        "trt_profile_min_shapes": _shapes(profile.min),
        "trt_profile_opt_shapes": _shapes(profile.opt),
        "trt_profile_max_shapes": _shapes(profile.max),
        **_FLAGS.get(precision, {}),
    }


def _cache_options(folder: Path) -> dict[str, str]:
    """Return the settings of the engine cache: off, with a warning, if anything in it is not the user's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink():
            raise OSError(f"{folder}: a link")
        for path in folder.iterdir():
            check_own(path)
    except OSError as error:
        _log.warning("tensorrt: engines are built at each load, the cache is not used: %s", error)
        return {"trt_engine_cache_enable": "0", "trt_timing_cache_enable": "0"}
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
    }


def _shapes(shape: BatchShape) -> str:
    return f"input_values:{shape.batch}x{shape.samples},input_lengths:{shape.batch}"
