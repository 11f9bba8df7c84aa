"""Checkpoints, artifacts and audio: made in their environments, cached until their inputs change."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import audio, make
from benchmarks.peers.models import Model
from benchmarks.peers.variants import ARTIFACTS, ENVIRONMENTS, Artifact
from benchmarks.results import EMBEDDED, ROOT

HERE = Path(__file__).parent
_STAMP = "stamp.txt"


class PreparationError(RuntimeError):
    """An artifact cannot be made; the message contains the last line of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The cache of artifacts in `folder`; `pythons` overrides the environments' interpreters."""

    folder: Path
    pythons: Mapping[str, str] = field(default_factory=dict)

    @property
    def audio(self) -> Path:
        """The folder of the audio."""
        return self.folder / "audio"

    def python(self, environment: str) -> str:
        """Return an environment's interpreter."""
        default = ROOT / ENVIRONMENTS[environment] / "bin/python"
        return self.pythons.get(environment, str(default))

    def variables(self, *, threads: int | None = None) -> dict[str, str]:
        """Return the environment variables of every process: our sources, no network, number of threads."""
        paths = [str(ROOT), str(ROOT / "runtime"), os.environ.get("PYTHONPATH", "")]
        limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        return {
            **os.environ,
            **limits,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "HF_HUB_OFFLINE": "1",
            "TORCHINDUCTOR_CACHE_DIR": str(self.folder / "inductor"),
        }

    def versions(self, environment: str) -> dict[str, str]:
        """Return the versions of Python and of the relevant packages in an environment."""
        program = "import json; from benchmarks.peers.worker import versions; print(json.dumps(versions()))"
        command = [self.python(environment), "-c", program]
        done = subprocess.run(command, env=self.variables(), capture_output=True, text=True, check=True)
        versions: dict[str, str] = json.loads(done.stdout)
        return versions

    def write_audio(self, *, speech: Path, clips_s: Sequence[float], limit: int | None) -> None:
        """Write the clips and the utterances anew, which takes seconds."""
        audio.write(self.audio, speech=speech, clips_s=clips_s, limit=limit)

    def checkpoint(self, model: Model) -> Path:
        """Return the folder of a model's checkpoint, and make it first if it is missing."""
        if model.trained:
            return EMBEDDED
        artifact = Artifact(
            environment="main", maker="make_checkpoint", file="config.json", options={"model": model.name}
        )
        return self._make(model, "checkpoint", artifact, ROOT, _digest([HERE / "models.py"])).parent

    def artifact(self, model: Model, name: str) -> Path:
        """Return the file of an artifact, and make it first if it is missing or outdated.

        Raises PreparationError.
        """
        checkpoint = self.checkpoint(model)
        if name == "checkpoint":
            return checkpoint
        row = ARTIFACTS[name]
        source = self.artifact(model, row.source)
        depends = [*checkpoint.iterdir(), self.audio / "calibration.npz"]
        if row.maker == "export_with_sewd":
            depends += [*ROOT.glob("export/sewd_export/**/*.py"), *ROOT.glob("runtime/sewd_runtime/**/*.py")]
        return self._make(model, name, row, source, _digest(depends))

    def _make(self, model: Model, name: str, row: Artifact, source: Path, digest: str) -> Path:
        place = self.folder / model.name / name
        made, stamp = place / "made" / row.file, place / _STAMP
        wanted = f"{digest} {row}\n{inspect.getsource(getattr(make, row.maker))}"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and made.is_file():
            return made
        shutil.rmtree(place, ignore_errors=True)
        made.parent.mkdir(parents=True)
        print(f"make {name} of {model.name}", flush=True)
        calibration = ["--calibration", str(self.audio / "calibration.npz")]
        command = ["benchmarks.peers.make", row.maker, str(source), str(made.parent), *calibration]
        command += ["--options", json.dumps(dict(row.options))]
        self._run(row.environment, command, log=place / "log.txt")
        stamp.write_text(wanted, encoding="utf-8")
        return made

    def _run(self, environment: str, command: Sequence[str], *, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(
                [self.python(environment), "-m", *command],
                cwd=ROOT,
                env=self.variables(),
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            lines = log.read_text(encoding="utf-8").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), f"exit code {done.returncode}")
            raise PreparationError(f"{' '.join(command[:2])}: {last.strip()[:400]} (log: {log})")


def _digest(paths: Iterable[Path]) -> str:
    """Return one hash of the files' names and contents."""
    total = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        total.update(path.name.encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def size_of(path: Path) -> int:
    """Return a model's bytes: a graph and the weights beside it, or the weights of a checkpoint."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.glob("*.safetensors"))
    weights = path.with_suffix(".bin") if path.suffix == ".xml" else path.with_name(f"{path.name}.data")
    return sum(file.stat().st_size for file in (path, weights) if file.is_file())
