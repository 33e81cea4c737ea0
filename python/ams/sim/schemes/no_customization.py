"""The pre-trained student as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ams.sim.result import RunResult
from ams.sim.running_student import RunningStudent
from ams.sim.setting import Setting
from ams.sim.stream import Stream


@dataclass(frozen=True, kw_only=True)
class NoCustomization:
    """The student is never adapted; no byte is sent (section 4.1)."""

    name: ClassVar[str] = "no_customization"

    def run(self, stream: Stream, setting: Setting) -> RunResult:
        student = RunningStudent(stream, setting)
        for frame in stream.frames():
            if frame.labels is not None:
                student.score(frame.image, frame.labels, frame.capture_seconds)
        miou, whole_video = student.scorer.summary()
        return RunResult(
            scheme=self.name,
            clip=stream.name,
            seed=setting.seed,
            miou=miou,
            miou_whole_video=whole_video,
            seconds=stream.duration_seconds,
            frames=student.scorer.frames,
            details={"scenes": stream.scenes},
        )
