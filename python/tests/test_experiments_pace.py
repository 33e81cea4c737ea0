"""What the experiment `pace` computes of a run."""

import pytest

pytest.importorskip("matplotlib")

from ams import sim
from ams.experiments.pace import recoveries, worst_gain


def result(frames, scenes=((0.0, "a"),), seconds=100.0):
    return sim.RunResult(
        scheme="ams",
        clip="clip",
        seed=1,
        miou=0,
        miou_whole_video=0,
        seconds=seconds,
        frames=[[float(t), score, score] for t, score in frames],
        details={"scenes": [list(scene) for scene in scenes]},
    )


def test_a_scene_is_recovered_when_its_score_comes_near_what_it_reaches():
    first = [(t, min(50, 5 * t)) for t in range(50)]
    second = [(t, 30 if t < 58 else 40) for t in range(50, 100)]
    assert recoveries(result(first + second, [(0.0, "a"), (50.0, "b")])) == [8, 7]
    assert recoveries(result([(t, 40) for t in range(100)])) == [0]
    assert recoveries(result([(0, None)], seconds=1.0)) == [0]


def test_the_worst_half_minute_is_that_of_the_least_mean_gain():
    plain = result([(t, 20) for t in range(100)])
    better = result([(t, 30) for t in range(100)])
    assert worst_gain(better, plain) == pytest.approx(10)
    dip = result([(t, 10 if 40 <= t < 80 else 30) for t in range(100)])
    assert worst_gain(dip, plain) == pytest.approx(-10)
    blink = result([(t, 10 if t == 40 else 30) for t in range(100)])
    assert worst_gain(blink, plain) > 9
