"""Both state machines in one process, in virtual time, with a model and a trainer in plain numpy.

The device sees numbers x; the teacher knows y = a x + b, where a and b change in mid-video.
"""

import gc
import pickle
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import ams
import ams.protocol
from ams.sim.link import CONNECT_DOWNLINK_BYTES, message_socket_bytes

MANIFEST = ams.Manifest([("weight", (1,)), ("bias", (1,)), ("unused", (98,))])


def teacher(seconds, x):
    return 2 * x + 1 if seconds < 60 else -1 * x + 3


def train(job):
    losses = []
    for batch in job.mini_batches:
        x, y = (np.array([sample[i] for sample in batch]) for i in (0, 1))
        error = job.parameters[0] * x + job.parameters[1] - y
        gradients = np.zeros(MANIFEST.dimension, np.float32)
        gradients[0], gradients[1] = (2 * error * x).mean(), (2 * error).mean()
        losses.append(float((error**2).mean()))
        job.step(gradients)
    return job.result(losses=losses, seconds=0.5)


class Task(ams.Task):
    def __init__(self, phi):
        super().__init__()
        self.phi_of = phi

    def phi(self, previous, current):
        return self.phi_of(previous, current)


PAPER_PACE = {
    "buffer_samples": 4096,
    "iterations": 20,
    "min_samples": 4,
    "least_spacing": 1,
    "recency_seconds": 0,
    "trainer_share": 0,
    "start_states": 0,
}


PLAIN = {
    "gamma": 0.02,
    "weight_multiplier": 1,
    "normalization_multiplier": 1,
    "head_multiplier": 1,
    "profile": "reference",
    "relative_step": 1,
}


class World:
    """Carries out the actions of both ends at once; the link takes no time."""

    def __init__(self, *, manifest=MANIFEST, phi=lambda a, b: abs(a[1] - b[1]), **options):
        initial = ams.ModelState(manifest, np.zeros(manifest.dimension, np.float32))
        options = {
            "learning_rate": 0.1,
            "update_interval_seconds": 5,
            "horizon_seconds": 30,
            **PAPER_PACE,
            **options,
        }
        if "budget_bps" in options:
            policy = ams.BudgetPolicy(**options)
        else:
            policy = ams.FixedPolicy(**{**PLAIN, "strategy": "first_layers", **options})
        self.server = ams.ServerSession(initial, Task(phi), policy)
        self.device = ams.EdgeClient(initial.copy(), ams.ClientOptions(first_batch_seconds=2))
        self.now = 0.0
        self.published, self.losses, self.log = [], [], []
        self.train = train

    def run(self, actions):
        actions = list(actions)
        while actions:
            action = actions.pop(0)
            self.log.append(type(action).__name__)
            actions += self.carry_out(action) or []

    def carry_out(self, action):
        server, device, now = self.server, self.device, self.now
        match action:
            case ams.ConnectToServer():
                return device.on_connected(now)
            case ams.SendToServer():
                return server.on_message(action.message, now)
            case ams.EncodeBuffer():
                return device.on_encoded(action.batch_id, pickle.dumps(action.frames), now)
            case ams.Publish():
                self.published.append(action.version)
                return device.on_published(action.version, now)
            case ams.Persist():
                assert action.version == device.held_version
            case ams.DisconnectServer():
                return server.on_disconnect(now) + device.on_disconnected(action.reason, now)
            case ams.SendToDevice():
                return device.on_message(action.message, now)
            case ams.LabelBatch():
                frames = pickle.loads(action.bitstream)
                samples = [
                    (seconds, (x, teacher(seconds, x)))
                    for seconds, x in zip(action.capture_seconds, frames, strict=True)
                ]
                return server.on_labelled(action.batch_id, samples, now)
            case ams.TrainingDue():
                result = self.train(server.begin_phase(now))
                self.losses.append(result.losses)
                return server.on_phase_done(result, now)
            case ams.DisconnectDevice():
                return server.on_disconnect(now) + device.on_disconnected(action.reason, now)
            case _:
                raise AssertionError(action)

    def play(self, until_seconds, fps=10):
        """The video from where it is to until_seconds."""
        rng = np.random.default_rng(int(self.now))
        for k in range(round(self.now * fps), round(until_seconds * fps)):
            self.now = k / fps
            self.run(self.device.on_frame(self.now, float(rng.uniform(-1, 1)), self.now))
            for end in (self.device, self.server):
                if end.next_wake_seconds is not None and end.next_wake_seconds <= self.now:
                    self.run(end.on_time(self.now))


def test_a_device_learns_and_follows_a_change():
    world = World(phi_target=10.0)
    world.run(world.device.on_start(0))
    world.play(55)
    weights = world.device.held.values[:2]
    assert np.allclose(weights, [2, 1], atol=0.1)
    world.play(130)
    assert np.allclose(world.device.held.values[:2], [-1, 3], atol=0.15)

    assert world.device.held_version == world.server.held_version == world.published[-1]
    assert world.server.confirmed == world.server.held_version
    assert (world.device.held.values[2:] == 0).all()
    counters = world.server.counters
    assert counters.phases == counters.updates == len(world.losses) > 10
    assert counters.update_coordinates == 2 * counters.updates
    assert world.device.counters.updates == counters.updates
    assert counters.phase_seconds == pytest.approx(0.5 * counters.phases)
    assert counters.to_dict()["acks"] == counters.acks == counters.updates
    assert world.losses[0][-1] < world.losses[0][0]
    # phi stays under a target of 10, so equation (1) takes the rate down.
    assert world.device.sampling_rate_fps == world.server.sampling_rate_fps < 1


def test_the_end_is_orderly():
    world = World()
    world.run(world.device.on_start(0))
    world.play(20)
    world.run(world.device.on_stop("enough", 20))
    assert world.device.stopped and not world.server.connected
    assert world.device.held_version == world.server.held_version


def test_a_job_is_numpy_on_its_own_memory():
    world = World(adapt_sampling_rate=False, phi=None)
    jobs = []

    def look(job):
        jobs.append(job)
        assert job.parameters.flags.writeable and job.parameters.dtype == np.float32
        assert job.adam.first_moment.shape == (100,)
        assert job.coordinates.indices.tolist() == [0, 1]
        assert job.required_gradients == [True, True, False]
        assert job.manifest == MANIFEST
        assert job.adam_options["learning_rate"] == 0.1
        assert [len(batch) for batch in job.mini_batches] == [8] * 20
        return train(job)

    world.train = look
    world.run(world.device.on_start(0))
    world.play(10)
    job = jobs.pop(0)
    jobs.clear()
    result = ams.TrainingResult(parameters=job.parameters, adam=job.adam, losses=[1, 2.5])
    view = job.parameters
    del job
    assert view.shape == (100,) and result.parameters[0] == view[0] != 0
    assert result.adam.step_count == 20
    assert result.losses == [1, 2.5]


def test_a_phase_that_fails_leaves_everything_as_it_was():
    world = World()

    def diverge(job):
        job.parameters[0] = np.nan
        return job.result(losses=[])

    world.train = diverge
    world.run(world.device.on_start(0))
    world.play(8)
    assert world.server.counters.phases_failed >= 1
    assert world.server.held_version.number == 0
    assert world.server.last_error
    world.train = train
    world.play(40)
    assert world.server.counters.phases >= 1


def test_an_error_of_phi_is_skipped_and_other_exceptions_come_out():
    def phi(previous, current):
        calls.append(current)
        raise failure

    calls, failure = [], ams.UnavailableError("cannot be compared")
    world = World(phi=phi)
    world.run(world.device.on_start(0))
    world.play(10)
    assert calls and world.server.counters.samples > len(calls)
    assert world.server.sampling_rate_fps == 1

    failure = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        world.play(30)
    # The session goes on.
    calls_before, failure = len(calls), ams.UnavailableError("no")
    samples = world.server.counters.samples
    world.play(60)
    assert len(calls) > calls_before
    assert world.server.counters.samples > samples


def test_drivers_mistakes_are_refused_and_change_nothing():
    world = World()
    result = ams.TrainingResult(
        parameters=np.zeros(100, np.float32), adam=ams.AdamState(100), losses=[]
    )
    for call in (
        lambda: world.server.begin_phase(0),
        lambda: world.server.on_phase_done(result, 0),
        lambda: world.server.on_phase_failed("why not", 0),
        lambda: world.server.on_labelled(1, [], 0),
        lambda: world.server.on_time(float("nan")),
        lambda: world.device.on_encoded(1, b"x", 0),
        lambda: world.device.on_start(float("inf")),
    ):
        with pytest.raises(ams.InvalidArgumentError):
            call()
    with pytest.raises(TypeError):
        world.server.on_message("hello", 0)
    for task, policy in ((None, ams.PaperPolicy()), (ams.Task(), None), (3, ams.PaperPolicy())):
        with pytest.raises(TypeError):
            ams.ServerSession(world.server.held, task, policy)


def test_liars_are_answered_and_disconnected():
    world = World()
    actions = world.server.on_message(ams.protocol.Ack(held=ams.ModelVersion(3, 4)), 0)
    assert [type(action) for action in actions] == [ams.SendToDevice, ams.DisconnectDevice]
    assert isinstance(actions[0].message, ams.protocol.Fault)
    assert actions[0].message.code == "protocol_violation"
    world.run(world.device.on_start(0))
    assert world.device.streaming is False or world.server.connected


def test_held_is_a_copy_that_outlives_the_session():
    world = World()
    world.run(world.device.on_start(0))
    before = world.device.held
    values = before.values
    world.play(20)
    assert world.device.held_version.number > 0
    assert before.version.number == 0 and (values == 0).all()


def test_samples_and_frames_are_let_go():
    class Frame:
        pass

    initial = ams.ModelState(MANIFEST, np.zeros(100, np.float32))
    client = ams.EdgeClient(initial, ams.ClientOptions())
    client.on_start(0)
    frame = Frame()
    reference = weakref.ref(frame)
    client.on_frame(0, frame, 0)
    del frame
    assert reference() is not None and client.buffered_frames == 1
    del client
    assert reference() is None


def test_other_threads_run_while_an_update_is_taken_in():
    manifest = ams.Manifest([("weight", (2_000_000,))])
    initial = ams.ModelState(manifest, np.zeros(manifest.dimension, np.float32))
    trained = np.random.default_rng(1).normal(size=manifest.dimension).astype(np.float32)
    update = ams.encode_update(initial.copy(), trained, ams.CoordinateSet.all(manifest.dimension))
    client = ams.EdgeClient(initial, ams.ClientOptions())
    client.on_start(0)
    client.on_connected(0)
    client.on_message(ams.protocol.Welcome(), 0)
    client.on_frame(0, object(), 0)  # what it keeps of Python is left alone

    stop = threading.Event()
    turns = 0

    def take_turns():
        nonlocal turns
        while not stop.is_set():
            turns += 1
            time.sleep(0)

    other = threading.Thread(target=take_turns)
    before_seconds = sys.getswitchinterval()
    other.start()
    try:
        while turns == 0:
            time.sleep(0.001)
        sys.setswitchinterval(1000)  # from here on, a thread runs only where the other one lets it
        turns_before = turns
        actions = client.on_message(ams.protocol.Update(update), 1)
        turns_after = turns
    finally:
        sys.setswitchinterval(before_seconds)
        stop.set()
        other.join()
    assert client.held_version.number == 1 and actions
    assert turns_after > turns_before


def test_a_driver_that_is_the_task_is_collected_with_its_session():
    class Driver(ams.Task):
        def __init__(self):
            super().__init__()
            initial = ams.ModelState(MANIFEST, np.zeros(MANIFEST.dimension, np.float32))
            self.session = ams.ServerSession(initial, self, ams.PaperPolicy())

        def phi(self, previous, current):
            return 0.0

    driver = Driver()
    driver_lives = weakref.ref(driver)
    gc.collect()
    assert driver_lives() is not None  # and its phi with it
    del driver
    gc.collect()
    assert driver_lives() is None


def test_task_and_policy_live_as_long_as_their_session():
    initial = ams.ModelState(MANIFEST, np.zeros(MANIFEST.dimension, np.float32))

    class Policy(ams.UpdatePolicy):
        sampling_rate_fps = 0.25

    task, policy = Task(None), Policy()
    session = ams.ServerSession(initial, task, policy)
    lives = [weakref.ref(task), weakref.ref(policy)]
    del task, policy
    gc.collect()
    assert all(each() is not None for each in lives)
    assert session.sampling_rate_fps == 0.25 and session.update_interval_seconds == 2
    del session
    gc.collect()
    assert all(each() is None for each in lives)


def test_what_is_lent_to_a_policy_is_good_within_the_call():
    lent = []

    class Policy(ams.UpdatePolicy):
        def plan(self, context, random):
            assert 0 <= random.uniform() < 1 and random.below(3) in (0, 1, 2)
            assert context.new_samples == context.samples == 1
            assert context.latest_begin_seconds is None
            lent.append((context, random))
            held = context.held
            return ams.PhasePlan(
                parameters=held.values,
                coordinates=ams.CoordinateSet.all(held.values.size),
                required_gradients=[True] * 3,
                iterations=2,
                batch_size=3,
            )

    initial = ams.ModelState(MANIFEST, np.zeros(MANIFEST.dimension, np.float32))
    session = ams.ServerSession(initial, ams.Task(), Policy())
    hello = ams.protocol.Hello(
        device_id="a", manifest_digest=MANIFEST.digest, held=initial.version
    )
    session.on_message(hello, 0)
    batch = ams.protocol.FrameBatch(batch_id=1, capture_seconds=[0.0], bitstream=b"x")
    session.on_message(batch, 1)
    session.on_labelled(1, [(0.0, "sample")], 1)
    job = session.begin_phase(1)
    assert job.mini_batches == [["sample"] * 3] * 2
    (context, random), = lent
    for call in (lambda: context.held, lambda: random.uniform()):
        with pytest.raises(ams.InvalidArgumentError, match="within the call"):
            call()


def test_a_session_goes_on_from_its_record():
    world = World()
    world.run(world.device.on_start(0))
    world.play(20)
    record = world.server.record()
    assert record.device_id == "device" and record.held.version == world.server.held_version
    initial = ams.ModelState(MANIFEST, np.zeros(MANIFEST.dimension, np.float32))
    again = ams.ServerSession.from_record(record, initial, Task(None), ams.PaperPolicy())
    assert again.held_version == world.server.held_version
    assert again.counters.updates == world.server.counters.updates > 0
    assert again.device_id == "device" and not again.connected


def test_options_tell_their_values():
    options = ams.SessionOptions(seed=np.int64(7), max_buffer_samples=3)
    assert (options.seed, options.max_buffer_samples, options.session_id) == (7, 3, 1)
    assert ams.SessionOptions(**options.to_dict()).to_dict() == options.to_dict()
    policy = ams.FixedPolicy(gamma=0.1, iterations=np.int64(7), epsilon_placement="inside_root")
    assert (policy.gamma, policy.iterations, policy.epsilon_placement) == (0.1, 7, "inside_root")
    assert policy.horizon_seconds == policy.to_dict()["horizon_seconds"] == 240
    assert "gamma=0.1" in repr(policy)
    assert ams.FixedPolicy(**policy.to_dict()).to_dict() == policy.to_dict()
    client = ams.ClientOptions(device_id="a", ack_policy="applied")
    assert ams.ClientOptions(**client.to_dict()).to_dict() == client.to_dict()
    for immutable in (options, policy):
        with pytest.raises(AttributeError):
            immutable.seed = immutable.gamma = 0.2
    for bad in ({"device_id": ""}, {"ack_policy": "never"}, {"sampling_rate_fps": 0}):
        with pytest.raises(ams.InvalidArgumentError):
            ams.ClientOptions(**bad)


def test_strategies_are_values():
    strategy = ams.unite(ams.normalization(), ams.gradient_guided(0.05))
    assert strategy.name == "normalization+gradient_guided"
    assert strategy.required_gradients(GROUPS) == [True, True, True]
    assert ams.normalization().required_gradients(GROUPS) == [False, True, False]
    assert ams.make_selection_strategy("first_layers", 0.1).name == "first_layers"
    policy = ams.FixedPolicy(strategy=strategy)
    assert policy.strategy is strategy
    values = np.zeros(GROUPS.dimension, np.float32)
    ams.ServerSession(ams.ModelState(GROUPS, values), ams.Task(), policy)
    with pytest.raises(ams.InvalidArgumentError, match="gamma"):
        ams.gradient_guided(0)
    with pytest.raises(ams.InvalidArgumentError, match="a Strategy, or a name"):
        ams.FixedPolicy(strategy=3)


GROUPS = ams.Manifest(
    [
        ("conv", (20000,)),
        ("norm", (400,), "parameter", "normalization"),
        ("head", (1000,), "parameter", "head"),
    ]
)


def noisy_train(job):
    """Moves what it may at random: the dearest updates that there are."""
    rng = np.random.default_rng(job.adam.step_count)
    for _ in job.mini_batches:
        job.step(rng.standard_normal(job.parameters.size).astype(np.float32))
    return job.result(losses=[1.0] * len(job.mini_batches))


def move(job, movement, loss=1.0):
    """A phase that adds `movement` to what it may move."""
    chosen = job.coordinates.indices
    job.parameters[chosen] += movement[chosen]
    return job.result(losses=[loss] * len(job.mini_batches))


class CountingWorld(World):
    """Notes the size of every message of the downlink, with its time."""

    def __init__(self, **options):
        if not ams.build_info()["layers"]["net"]:
            pytest.skip("built without the net layer, which makes the messages that are counted")
        options = {"adapt_sampling_rate": False, "phi": None, **options}
        super().__init__(manifest=GROUPS, **options)
        self.train = self.note_and_train
        self.sent, self.coordinates = [], []

    def note_and_train(self, job):
        self.coordinates.append(job.coordinates)
        return noisy_train(job)

    def carry_out(self, action):
        if isinstance(action, ams.SendToDevice):
            size = message_socket_bytes(action.message, from_device=False)
            self.sent.append((self.now, size))
        return super().carry_out(action)


@pytest.mark.parametrize("budget_bps", [500, 2000, 20000])
def test_a_downlink_budget_is_kept_and_used(budget_bps):
    world = CountingWorld(budget_bps=budget_bps)
    world.sent.append((0.0, CONNECT_DOWNLINK_BYTES))
    world.run(world.device.on_start(0))
    world.play(300)
    for end in np.arange(60, 300, 5.0):
        window = sum(size for now, size in world.sent if end - 60 <= now <= end)
        assert window <= 1.02 * budget_bps / 8 * 60
    assert sum(size for _, size in world.sent) > 0.6 * budget_bps / 8 * 300
    assert world.device.held_version == world.server.held_version
    assert np.array_equal(world.device.held.values, world.server.held.values)
    counters = world.server.counters
    assert counters.updates > 20 and counters.update_bytes < budget_bps / 8 * 300
    assert counters.phases_withheld == counters.to_dict()["phases_withheld"]
    largest = max(len(coordinates) for coordinates in world.coordinates)
    if budget_bps == 500:  # the groups and little else
        assert 400 <= largest <= 1400 + 0.05 * GROUPS.dimension
    if budget_bps == 20000:  # nearly everything
        assert largest > 0.2 * GROUPS.dimension


def test_updates_that_do_not_fit_are_withheld_and_counted():
    world = CountingWorld(budget_bps=50, overhead_bytes=20)
    world.run(world.device.on_start(0))
    world.play(120)
    assert world.server.counters.phases_withheld > 5
    assert world.device.held_version == world.server.held_version


def test_movement_too_small_for_a_coarse_update_arrives_late_and_not_never():
    world = CountingWorld(budget_bps=500)
    coordinate, drift = 20100, 0.01  # a scale
    phases = []

    def drifting_train(job):
        rng = np.random.default_rng(len(phases))
        phases.append(job)
        noise = rng.normal(0, 0.03, job.parameters.size).astype(np.float32)
        noise[coordinate] = drift
        return move(job, noise)

    world.train = drifting_train
    world.run(world.device.on_start(0))
    world.play(300)
    moved = world.device.held.values[coordinate]
    assert 0.6 * drift * len(phases) < moved < 1.2 * drift * len(phases)


def test_a_withheld_phase_is_kept_and_a_failed_one_is_not():
    world = CountingWorld(budget_bps=50, overhead_bytes=20)
    begun, results = [], []

    def train_or_fail(job):
        begun.append(np.array(job.parameters))
        noise = np.random.default_rng(len(begun)).normal(0, 0.03, job.parameters.size)
        result = move(job, noise.astype(np.float32))
        results.append(np.array(result.parameters))
        if len(begun) % 3 == 0:
            return job.result(losses=[float("nan")] * len(job.mini_batches))
        return result

    world.train = train_or_fail
    world.run(world.device.on_start(0))
    world.play(60)
    counters = world.server.counters
    assert counters.phases_withheld > 2 and counters.phases_failed > 2
    norm = slice(20000, 20400)
    for i in range(1, len(begun)):
        # What the phase before gave, or what that one began with.
        before = begun[i - 1] if i % 3 == 0 else results[i - 1]
        assert np.allclose(begun[i][norm], before[norm], rtol=0, atol=1e-6)


def test_an_update_that_waits_for_an_absent_device_is_charged_when_it_goes_out():
    world = CountingWorld(budget_bps=500)
    world.sent.append((0.0, CONNECT_DOWNLINK_BYTES))
    lost = []

    def lose_the_link_and_train(job):
        if not lost:
            lost.append(world.now)
            world.run(
                world.server.on_disconnect(world.now)
                + world.device.on_disconnected("lost", world.now)
            )
            assert not world.server.connected
            world.sent.append((world.now, CONNECT_DOWNLINK_BYTES))  # that comes soon
        return noisy_train(job)

    world.train = lose_the_link_and_train
    world.run(world.device.on_start(0))
    world.play(120)
    assert world.server.counters.updates_sent_again == 1
    sent = sum(size for _, size in world.sent)
    assert 0.9 * 500 / 8 * 115 < sent <= 500 / 8 * 120
    assert world.device.held_version == world.server.held_version


@pytest.mark.parametrize(
    ("sign", "goes_out"),
    [
        ("nothing", False),
        ("phi", True),
        ("phi of a phase that failed", True),
        ("phi of flickering labels", False),
    ],
)
def test_what_was_saved_goes_out_when_the_scene_changes(sign, goes_out):
    phis = {"phi of flickering labels": (0.001, 0.1)}.get(sign, (0.2, 2.0))

    def phi(previous, current):
        is_new = 57 < world.now < 62.9 and sign.startswith("phi")
        return phis[1] if is_new else phis[0]

    world = CountingWorld(
        budget_bps=2000, link_bps=1e6, phi=phi, adapt_sampling_rate=True
    )

    def train_little_until_the_change(job):
        # Quiet phases save; then comes one that could use more than there is.
        is_new = world.now > 57
        if world.now < 62.9 and is_new and "failed" in sign:
            return job.result(losses=[float("nan")])
        noise = np.random.default_rng(1).normal(0, 1, GROUPS.dimension).astype(np.float32)
        return move(job, noise if is_new else 0 * noise, 1.0)

    world.train = train_little_until_the_change
    world.run(world.device.on_start(0))
    world.play(70)
    largest = max(size for now, size in world.sent if now > 57)
    saved = 2000 / 8 * 57 - sum(size for now, size in world.sent if now <= 57)
    assert world.server.counters.phases_failed == ("failed" in sign)
    assert (largest > 0.7 * saved) == goes_out


def test_a_budget_policy_chooses_the_strategy_itself():
    policy = ams.BudgetPolicy(budget_bps=2000, window_seconds=30)
    assert policy.budget_bps == 2000 and policy.window_seconds == 30
    assert ams.BudgetPolicy(**policy.to_dict()).to_dict() == policy.to_dict()
    assert (ams.PaperPolicy().gamma, ams.FixedPolicy().strategy) == (0.05, None)
    for name, value in (("strategy", "full"), ("gamma", 0.05)):
        with pytest.raises(TypeError, match=f"no keyword argument '{name}'"):
            ams.BudgetPolicy(budget_bps=2000, **{name: value})
    with pytest.raises(ams.InvalidArgumentError, match="budget_bps is 1"):
        ams.BudgetPolicy(budget_bps=1)
    with pytest.raises(ams.InvalidArgumentError, match="budget_bps is 'much'"):
        ams.BudgetPolicy(budget_bps="much")


def jobs_with_equal_gradients(world, seconds):
    """The jobs of a stream whose gradients are all ones."""
    jobs = []

    def learn(job):
        jobs.append(job)
        for _ in job.mini_batches:
            job.step(np.ones(GROUPS.dimension, np.float32))
        return job.result(losses=[1.0])

    world.train = learn
    world.run(world.device.on_start(0))
    world.play(seconds)
    return jobs


@pytest.mark.parametrize("budget_bps", [600, 2000, 400_000])
def test_with_a_budget_what_is_trained_learns_as_fast_as_suits_it(budget_bps):
    world = World(
        manifest=GROUPS,
        adapt_sampling_rate=False,
        phi=None,
        budget_bps=budget_bps,
        normalization_multiplier=2,
    )
    names = ("weight_multiplier", "normalization_multiplier", "head_multiplier")
    found = [
        (len(job.coordinates), *(job.adam_options[name] for name in names))
        for job in jobs_with_equal_gradients(world, 40)
    ]
    assert found
    for count, *multipliers in found:
        if count == GROUPS.dimension:
            assert multipliers == [1, 2, 1]
        elif count <= 1400:  # groups alone
            assert multipliers == [1, 10, 4 if count == 1400 else 1]
        else:
            of_fraction = min(4, (GROUPS.dimension / (count - 1400)) ** 0.5)
            assert multipliers == pytest.approx([of_fraction, 10, 4], rel=0.01)
    if budget_bps == 400_000:
        assert found[-1][0] == GROUPS.dimension
    if budget_bps == 600:
        assert any(1400 < count < GROUPS.dimension for count, *_ in found)


def test_compact_and_multipliers_are_options_of_a_policy():
    multipliers = {"normalization_multiplier": 5, "head_multiplier": 0.5}
    world = World(
        manifest=GROUPS,
        adapt_sampling_rate=False,
        phi=None,
        strategy="normalization_and_head+gradient_guided",
        gamma=0.01,
        profile="compact",
        relative_step=0.5,
        step_exponent=-14,
        **multipliers,
    )
    job = jobs_with_equal_gradients(world, 20)[0]
    assert job.required_gradients == [True] * 3
    assert len(job.coordinates) == 1400 + round(0.01 * GROUPS.dimension)
    for name, value in {"weight_multiplier": 1, **multipliers}.items():
        assert job.adam_options[name] == value
    chosen = job.coordinates.indices
    weight, norm, head = (
        abs(job.parameters[i]) for i in (chosen[0], GROUPS.tensors[1].offset, 20400)
    )
    assert norm / weight == pytest.approx(5, rel=1e-3)
    assert head / weight == pytest.approx(0.5, rel=1e-3)
    assert world.server.counters.updates > 1
    assert world.device.held_version == world.server.held_version
    options = ams.FixedPolicy(
        profile="compact", relative_step=0.5, weight_step_multiplier=4, step_exponent=-14
    )
    assert (options.profile, options.relative_step) == ("compact", 0.5)
    assert options.weight_step_multiplier == 4
    assert options.step_exponent == -14
    for wrong, word in (
        ({"relative_step": -1}, "relative_step"),
        ({"weight_step_multiplier": 0}, "weight_step_multiplier"),
        ({"step_exponent": [1]}, "step_exponent"),
        ({"head_multiplier": 0}, "head"),
    ):
        with pytest.raises(ams.InvalidArgumentError, match=word):
            ams.FixedPolicy(**wrong)


def first_job(manifest, policy):
    initial = ams.ModelState(manifest, np.ones(manifest.dimension, np.float32))
    session = ams.ServerSession(initial, ams.Task(), policy)
    hello = ams.protocol.Hello(
        device_id="test", manifest_digest=manifest.digest, held=initial.version
    )
    session.on_message(hello, 0)
    batch = ams.protocol.FrameBatch(batch_id=1, capture_seconds=[0.0], bitstream=b"frame")
    session.on_message(batch, 1)
    session.on_labelled(1, [(0.0, "sample")], 1)
    return session.begin_phase(1)


def test_the_defaults_of_a_policy_are_the_recommended_settings():
    job = first_job(GROUPS, ams.FixedPolicy())
    assert job.required_gradients == [False, True, True]
    assert job.adam_options["learning_rate"] == 0.002
    names = ("weight_multiplier", "normalization_multiplier", "head_multiplier")
    assert [job.adam_options[name] for name in names] == [1, 5, 4]
    policy = ams.FixedPolicy()
    assert (policy.profile, policy.relative_step) == ("compact", 2)
    assert (policy.update_interval_seconds, policy.iterations) == (2, 8)
    assert policy.strategy is None
    # A model without normalisation layers is trained whole.
    job = first_job(MANIFEST, ams.FixedPolicy())
    assert len(job.coordinates) == MANIFEST.dimension
    assert job.adam_options["weight_multiplier"] == 1
    # gamma alone asks for the fraction that moved most.
    job = first_job(GROUPS, ams.FixedPolicy(gamma=0.25))
    assert len(job.coordinates) == round(0.25 * GROUPS.dimension)
    assert job.adam_options["weight_multiplier"] == 4
    # A strategy has its own, by name or as a value, unless others are given.
    for strategy in ("gradient_guided", ams.gradient_guided(0.05)):
        job = first_job(GROUPS, ams.FixedPolicy(strategy=strategy, head_multiplier=3))
        assert [job.adam_options[name] for name in names] == [16, 16, 3]


def test_a_strategy_by_group_needs_its_group():
    initial = ams.ModelState(MANIFEST, np.zeros(100, np.float32))
    with pytest.raises(ams.InvalidArgumentError, match="normalisation layers"):
        ams.ServerSession(initial, ams.Task(), ams.FixedPolicy(strategy="normalization"))
