from dataclasses import replace

import numpy as np
import pytest
from sim_support import WEIGHTS, clip, fast_ams, setting

import ams
from ams import sim
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.link import CONNECT_DOWNLINK_BYTES, CONNECT_UPLINK_BYTES
from ams.sim.load import add_load
from ams.sim.resize import resize_nearest
from ams.sim.schemes.remote_tracking import FlowTracker
from ams.sim.setting import select_classes
from ams.torch import NetworkPredictor, StudentSpec

LABELLED_FRAMES = 32


def stream(**limits):
    return sim.Stream([clip()], **limits)


def fast_jit(**changes):
    return sim.JustInTime(**{"max_iterations": 2, **changes})


def without_times(result):
    """All that must be equal for equal seeds: what took how long here does not."""
    details = {k: v for k, v in result.details.items() if k != "phase_wall_seconds"}
    return replace(result, details=details)


def test_no_customization_scores_the_student_as_it_is():
    given = setting()
    result = sim.run(stream(), sim.NoCustomization(), given)
    assert (result.uplink_bytes, result.downlink_bytes, result.updates) == (0, 0, 0)
    assert len(result.frames) == LABELLED_FRAMES and result.seconds == 16

    # The same by hand, frame by frame.
    spec = select_classes(given, stream()).student
    predictor = NetworkPredictor(spec)
    miou = ams.SlidingMiou(list(stream().classes), window_seconds=10)
    for frame in stream().frames():
        if frame.labels is not None:
            prediction = predictor.predict(frame.image)
            truth = resize_nearest(frame.labels, 64, 32)
            miou.add(prediction, truth, frame.capture_seconds)
    assert result.miou == pytest.approx(100 * miou.summary().sliding)
    assert result.miou_whole_video == pytest.approx(100 * miou.summary().whole_video)


def test_the_stream_selects_the_classes_and_nothing_else():
    spec = StudentSpec(
        input_width=96, input_height=64, mean=(0.1, 0.2, 0.3), standard_deviation=(1, 2, 3), seed=7
    )
    selected = select_classes(setting(student=spec), stream()).student
    assert selected.selected_classes == list(stream().classes)
    for name in ("network", "num_classes", "input_width", "input_height", "mean", "seed"):
        assert getattr(selected, name) == getattr(spec, name)
    assert selected.standard_deviation == spec.standard_deviation
    with pytest.raises(ValueError, match="the student has 5"):
        select_classes(setting(student=StudentSpec(num_classes=5)), stream())


def test_ams_adapts_counts_every_byte_and_both_ends_agree():
    plain = sim.run(stream(), sim.NoCustomization(), setting())
    result = sim.run(stream(), fast_ams(), setting())
    assert result.digests_equal is True
    assert result.updates == 4 == len(result.versions)
    assert result.details["connections"] == 1 and result.details["snapshots"] == 0
    # 5% of EDANet's parameters: payload, and what the socket costs besides.
    payload = result.updates * result.update_bytes_mean
    assert payload == pytest.approx(4 * 78_000, rel=0.1)
    assert CONNECT_DOWNLINK_BYTES + payload < result.downlink_bytes < 1.01 * payload + 2000
    assert result.uplink_bytes > CONNECT_UPLINK_BYTES
    assert result.miou > plain.miou
    # The first update: 4 s of samples, 0.2 s to encode, 4 x 0.05 s of teacher, 3 steps of 20 ms.
    first = 4 + 0.2 + 4 * 0.05 + 3 * 0.02 + 0.02
    assert first < result.versions[0][0] < first + 0.2


@pytest.mark.parametrize("kbps", [1.5, 6])
def test_a_downlink_budget_is_kept_with_every_byte_counted(kbps):
    long = sim.Stream([clip(seconds=40, fps=2, label_stride=1)])
    budget = fast_ams(downlink_budget_bps=1000 * kbps)
    result = sim.run(long, budget, setting())
    assert result.digests_equal is True
    assert 0.8 * kbps < result.downlink_kbps <= 1.05 * kbps
    assert "busiest_minute_kbps" not in result.details  # it is shorter
    minute = sim.run(sim.Stream([clip(seconds=70, fps=2, label_stride=1)]), budget, setting())
    assert 0.8 * kbps < minute.downlink_kbps <= 1.05 * kbps
    busiest_kbps = minute.details["busiest_minute_kbps"]
    assert 0.8 * kbps < busiest_kbps <= 1.05 * kbps
    # It is part of all that was sent, and two minutes cover that.
    all_kilobits = minute.downlink_kbps * minute.seconds
    assert busiest_kbps * 60 <= all_kilobits * (1 + 1e-9)
    assert all_kilobits <= 2 * busiest_kbps * 60


def test_a_phase_that_diverges_is_lost_and_nothing_else(caplog):
    wild = fast_ams(strategy="full", learning_rate=1e6, iterations=4)
    result = sim.run(stream(), wild, setting())
    assert result.details["phases_failed"] > 0 and result.digests_equal is True
    assert "phase_failed" in caplog.text


def test_wrong_options_are_refused_where_they_are_written():
    for options in (
        {"gamma": 2},
        {"strategy": "some"},
        {"iterations": 0},
        {"batch_size": 0},
        {"first_batch_seconds": -1},
    ):
        (name,) = options
        with pytest.raises(ams.InvalidArgumentError, match=name):
            sim.AMS(**options)


def test_flow_between_all_frames_tracks_as_well():
    street = [clip("flow", seconds=6, fps=8, label_stride=4)]
    few, all_frames = (
        sim.run(
            sim.Stream(street),
            sim.RemoteTracking(flow_width=128, flow_height=64, flow_every_frame=every),
            setting(),
        )
        for every in (False, True)
    )
    assert len(few.frames) == len(all_frames.frames) == 12
    assert few.downlink_bytes == all_frames.downlink_bytes
    assert all_frames.miou == pytest.approx(few.miou, abs=15)


def test_equal_seeds_give_equal_numbers_and_others_do_not():
    for scheme in (fast_ams(), fast_jit()):
        first, again = (sim.run(stream(max_seconds=8), scheme, setting(seed=5)) for _ in range(2))
        other = sim.run(stream(max_seconds=8), scheme, setting(seed=6))
        assert without_times(first) == without_times(again)
        assert first.frames != other.frames


def test_the_device_keeps_its_model_through_an_outage_and_resumes():
    outage = sim.Link(outages=((5.0, 9.0),))
    whole = sim.run(stream(), fast_ams(), setting())
    cut = sim.run(stream(), fast_ams(), setting(link=outage))
    assert cut.details["connections"] == 2
    assert cut.digests_equal is True
    assert [t for t, _ in cut.versions if 5 < t < 9] == []
    assert [t for t, _ in whole.versions if 5 < t < 9] != []
    assert cut.versions[-1][1] >= 3
    assert cut.uplink_bytes > 2 * CONNECT_UPLINK_BYTES


def test_one_time_sends_the_whole_model_once():
    result = sim.run(stream(), sim.OneTime(iterations=4, batch_size=2), setting())
    assert result.details["first_seconds"] == pytest.approx(16 / 3)
    assert result.details["samples"] == 6  # at 0, 1, ... 5 s
    assert result.updates == 1 == len(result.versions) and result.digests_equal is True
    assert result.update_bytes_mean > 1_000_000  # 686,679 parameters
    assert result.versions[0][0] > 16 / 3


def test_remote_tracking_shows_carried_labels():
    plain = sim.run(stream(), sim.NoCustomization(), setting())
    scheme = sim.RemoteTracking(flow_width=128, flow_height=64)
    result = sim.run(stream(), scheme, setting())
    assert result.updates == 16  # one label map a second, the first once it is connected
    assert 0 < result.downlink_kbps < result.uplink_kbps
    assert result.miou > plain.miou
    assert result.digests_equal is None


def test_just_in_time_trains_until_the_threshold_is_met():
    result = sim.run(stream(), fast_jit(threshold=0.99), setting())
    # Never met: as often as the stride allows, each frame with all iterations.
    assert result.details["frames_sent"] == 32  # every second frame of 4 fps
    assert result.updates == result.details["frames_trained"]
    assert result.details["iterations"] == 2 * result.updates
    assert result.digests_equal is True

    met = sim.run(stream(), fast_jit(threshold=0.01), setting())
    # Always met: nothing to train, and the stride grows to its longest.
    assert met.updates == 0 and met.details["iterations"] == 0
    assert met.sampling_rates[-1][1] == pytest.approx(30 / 64)
    assert met.details["frames_sent"] < result.details["frames_sent"]
    assert met.downlink_bytes < 2000


def test_just_in_time_comes_back_after_an_outage_with_a_snapshot():
    outage = sim.Link(outages=((5.02, 7.0),))
    result = sim.run(stream(), fast_jit(threshold=0.99), setting(link=outage))
    assert result.digests_equal is True
    assert [t for t, _ in result.versions if 5.1 < t < 7] == []
    assert result.versions[-1][0] > 15


def test_measured_times_are_those_of_this_machine():
    costs = sim.Costs(teacher_seconds=0, encode_seconds=0.2, measured=True)
    result = sim.run(stream(), fast_ams(), setting(costs=costs))
    assert result.updates >= 1 and result.digests_equal is True


def test_a_busy_accelerator_delays_updates():
    alone = sim.run(stream(), fast_ams(), setting())
    given = setting(costs=sim.Costs(teacher_seconds=0.3, encode_seconds=0.2))

    def load(clock, accelerator):
        add_load(
            clock,
            accelerator,
            clips=[clip()],
            devices=4,
            scheme=fast_ams(),
            setting=given,
            until_seconds=16,
        )

    shared = sim.run(stream(), replace(fast_ams(), prepare=load), given)
    assert shared.digests_equal is True
    assert shared.updates < alone.updates
    assert shared.versions[0][0] > alone.versions[0][0]


def test_an_accelerator_works_in_fair_turns():
    clock, order = Clock(), []
    accelerator = Accelerator(clock)

    def work(who):
        return lambda: (1.0, lambda: order.append((who, clock.now_seconds)))

    for who in ("a", "a", "b"):
        accelerator.request(who, work(who))
    accelerator.request("c", lambda: None)  # not wanted any more: takes no time
    clock.run()
    assert order == [("a", 1.0), ("b", 2.0), ("a", 3.0)]
    assert accelerator.busy_seconds == 3.0


def test_tracking_follows_a_shift():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (8, 24), dtype=np.uint8)
    texture = np.kron(coarse, np.ones((16, 16), np.uint8))  # [128, 384]
    world = np.repeat(texture[..., None], 3, 2)
    classes = (texture > 127).astype(np.uint8)
    tracker = FlowTracker(output_size=(128, 64), flow_size=(256, 128))
    for number in range(4):
        offset = 4 * number
        tracker.add_frame(number, np.ascontiguousarray(world[:, offset : offset + 256]))
    assert tracker.labels() is None
    tracker.take_labels(0, np.ascontiguousarray(classes[:, :256]))
    carried = tracker.labels()
    truth = resize_nearest(np.ascontiguousarray(classes[:, 12 : 12 + 256]), 128, 64)
    still = resize_nearest(np.ascontiguousarray(classes[:, :256]), 128, 64)
    inside = np.s_[8:-8, 8:-16]
    assert (carried == truth)[inside].mean() > 0.95 > (still == truth)[inside].mean()
    tracker.take_labels(3, truth)
    assert np.array_equal(tracker.labels(), truth)


def test_x264_codec_scales_down_and_pass_through_does_not_touch():
    frame = np.zeros((1100, 2048, 3), np.uint8)
    codec = sim.X264Codec(preset="ultrafast")
    (decoded,) = codec.decode(codec.encode([frame], 1.0), 1)
    assert decoded.shape == (512, 1024, 3)
    small = np.zeros((64, 96, 3), np.uint8)
    assert codec.decode(codec.encode([small], 1.0), 1)[0].shape == small.shape
    handles = [object(), object()]
    through = sim.PassThrough(frame_bytes=100)
    sent = through.encode(handles, 1.0)
    assert len(sent) == 200 and through.decode(sent, 2) == handles


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: sim.JustInTime(threshold=0), "threshold"),
        (lambda: sim.JustInTime(learning_rate=-1), "learning_rate"),
        (lambda: sim.JustInTime(momentum=1), "momentum"),
        (lambda: sim.JustInTime(max_iterations=0), "max_iterations"),
        (lambda: sim.JustInTime(min_stride_seconds=3), "stride"),
        (lambda: sim.JustInTime(gamma=3), "gamma"),
        (lambda: sim.JustInTime(profile="zip"), "reference, compact"),
        (lambda: sim.RemoteTracking(sampling_rate_fps=0), "sampling_rate_fps"),
        (lambda: sim.RemoteTracking(flow_width=0), "0 x 512"),
        (lambda: sim.OneTime(first_seconds=0), "first_seconds"),
        (lambda: sim.OneTime(learning_rate=-1), "learning_rate"),
        (lambda: sim.OneTime(iterations=12_000), "iterations"),
        (lambda: sim.Costs(teacher_seconds=-1), "teacher_seconds"),
        (lambda: Accelerator(Clock(), slots=0), "slots"),
        (lambda: sim.PassThrough(frame_bytes=0), "frame_bytes"),
    ],
)
def test_wrong_options_are_refused_by_name(make, name):
    with pytest.raises(ValueError, match=name):
        make()


def test_a_start_up_longer_than_the_stream_is_refused():
    with pytest.raises(ValueError, match="start_up_seconds"):
        sim.run(stream(), sim.NoCustomization(), setting(start_up_seconds=100))


def test_the_papers_settings_are_those_of_its_policy():
    ours = sim.AMS(**sim.paper_settings()).make_policy().to_dict()
    paper = ams.PaperPolicy().to_dict()
    assert {name: ours[name] for name in paper} == paper
    assert (ours["strategy"], ours["profile"]) == ("gradient_guided", "reference")
    assert ours["learning_rates_by_size"] is False
    roles = ("weight_multiplier", "normalization_multiplier", "head_multiplier")
    assert [ours[role] for role in roles] == [1, 1, 1]


def test_libams_by_default_updates_early_and_often():
    result = sim.run(stream(), sim.AMS(), setting())
    assert result.digests_equal is True
    assert result.versions[0][0] < 2  # the first sample leaves at once
    assert result.updates >= 6
    assert result.details["iterations"] > 0
    assert [name for _, name in result.details["scenes"]] == ["street"]
    plain = sim.run(stream(), sim.AMS(**sim.paper_settings()), setting())
    assert plain.details["restarts"] == plain.details["restarts_initial"] == 0


class Constant:
    """In place of a network: says one class, and counts what it is asked."""

    asked = 0

    def label(self, frame):
        Constant.asked += 1
        return np.zeros((8, 16), np.uint8)


def test_a_teacher_labels_what_the_server_decodes_and_keeps_it(tmp_path, monkeypatch):
    teacher = sim.Teacher(weights=str(WEIGHTS), cache=str(tmp_path / "labels"))
    monkeypatch.setattr("ams.torch.NetworkTeacher", lambda *args, **options: Constant())
    given = setting(teacher=teacher)
    first = sim.run(stream(), fast_ams(), given)
    asked = Constant.asked
    assert asked == first.details["samples"] > 0
    again = sim.run(stream(), fast_ams(), given)
    assert Constant.asked == asked  # from the cache
    assert again.miou == first.miou
    assert first.miou != sim.run(stream(), fast_ams(), setting()).miou
    assert "cache" not in teacher.settings() and str(WEIGHTS) not in str(teacher.settings())
