"""Both state machines in one process, in virtual time, with a model and a trainer in plain numpy.

The device sees numbers x; the teacher knows y = a x + b, where a and b change in mid-video.
"""

import pickle
import weakref

import numpy as np
import pytest

import ams
import ams.protocol

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


class World:
    """Carries out the actions of both ends at once; the link takes no time."""

    def __init__(self, *, phi=lambda a, b: abs(a[1] - b[1]), **options):
        initial = ams.ModelState(MANIFEST, np.zeros(100, np.float32))
        defaults = {
            "gamma": 0.02,
            "strategy": "first_layers",
            "learning_rate": 0.1,
            "update_interval_seconds": 5,
            "horizon_seconds": 30,
        }
        self.server = ams.ServerSession(
            initial, ams.SessionOptions(**{**defaults, **options}), phi=phi
        )
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
    with pytest.raises(ams.InvalidArgumentError, match="phi"):
        ams.ServerSession(world.server.held, ams.SessionOptions())
    with pytest.raises(ams.InvalidArgumentError, match="callable"):
        ams.ServerSession(world.server.held, ams.SessionOptions(), phi=3)


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


def test_options_tell_their_values():
    options = ams.SessionOptions(gamma=0.1, iterations=np.int64(7), epsilon_placement="inside_root")
    assert (options.gamma, options.iterations, options.epsilon_placement) == (0.1, 7, "inside_root")
    assert options.to_dict()["horizon_seconds"] == 240
    assert "gamma=0.1" in repr(options)
    assert ams.SessionOptions(**options.to_dict()).to_dict() == options.to_dict()
    client = ams.ClientOptions(device_id="a", ack_policy="applied")
    assert ams.ClientOptions(**client.to_dict()).to_dict() == client.to_dict()
    with pytest.raises(AttributeError):
        options.gamma = 0.2
    for bad in ({"device_id": ""}, {"ack_policy": "never"}, {"sampling_rate_fps": 0}):
        with pytest.raises(ams.InvalidArgumentError):
            ams.ClientOptions(**bad)
