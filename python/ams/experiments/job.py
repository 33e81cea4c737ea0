"""One run of one scheme: what it is, the key that names it, and how it is carried out."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ams import sim
from ams.experiments.checkpoint import ClipIdentity, file_digest, identify_clip, refuse_known_clips
from ams.experiments.environment import code_digest, versions
from ams.sim.load import add_load

SCHEMES = {
    scheme.name: scheme
    for scheme in (
        sim.NoCustomization,
        sim.OneTime,
        sim.RemoteTracking,
        sim.JustInTime,
        sim.AMS,
    )
}


@dataclass(frozen=True, kw_only=True)
class ClipFile:
    """A clip's folder and which clip it is."""

    folder: str
    identity: ClipIdentity

    @staticmethod
    def open(folder: str) -> ClipFile:
        return ClipFile(folder=folder, identity=identify_clip(Path(folder)))


@dataclass(frozen=True, kw_only=True)
class StudentFile:
    """A student by network and weights. digest: SHA-256 of its files, "" without one."""

    network: str
    weights: str = ""
    digest: str = ""
    num_classes: int = 19
    input_width: int = 256
    input_height: int = 128

    @staticmethod
    def open(
        *, network: str, weights: str, num_classes: int, width: int, height: int
    ) -> StudentFile:
        files = [network] if network.endswith(".pt") else []
        files += [weights] if weights else []
        return StudentFile(
            network=network,
            weights=weights,
            digest="+".join(file_digest(Path(file)) for file in files),
            num_classes=num_classes,
            input_width=width,
            input_height=height,
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """One scheme on one stream, with everything that its result depends on. A plain value.

    clips: one after another, as one stream. teacher: labels what the server decodes.
    options: of the scheme, by field name; codec: fields of X264Codec.
    other_devices: how many more share the accelerator (scheme ams only); other_clips: what they
        play, in turn.
    """

    clips: tuple[ClipFile, ...]
    scheme: str
    student: StudentFile
    seed: int
    teacher: sim.Teacher | None = None
    options: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    max_seconds: float | None = None
    start_up_seconds: float = 0
    link: sim.Link = field(default_factory=sim.Link)
    costs: sim.Costs = field(default_factory=sim.Costs)
    other_devices: int = 0
    other_clips: tuple[ClipFile, ...] = ()

    @property
    def clip_name(self) -> str:
        return "+".join(clip.identity.name for clip in self.clips)

    def with_options(self, **options: Any) -> Job:
        """The same with these options of the scheme changed."""
        return replace(self, options={**self.options, **options})

    def settings(self) -> dict[str, Any]:
        """All that the result depends on, as JSON; no paths."""
        settings = asdict(self)
        for name in ("clips", "other_clips"):
            settings[name] = [asdict(clip.identity) for clip in getattr(self, name)]
        del settings["student"]["weights"]
        if self.teacher:
            settings["teacher"] = self.teacher.settings()
        else:
            del settings["teacher"]
        settings["student"]["network"] = Path(self.student.network).name
        settings["code"] = code_digest()
        settings["versions"] = self._versions()
        return json.loads(json.dumps(settings))

    def _versions(self) -> dict[str, str | None]:
        """Of what the numbers may depend on: pictures are drawn from them, and not every scheme
        uses OpenCV."""
        found = versions()
        del found["matplotlib"]
        if self.scheme not in ("remote_tracking", "just_in_time"):
            del found["opencv"]
        return found

    def key(self) -> str:
        """The same for equal settings, another one for others."""
        text = json.dumps(self.settings(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def make_scheme(self) -> sim.Scheme:
        """The scheme with the options. Raises ValueError and TypeError for those that it does not
        take."""
        options = dict(self.options)
        if "codec" in options:
            options["codec"] = sim.X264Codec(**options["codec"])
        return SCHEMES[self.scheme](**options)

    def check(self) -> None:
        """Raises ValueError when the student was pre-trained on one of the clips, and what the
        scheme raises for options that it does not take."""
        self.make_scheme()
        if self.student.weights:
            refuse_known_clips(Path(self.student.weights), [clip.identity for clip in self.clips])

    def run(self) -> sim.RunResult:
        """Carries it out. Raises as ams.sim.run."""
        from ams.torch import StudentSpec

        self.check()
        stream = sim.Stream(
            [clip.folder for clip in self.clips], max_seconds=self.max_seconds or 1e9
        )
        setting = sim.Setting(
            student=StudentSpec(
                network=self.student.network,
                weights=self.student.weights,
                num_classes=self.student.num_classes,
                input_width=self.student.input_width,
                input_height=self.student.input_height,
                seed=self.seed,
            ),
            teacher=self.teacher,
            link=self.link,
            costs=self.costs,
            seed=self.seed,
            device=self.device,
            start_up_seconds=self.start_up_seconds,
        )
        scheme = self.make_scheme()
        if self.other_devices:
            load = partial(
                add_load,
                clips=[clip.folder for clip in self.other_clips],
                devices=self.other_devices,
                scheme=scheme,
                setting=setting,
                until_seconds=stream.duration_seconds,
            )
            scheme = replace(scheme, prepare=load)
        return sim.run(stream, scheme, setting)


def result_path(out: Path, job: Job) -> Path:
    """Where a run's result is kept."""
    return out / "runs" / f"{job.key()}.json"


def load_result(out: Path, job: Job) -> sim.RunResult | None:
    """The result of an earlier run; None when there is none. Raises ValueError when the file is
    damaged."""
    path = result_path(out, job)
    try:
        return sim.RunResult.from_dict(json.loads(path.read_text(encoding="utf-8"))["result"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not the result of a run ({error}); delete it") from error


def run_cached(out: Path, job: Job) -> sim.RunResult:
    """The result, from the cache or by running the job and keeping what it gives."""
    result = load_result(out, job)
    if result is None:
        result = job.run()
        content = {"settings": job.settings(), "result": asdict(result)}
        write_text(result_path(out, job), json.dumps(content))
    return result


def write_text(path: Path, text: str) -> None:
    """The whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def distinct(jobs: Sequence[Job]) -> list[Job]:
    """Each once, in order."""
    return list({job.key(): job for job in jobs}.values())
