"""Each experiment in small, on two rendered clips."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sim_support import WEIGHTS, clip

from ams.experiments import cli
from ams.experiments.checkpoint import identify_clip, read_clips
from ams.experiments.job import write_text
from ams.experiments.report import COLUMNS
from ams.torch import StudentSpec, load_student_values

pytest.importorskip("matplotlib")

SCHEMES = ["no_customization", "one_time", "remote_tracking", "just_in_time", "ams", "own"]
NAMES = ["dusk", "night"]
PROFILES = ["reference", "compact"]
PHASES = ("iterations", "batch-size", "first-batch-seconds", "update-interval-seconds")
NO_PHASES = dict.fromkeys(PHASES)


def clips():
    schedules = {"dusk": "0:downtown/dusk", "night": "0:boulevard/night"}
    return [
        str(clip(name, seconds=9, fps=2, label_stride=2, schedule=schedules[name]))
        for name in NAMES
    ]


def arguments(experiment, out, **changes):
    flags = {
        "clips": clips(),
        "student": "edanet",
        "weights": WEIGHTS,
        "out": out,
        "input": "64x32",
        "batch-size": 2,
        "jobs": 2,
    }
    if experiment != "pretrain":
        flags |= {"iterations": 2, "first-batch-seconds": 2}
    if experiment not in ("pretrain", "fig4"):
        flags |= {"update-interval-seconds": 2}
    if experiment in ("table1", "table2", "fig5"):
        flags |= {"flow-size": "128x64"}
    flags |= changes
    words = [experiment]
    for name, value in flags.items():
        if value is not None:
            values = value if isinstance(value, (list, tuple)) else [value]
            words += [f"--{name}", *map(str, values)]
    return words


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("experiments")


def run(experiment, out, **changes):
    """Runs it, checks what all experiments write, and gives the rows and the report."""
    assert cli.main(arguments(experiment, out, **changes)) == 0
    with open(out / f"{experiment}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    report = json.loads((out / f"{experiment}.json").read_text())
    assert list(rows[0])[-len(COLUMNS) :] == list(COLUMNS)
    assert {"command", "seed", "versions", "machine", "settings"} <= set(report)
    assert report["versions"]["ams"] and report["versions"]["torch"]
    assert (out / f"{experiment}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    return rows, report


def test_table1_and_table2_have_a_row_for_each_clip_and_scheme(out):
    rows, report = run("table1", out)
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["clip"], row["scheme"]) for row in rows] == [
        (name, scheme) for name in NAMES for scheme in SCHEMES
    ]
    assert all(0 <= float(row["miou"]) <= 100 and row["seconds"] == "9.0" for row in rows)
    by_scheme = {row["scheme"]: row for row in rows if row["clip"] == "dusk"}
    assert float(by_scheme["no_customization"]["downlink_kbps"]) == 0
    assert int(by_scheme["one_time"]["updates"]) == 1
    assert float(by_scheme["just_in_time"]["uplink_kbps"]) > 0
    assert report["digests_equal"] is True
    assert [entry["clip"] for entry in report["just_in_time_thresholds"]] == NAMES
    mious = {(row["clip"], row["scheme"]): float(row["miou"]) for row in rows}
    for entry in report["just_in_time_thresholds"]:
        clip_name = entry["clip"]
        short = mious[clip_name, "ams"] - mious[clip_name, "just_in_time"]
        assert entry["reaches_ams"] == (short <= 0.5)
    assert set(report["means"]) == set(SCHEMES)

    # Table 2 and figure 5 are made of the same runs: nothing is run again.
    runs = {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    again, _ = run("table2", out)
    assert again == rows
    curve, gains = run("fig5", out)
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()} == runs
    assert list(curve[0])[:2] == ["miou_gain", "fraction_of_frames"]
    for scheme in SCHEMES[1:]:
        mine = [float(row["miou_gain"]) for row in curve if row["scheme"] == scheme]
        assert len(mine) == 101 and mine == sorted(mine)
        assert 0 <= gains["fraction_of_frames_better"][scheme] <= 1


def test_one_seed_gives_the_same_numbers(out, tmp_path):
    rows, _ = run("fig3", out, **{"max-seconds": 6})
    again, _ = run("fig3", tmp_path, **{"max-seconds": 6, "jobs": 1})
    assert rows == again
    assert len(rows) == 2 * 6 and list(rows[0])[:3] == [
        "time_seconds",
        "sampling_rate_fps",
        "phi_score",
    ]
    assert rows[0]["phi_score"] == "" and float(rows[1]["phi_score"]) >= 0


def test_table3_compares_strategies_with_the_whole_model(out):
    rows, report = run("table3", out, clips=clips()[:1], **{"max-seconds": 6})
    assert list(rows[0])[:3] == ["strategy", "fraction", "miou_difference"]
    assert len(rows) == 1 + 5 * 4
    assert rows[0]["strategy"] == "full" and float(rows[0]["miou_difference"]) == 0
    sizes = {
        float(row["fraction"]): float(row["update_bytes_mean"])
        for row in rows
        if row["strategy"] == "random"
    }
    assert sizes[0.2] > sizes[0.1] > sizes[0.05] > sizes[0.01]
    assert len(report["means"]) == len(rows)


def test_fig4_sweeps_both_schemes(out):
    rows, _ = run("fig4", out, clips=clips()[:1], **{"max-seconds": 6})
    points = [(row["scheme"], row["parameter"], float(row["value"])) for row in rows]
    assert points == [("ams", "update_interval_seconds", v) for v in (10, 20, 30, 40)] + [
        ("just_in_time", "threshold", v) for v in (0.55, 0.65, 0.75, 0.85)
    ]


def test_fig6_measures_what_sharing_costs(out):
    rows, _ = run("fig6", out, devices=[1, 3], **{"max-seconds": 8, "teacher-seconds": 0.4})
    assert list(rows[0])[:3] == ["devices", "scheduling", "miou_loss"]
    assert len(rows) == 2 * 2 * 2
    alone = [row for row in rows if (row["devices"], row["scheduling"]) == ("1", "round_robin")]
    assert all(float(row["miou_loss"]) == 0 for row in alone)
    shared = [row for row in rows if (row["devices"], row["scheduling"]) == ("3", "round_robin")]
    assert sum(int(r["updates"]) for r in shared) < sum(int(r["updates"]) for r in alone)


def test_devices_that_share_an_accelerator_may_have_budgets(tmp_path):
    budget = {"downlink-kbps": 2, "downlink-link-kbps": 20}
    rows, _ = run("fig6", tmp_path, devices=[2], **{"max-seconds": 6, **budget})
    assert len(rows) == 2 * 2 and all(int(row["updates"]) > 0 for row in rows)


def test_bandwidth_takes_each_point_at_its_best_learning_rate(out):
    series = ["no_customization", "gradient_guided", "normalization_and_head", "budget"]
    rows, report = run(
        "bandwidth",
        out,
        series=series,
        seeds=3,
        **{"max-seconds": 6, "budgets-kbps": [2, 20], "learning-rate-factors": [0.5, 2]},
    )
    axes = ["series", "value", "profile", "learning_rate_factor", "chose_learning_rate"]
    assert list(rows[0])[: len(axes)] == axes
    points = {(row["series"], row["value"], row["profile"]) for row in rows}
    guided = {("gradient_guided", v, p) for v in ("0.2", "0.1", "0.05", "0.01") for p in PROFILES}
    assert points == guided | {
        ("no_customization", "", ""),
        *(("normalization_and_head", "", profile) for profile in PROFILES),
        *(("budget", value, "compact") for value in ("2.0", "20.0")),
    }
    # Two clips; nothing is random where nothing is trained.
    assert len(rows) == 2 + 2 * 3 * (len(points) - 1)
    assert {row["seed"] for row in rows} == {"1", "2", "3"}

    means = {(m["series"], m["value"], m["profile"]): m for m in report["means"]}
    for search in report["learning_rate_search"]:
        found = means[search["series"], search["value"], search["profile"]]
        by_factor = search["miou_by_factor"]
        assert by_factor[f"{found['learning_rate_factor']:g}"] == max(by_factor.values())
        mine = [
            float(row["miou"])
            for row in rows
            if row["series"] == search["series"]
            and row["profile"] == search["profile"]
            and row["value"] == ("" if search["value"] is None else str(search["value"]))
            and row["chose_learning_rate"] == "False"
        ]
        assert len(mine) == 2 * 2 and found["seeds"] == 2  # not the seed that chose the rate
        assert found["miou"] == pytest.approx(sum(mine) / len(mine), abs=2e-3)
        assert found["miou_deviation"] >= 0
    chose = {(row["seed"], row["chose_learning_rate"]) for row in rows if row["profile"]}
    assert chose == {("1", "True"), ("2", "False"), ("3", "False")}
    paper = means["gradient_guided", 0.05, "reference"]
    assert paper["times_less_than_paper"] == 1 and paper["miou_over_paper"] == 0
    sizes = [means["gradient_guided", 0.05, profile]["downlink_kbps"] for profile in PROFILES]
    assert sizes[1] < sizes[0]
    table = (out / "bandwidth.md").read_text().splitlines()
    assert len([line for line in table if line.startswith("|")]) == 2 + len(points)
    assert len({line.count("|") for line in table if line.startswith("|")}) == 1
    assert all(means[point]["at_edge"] for point in means if point[0] != "no_customization")
    for kbps in (2, 20):
        budget = means["budget", kbps, "compact"]
        assert set(budget["used_of_budget"]) == set(NAMES)
        assert budget["busiest_minute_kbps"] is None  # the clips are shorter


def multipliers_of_runs(out):
    """Of what each strategy, or a budget, ran with: weight, normalization, head."""
    found = {}
    for path in (out / "runs").glob("*.json"):
        options = json.loads(path.read_text())["settings"]["options"]
        if "strategy" in options:
            name = "budget" if options["downlink_budget_bps"] else options["strategy"]
            found[name] = tuple(
                options.get(f"{role}_multiplier") for role in ("weight", "normalization", "head")
            )
    return found


def test_a_strategy_learns_as_fast_as_ams_server_would(out, tmp_path):
    named = {"max-seconds": 4, "learning-rate-factors": [1], "budgets-kbps": [20], "seeds": 1}
    series = ["gradient_guided@0.25/reference", "normalization_and_head/compact", "budget"]
    run("bandwidth", tmp_path / "usual", series=series, **named)
    assert multipliers_of_runs(tmp_path / "usual") == {
        "gradient_guided": (4, 4, 4),
        "normalization_and_head": (1, 5, 4),
        "budget": (1, 1, 1),  # times the session's own
    }
    flags = {"learning-rate-weight": 2, "learning-rate-head": 3}
    run("bandwidth", tmp_path / "flags", series=series, **named, **flags)
    assert multipliers_of_runs(tmp_path / "flags") == {
        "gradient_guided": (2, 2, 3),
        "normalization_and_head": (2, 5, 3),
        "budget": (2, 1, 3),
    }


def steps_of_runs(out):
    """By series and profile."""
    found = {}
    for path in (out / "runs").glob("*.json"):
        options = json.loads(path.read_text())["settings"]["options"]
        name = "budget" if options["downlink_budget_bps"] else options["strategy"]
        steps = options.get("relative_step"), options.get("weight_step_multiplier")
        found[name, options["profile"]] = steps
    return found


def test_steps_are_the_usual_ones_unless_given(tmp_path):
    series = ["full", "normalization_and_head/compact", "budget"]
    short = {"max-seconds": 4, "seeds": 1, "learning-rate-factors": [1]}
    run("bandwidth", tmp_path / "usual", series=series, **short, **{"budgets-kbps": [50]})
    assert steps_of_runs(tmp_path / "usual") == {
        ("full", "reference"): (None, None),
        ("full", "compact"): (1, None),
        ("normalization_and_head", "compact"): (1, None),
        ("budget", "compact"): (None, None),
    }
    flags = {"relative-step": 0.5, "relative-step-weight": 4, "budgets-kbps": [50]}
    run("bandwidth", tmp_path / "flags", series=["full", "budget"], **short, **flags)
    assert steps_of_runs(tmp_path / "flags") == {
        ("full", "reference"): (None, None),
        ("full", "compact"): (0.5, 4),
        ("budget", "compact"): (None, None),
    }


def test_coarser_steps_take_fewer_bytes(tmp_path):
    def kbps(folder, **flags):
        short = {"max-seconds": 8, "update-interval-seconds": 1, "first-batch-seconds": 1}
        once = {"seeds": 1, "learning-rate-factors": [1]}
        rows, _ = run(
            "bandwidth", tmp_path / folder, series=["full/compact"], **short, **once, **flags
        )
        return sum(float(row["downlink_kbps"]) for row in rows)

    usual = kbps("usual")
    assert kbps("fine", **{"relative-step": 0.25}) > 1.2 * usual
    assert kbps("coarse weights", **{"relative-step-weight": 2}) < usual / 1.2


@pytest.mark.parametrize(
    ("experiment", "flags", "reason"),
    [
        ("fig3", {"relative-step": 2}, "of the profiles compact alone has steps"),
        ("fig3", {"downlink-kbps": 9, "relative-step-weight": 2}, "chooses its steps"),
        ("bandwidth", {"series": ["budget"], "relative-step": 2}, "takes no --relative-step"),
        ("bandwidth", {"series": ["full/reference"], "relative-step-weight": 2}, "no --relative"),
        ("bandwidth", {"downlink-kbps": 2}, "bandwidth takes no --downlink-kbps: name --series"),
        ("bandwidth", {"strategy": "full"}, "bandwidth takes no --strategy"),
        ("table3", {"gamma": 0.1}, "table3 takes no --gamma: it runs its own"),
        ("fig3", {"downlink-link-kbps": 9}, "is for a budget, and none is run"),
        ("fig3", {"seeds": 5}, "fig3 takes no --seeds: it is for bandwidth"),
        ("fig3", {"flow-size": "128x64"}, "fig3 takes no --flow-size: it does not run Remote"),
        ("fig4", {"update-interval-seconds": 2}, "fig4 takes no --update-interval-seconds"),
        ("table1", {"devices": [2]}, "table1 takes no --devices: it is for fig6"),
        ("bandwidth", {"series": ["full"], "gamma": 0.1}, "bandwidth takes no --gamma"),
        ("bandwidth", {"series": ["full"], "jit-learning-rate": 1}, "takes no --jit-learning-rate"),
        ("bandwidth", {"series": ["full"], "budgets-kbps": [3]}, "takes no --budgets-kbps"),
        (
            "bandwidth",
            {"series": ["just_in_time@0.5"], **NO_PHASES, "learning-rate": 1},
            "no --lea",
        ),
        (
            "bandwidth",
            {"series": ["no_customization"], **NO_PHASES, "seeds": 7},
            "no --seeds: no ser",
        ),
        ("fig3", {"strategy": "normalization", "gamma": 0.2}, "normalization trains no fraction"),
        ("fig3", {"measured": [], "iteration-seconds": 9}, "steps take as long as they take"),
        (
            "fig3",
            {"start-up-seconds": 9},
            "leaves nothing to score of dusk, which is played for 9 s",
        ),
        ("fig3", {"uplink-target-kbps": 2e6}, "target_bps"),
        ("pretrain", {"device": "cuda"}, "pretrain takes no --device: it computes on the CPU"),
        ("pretrain", {"learning-rate": 1}, "name --pretrain-learning-rate"),
        ("pretrain", {"gamma": 0.1}, "pretrain takes no --gamma: it runs no scheme"),
        ("bandwidth", {"series": ["full"], "downlink-link-kbps": 9}, "and none is run"),
        ("fig3", {"downlink-kbps": 2, "downlink-link-kbps": 1}, "link_bps is 1000"),
        # Before the first run, and not when its turn comes.
        ("bandwidth", {"series": ["full", "budget"], "budgets-kbps": [0.01]}, "budget_bps is 10"),
    ],
)
def test_what_a_command_would_ignore_or_refuse_later_is_refused_at_once(
    experiment, flags, reason, tmp_path, capsys
):
    assert cli.main(arguments(experiment, tmp_path, **flags)) == 1
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))


def test_one_table_is_of_one_build(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ams.experiments.pool.code_digest", lambda: "what was there before")
    named = {"series": ["no_customization"], **NO_PHASES, "max-seconds": 4}
    assert cli.main(arguments("bandwidth", tmp_path, **named)) == 1
    assert "package has changed since the command began" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))


def test_bandwidth_runs_only_the_points_that_are_named(tmp_path, capsys):
    series = ["gradient_guided@0.03/reference", "normalization/compact", "just_in_time@0.3"]
    rows, _ = run(
        "bandwidth",
        tmp_path,
        series=series,
        seeds=1,
        **{"max-seconds": 6, "learning-rate-factors": [1]},
    )
    assert {(row["series"], row["value"], row["profile"]) for row in rows} == {
        ("gradient_guided", "0.03", "reference"),
        ("normalization", "", "compact"),
        ("just_in_time", "0.3", "reference"),
        ("just_in_time", "0.3", "compact"),
    }
    for bad, reason in (
        ("all", "no series is called 'all'; there are no_customization, full"),
        ("full@0.5", "full has no value"),
        ("full/zip", "profiles are reference and compact"),
        ("budget@2", "--budgets-kbps"),
        ("budget/reference", "profiles are reference and compact"),
        ("random@5", "above 0, up to 1"),
        ("random@x", "above 0, up to 1"),
    ):
        with pytest.raises(SystemExit):
            cli.main(arguments("bandwidth", tmp_path, series=[bad]))
        assert reason in capsys.readouterr().err


def test_all_clips_as_one_stream(tmp_path):
    rows, _ = run("fig3", tmp_path, stream=[], **{"max-seconds": 12})
    assert {row["clip"] for row in rows} == {"+".join(NAMES)} and len(rows) == 12


def test_pretrain_remembers_its_clips_and_evaluation_refuses_them(tmp_path, capsys):
    out = tmp_path / "students"
    words = arguments("pretrain", out, **{"steps": 2, "max-seconds": 4, "weights": None, "jobs": 1})
    assert cli.main([*words, "--leave-one-out"]) == 0
    for left, kept in (NAMES, NAMES[::-1]):
        checkpoint = out / f"without_{left}.safetensors"
        assert [each.name for each in read_clips(checkpoint)] == [kept]
        assert load_student_values(StudentSpec(weights=str(checkpoint))).values.size == 686_679
    report = json.loads((out / "pretrain.json").read_text())
    assert report["experiment"] == "pretrain" and len(report["checkpoints"]) == 2

    # Once more it has nothing to do; with other settings it says so and leaves what is there.
    made = {path: path.read_bytes() for path in out.glob("*.safetensors")}
    assert cli.main([*words, "--leave-one-out"]) == 0
    assert cli.main([*words, "--leave-one-out", "--steps", "3"]) == 1
    assert "made with other settings" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in made} == made
    assert cli.main([*words, "--learning-rate", "0.1"]) == 1
    assert "--pretrain-learning-rate" in capsys.readouterr().err

    pattern = str(out / "without_{clip}.safetensors")
    run("fig3", tmp_path / "good", weights=pattern, **{"max-seconds": 4})
    wrong = arguments("fig3", tmp_path / "bad", weights=out / "without_dusk.safetensors")
    assert cli.main(wrong) == 1
    assert "pre-trained on night" in capsys.readouterr().err
    assert not (tmp_path / "bad").exists()

    # What starts from a checkpoint knows what that one knew.
    start = arguments(
        "pretrain",
        tmp_path / "more",
        clips=clips()[:1],
        weights=out / "without_dusk.safetensors",
        **{"steps": 1, "max-seconds": 4},
    )
    assert cli.main(start) == 0
    known = read_clips(tmp_path / "more" / "student.safetensors")
    assert known == [identify_clip(Path(folder)) for folder in clips()[::-1]]


@pytest.mark.parametrize("how", ["ctrl-c", "terminated"])
def test_interrupted_it_keeps_what_is_done_and_goes_on(tmp_path, how):
    words = arguments("table3", tmp_path, clips=clips()[:1], **{"max-seconds": 5, "jobs": 1})
    command = [sys.executable, "-m", "ams.experiments", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("runs/*.json")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    if how == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to every process
    else:
        process.terminate()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "goes on from there" in errors
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*.json")}
    assert 0 < len(done) < 21 and not (tmp_path / "table3.csv").exists()
    assert all("result" in json.loads(path.read_text()) for path in done)

    assert cli.main(words) == 0
    assert len(list(tmp_path.glob("runs/*.json"))) == 21
    assert {path: path.stat().st_mtime_ns for path in done} == done


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "nowhere.safetensors"}, "nowhere.safetensors are not there"),
        ({"student": "deeplabv3_mobilenetv2", "weights": None}, "pretrain"),
        ({"clips": ["nowhere"]}, "'nowhere' is not a clip folder: it has no clip.json and no"),
        ({"student": "edaent", "weights": None}, "edanet, deeplabv3_mobilenetv2"),
        ({"weights": None}, "AMS_DATA_DIR"),
        ({"downlink-kbps": 2, "strategy": "full"}, "--strategy and --downlink-kbps"),
        ({"downlink-kbps": 2, "profile": "reference"}, "--profile compact"),
        ({"classes": 5, "weights": None, "student": "none.pt"}, "none.pt"),
        ({"classes": 5}, "dusk has classes up to 13, but --classes 5 are 0 to 4"),
        ({"teacher": f"fddwnet:{WEIGHTS}"}, "these weights are of another network"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, capsys, monkeypatch, changes, message):
    monkeypatch.delenv("AMS_DATA_DIR", raising=False)
    assert cli.main(arguments("table1", tmp_path, **changes)) == 1
    assert message in capsys.readouterr().err


def test_results_go_to_a_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(arguments("table1", tmp_path / "file" / "out")) == 1
    assert "file/out' cannot be made a folder" in capsys.readouterr().err
    assert cli.main(arguments("table1", "/proc/none/out")) == 1  # where nobody can write
    assert "nothing can be written to '/proc'" in capsys.readouterr().err


def test_two_clips_of_one_name_are_refused(tmp_path, capsys):
    assert cli.main(arguments("table1", tmp_path, clips=[clips()[0], clips()[0]])) == 1
    assert "two clips are called dusk" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--jobs", "0"],
        ["--gamma", "1.5"],
        ["--input", "64"],
        ["--max-seconds", "-1"],
        ["--series", "everything"],
        ["--budgets-kbps", "0"],
        ["--input", "0x32"],
        ["--flow-size", "128x0"],
    ],
)
def test_wrong_flags_are_refused_by_name(tmp_path, capsys, wrong):
    with pytest.raises(SystemExit) as error:
        cli.main([*arguments("table1", tmp_path), *wrong])
    assert error.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_a_failing_run_is_named(tmp_path, capsys):
    changes = {"device": "cuda:99", "jobs": 1}  # only the run itself finds that there is none
    assert cli.main(arguments("fig3", tmp_path, **changes)) == 1
    assert "ams on dusk failed" in capsys.readouterr().err


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_beside_it(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
