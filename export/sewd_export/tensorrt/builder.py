"""Build engines with `tensorrt` or `tensorrt_rtx`: one code path, with the module as a parameter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from sewd_export.errors import EngineBuildError
from sewd_export.progress import Progress, no_progress
from sewd_runtime.bundle.engines import Profile
from sewd_runtime.errors import MissingPackageError

_MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_EXPLAINED = (
    re.compile(r"Make sure (input|output) \w+_lengths has Int64 binding"),
    re.compile(r"Was not able to infer kOPT value\(s\) for tensor relative_index/Gather"),
)
"""Warnings that docs/engines.md explains."""

_MAX_DEPTH = 2  # of phases that are reported; there are hundreds below them


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A builder's module; name: as in the manifest."""

    name: str
    version: str
    module: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An engine, and its builder's warnings, except the explained ones."""

    engine: bytes
    warnings: tuple[str, ...]


def find_library(*, is_capability_named: bool) -> Library:
    """Return the builder to use; only tensorrt-rtx builds for a GPU that is not in this machine.

    Raises MissingPackageError.
    """
    for name, module in _MODULES.items():
        if is_capability_named and name != "tensorrt-rtx":
            continue
        try:
            imported = import_module(module)
        except ImportError:
            continue
        return Library(name=name, version=imported.__version__, module=imported)
    wanted = "tensorrt_rtx" if is_capability_named else "tensorrt nor tensorrt_rtx"
    raise MissingPackageError(f"no {wanted} to build engines with; pip install 'sewd[tensorrt]'")


def capability_here() -> str:
    """Return the compute capability of the first GPU; raises ProviderError, MissingPackageError."""
    from sewd_runtime.inference.backends.tensorrt.cuda import compute_capability

    return compute_capability()


def build(
    library: Library,
    model: Path,
    *,
    compute_capability: str,
    profiles: Sequence[Profile],
    progress: Progress = no_progress,
) -> Built:
    """Build an engine of a model file, computing in the types of its values.

    Raises EngineBuildError: the parser rejects a node, the capability is not supported, or the build fails.
    """
    trt, log = library.module, _logger(library.module)
    builder = trt.Builder(log)
    network = builder.create_network(_network_flags(trt))
    _parse(trt.OnnxParser(network, log), model)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # compute float32 in float32
    monitor = _monitor(trt, progress)
    config.progress_monitor = monitor
    if hasattr(trt, "ComputeCapability"):
        _set_capability(trt, config, compute_capability)
    for profile in profiles:
        _add_profile(builder, config, profile)
    engine = builder.build_serialized_network(network, config)
    if monitor.interrupted:
        raise KeyboardInterrupt
    if engine is None:
        raise EngineBuildError(f"{model.name}: {library.name} built no engine: {'; '.join(log.errors)}")
    return Built(engine=bytes(engine), warnings=tuple(log.warnings))


def _network_flags(trt: Any) -> int:
    """Return the flag for strong types; TensorRT 11 has no other kind of network, and no flag."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(parser: Any, model: Path) -> None:
    if parser.parse_from_file(str(model)):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    named = "; ".join(
        f"node {error.node_name() or '?'} ({error.node_operator() or '?'}): {error.desc()}"
        for error in errors
    )
    raise EngineBuildError(f"{model.name}: TensorRT does not support this graph: {named}")


def _set_capability(trt: Any, config: Any, compute_capability: str) -> None:
    offered = {
        f"{name[2:-1]}.{name[-1]}": value
        for name, value in trt.ComputeCapability.__members__.items()
        if name.startswith("SM")
    }
    if compute_capability not in offered:
        raise EngineBuildError(
            f"compute capability {compute_capability}: tensorrt-rtx builds for {', '.join(offered)}; "
            f"choose one of these"
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(offered[compute_capability], 0)


def _add_profile(builder: Any, config: Any, profile: Profile) -> None:
    shapes = (profile.min, profile.opt, profile.max)
    made = builder.create_optimization_profile()
    made.set_shape("input_values", *((shape.batch, shape.samples) for shape in shapes))
    made.set_shape("input_lengths", *((shape.batch,) for shape in shapes))
    config.add_optimization_profile(made)


def _logger(trt: Any) -> Any:
    """Return a logger that keeps errors, and once each warning that is not explained."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            message = re.sub(r"^\S+\.cpp:\d+: ", "", message)
            if severity < trt.ILogger.WARNING:
                self.errors.append(message)
            elif (
                severity == trt.ILogger.WARNING
                and message not in self.warnings
                and not _is_explained(message)
            ):
                self.warnings.append(message)

    return Log()


def _is_explained(message: str) -> bool:
    return any(pattern.search(message) for pattern in _EXPLAINED)


def _monitor(trt: Any, progress: Progress) -> Any:
    """Return a monitor that reports each large phase when it first begins, and lets Ctrl-C stop the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.depths: dict[str | None, int] = {None: -1}
            self.interrupted = False

        def phase_start(self, phase: str, parent: str | None, num_steps: int) -> None:
            try:
                is_new = phase not in self.depths
                self.depths[phase] = self.depths.get(parent, 0) + 1
                if is_new and self.depths[phase] <= _MAX_DEPTH:
                    progress(phase)
            except KeyboardInterrupt:  # an exception would not pass through the builder's frames
                self.interrupted = True

        def phase_finish(self, phase: str) -> None:
            pass

        def step_complete(self, phase: str, step: int) -> bool:
            try:
                return not self.interrupted
            except KeyboardInterrupt:
                self.interrupted = True
                return False

    return Monitor()
