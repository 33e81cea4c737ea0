import json
from dataclasses import asdict

import pytest
from sim_support import setting  # skips where a layer is missing

from ams import sim
from ams.experiments.checkpoint import ClipIdentity
from ams.experiments.job import ClipFile, Job, StudentFile, load_result, result_path, write_text
from ams.experiments.tuning import THRESHOLDS, tune_threshold

assert setting is not None


def job(**changes):
    values = {
        "clips": (ClipFile(folder="nowhere", identity=ClipIdentity("clip", "aa")),),
        "scheme": "just_in_time",
        "student": StudentFile(network="edanet"),
        "seed": 1,
        "options": {"learning_rate": 0.01},
    }
    return Job(**{**values, **changes})


def fill(out, base, mious, kbps):
    """Results of runs as if they had been made."""
    for threshold, miou, rate in zip(THRESHOLDS, mious, kbps, strict=True):
        one = base.with_options(threshold=threshold)
        result = sim.RunResult(
            scheme="just_in_time",
            clip="clip",
            seed=1,
            miou=miou,
            miou_whole_video=miou,
            seconds=10,
            downlink_bytes=round(rate * 1250),
        )
        content = {"settings": one.settings(), "result": asdict(result)}
        write_text(result_path(out, one), json.dumps(content))


def test_the_cheapest_threshold_that_reaches_ams_is_found(tmp_path):
    base = job()
    fill(tmp_path, base, range(30, 60, 2), range(100, 1600, 100))  # 0.2: 30, 0.25: 32, ...
    for target, expected in ((49.9, 0.7), (50.4, 0.7), (20, 0.2), (56, 0.85), (58.5, 0.9)):
        tuned = tune_threshold(tmp_path, base, target_miou=target, tolerance=0.5)
        assert (tuned.threshold, tuned.meets_target) == (expected, True), target
        assert len(tuned.probes) <= 5
        assert tuned.result == load_result(tmp_path, tuned.job)


def test_where_none_reaches_it_the_best_is_taken(tmp_path):
    base = job()
    fill(tmp_path, base, [*range(30, 58, 2), 55], range(100, 1600, 100))
    tuned = tune_threshold(tmp_path, base, target_miou=60, tolerance=0.5)
    assert (tuned.threshold, tuned.meets_target) == (0.85, False)


def test_a_key_names_everything_that_a_result_depends_on_and_no_path():
    base = job()
    assert base.key() == job().key()
    moved = job(
        clips=(ClipFile(folder="elsewhere", identity=ClipIdentity("clip", "aa")),),
        student=StudentFile(network="edanet", weights="/moved/weights"),
    )
    others = [
        job(seed=2),
        job(scheme="ams"),
        job(options={"learning_rate": 0.02}),
        job(student=StudentFile(network="edanet", digest="bb")),
        job(clips=(ClipFile(folder="nowhere", identity=ClipIdentity("clip", "bb")),)),
        job(link=sim.Link(delay_seconds=1)),
        job(costs=sim.Costs(teacher_seconds=1)),
        job(max_seconds=5),
        job(device="cuda"),
    ]
    keys = [base.key(), *(other.key() for other in others)]
    assert len(set(keys)) == len(keys)
    assert moved.key() == base.key()


def test_a_damaged_result_is_named(tmp_path):
    write_text(result_path(tmp_path, job()), '{"result": 3}')
    with pytest.raises(ValueError, match="delete it"):
        load_result(tmp_path, job())
