"""ServerHost and DeviceHost as Python sees them; tests/runtime has what they do."""

import gc
import logging
import weakref

import numpy as np
import pytest
from virtual_world import Trainer, initial, run_hosts

import ams
from ams import parts, protocol


def make_policy():
    return ams.FixedPolicy(strategy="full", learning_rate=0.1, update_interval_seconds=5)


class Now(parts.Executor):
    """Work takes no time."""

    now_seconds = 0.0

    def post(self, function):
        function()

    def submit(self, work):
        if work.run() is not None:
            work.finish()

    def forget(self, session):
        pass


class Sent(parts.ServerTransport, parts.DeviceTransport):
    """Keeps what is sent."""

    def __init__(self):
        self.messages, self.closed, self.connects = [], [], 0

    def connect(self):
        self.connects += 1

    def send(self, *message):
        self.messages.append(message[-1])

    def close(self, *reason):
        self.closed.append(reason[-1])

    def counters(self, *connection):
        return 0, 0


class Codec(parts.FrameCodec):
    def encode(self, frames, period_seconds):
        return bytes(len(frames))

    def decode(self, bitstream, capture_seconds):
        return [0.5] * len(capture_seconds)


class Teacher(parts.Teacher):
    def label(self, frame, capture_seconds):
        return 2 * frame + 1


class Store(parts.SessionStore):
    def __init__(self):
        self.records = {}

    def load(self, device_id):
        return self.records.get(device_id)

    def save(self, record):
        self.records[record.device_id] = record

    def erase(self, device_id):
        del self.records[device_id]


def server(**changes):
    given = {
        "initial": initial(),
        "task": ams.Task(),
        "make_policy": make_policy,
        "teacher": Teacher(),
        "trainer": Trainer(),
        "codec": Codec(),
        "executor": Now(),
        "transport": Sent(),
    }
    return ams.ServerHost(**{**given, **changes})


def say_hello(host, connection=1):
    host.on_connected(connection)
    held = initial()
    hello = protocol.Hello(
        device_id="a", manifest_digest=held.manifest.digest, held=held.version
    )
    host.on_message(connection, hello)


def send_frames(host, batch_id=1, connection=1):
    batch = protocol.FrameBatch(
        batch_id=batch_id, capture_seconds=[0.0, 1.0, 2.0, 3.0], bitstream=b"four"
    )
    host.on_message(connection, batch)


def test_a_batch_becomes_an_update():
    transport, store = Sent(), Store()
    host = server(transport=transport, store=store)
    assert host.session("a") is None and host.next_wake_seconds is None
    say_hello(host)
    assert isinstance(transport.messages[0], protocol.Welcome)
    send_frames(host)
    assert isinstance(transport.messages[-1], protocol.Update)
    session = host.session("a")
    assert session.connected and session.counters.updates == 1
    assert session.held_version == store.records["a"].held.version
    assert "ams_updates_total" in host.metrics()

    # Another server goes on from what was stored.
    again = server(transport=Sent(), store=store)
    say_hello(again)
    assert again.session("a").held_version == session.held_version


class Failing(Trainer):
    def __init__(self, error):
        self.error = error

    def train(self, job):
        raise self.error


def test_an_error_of_the_library_costs_a_phase_and_any_other_exception_comes_out():
    host = server(trainer=Failing(ams.UnavailableError("no accelerator")))
    say_hello(host)
    send_frames(host)
    session = host.session("a")
    assert session.counters.phases_failed == 1 and session.last_error == "no accelerator"
    for error in (KeyboardInterrupt(), ZeroDivisionError("a mistake")):
        host = server(trainer=Failing(error))
        say_hello(host)
        with pytest.raises(type(error)):
            send_frames(host)


class Offering(ams.UpdatePolicy):
    """Offers another state to start from."""

    def plan(self, context, random):
        return ams.PhasePlan(
            parameters=context.held.values,
            coordinates=ams.CoordinateSet.all(2),
            required_gradients=[True, True],
            other_starts=np.float32([[2, 1]]),
        )


def test_a_trainer_that_tries_starts_must_give_their_scores():
    class Trying(Trainer):
        def __init__(self, end):
            self.end = end

        def train(self, job):
            scores = job.try_starts(lambda values, samples: 1.0 if values[0] == 2 else 0.1)
            assert scores.start == 1 and job.parameters[0] == 2
            return self.end(job, scores)

    def by_hand(job, scores=None):
        return ams.TrainingResult(
            parameters=job.parameters, adam=job.adam, losses=[0.0], scores=scores
        )

    def result(job, scores=None):
        return job.result(losses=[0.0], scores=scores)

    for end in (by_hand, result):
        host = server(make_policy=Offering, trainer=Trying(end))
        say_hello(host)
        send_frames(host)
        session = host.session("a")
        assert session.counters.trials == 1 and session.counters.phases_failed == 0
        assert session.held.values[0] == 2

        host = server(make_policy=Offering, trainer=Trying(lambda job, scores, end=end: end(job)))
        say_hello(host)
        send_frames(host)
        session = host.session("a")
        assert session.counters.phases_failed == 1 and session.counters.updates == 0
        assert "no scores, and try_starts() has chosen" in session.last_error
        assert "scores=scores" in session.last_error


def test_parts_of_another_kind_are_refused():
    with pytest.raises(TypeError):
        server(task=3)
    with pytest.raises(ams.InvalidArgumentError, match="make_policy gave 3"):
        server(make_policy=lambda: 3)
    with pytest.raises(ams.InvalidArgumentError, match="normalisation layers"):
        server(make_policy=lambda: ams.FixedPolicy(strategy="normalization"))
    other = ams.ModelState(ams.Manifest([("weight", (2,))]), np.zeros(2, np.float32))
    differ = r"only the trainer's has 'bias'; 'weight' is \[2\] in the initial model and \[1\] in"
    with pytest.raises(ams.ManifestMismatchError, match=differ):
        server(initial=other)
    with pytest.raises(ams.InvalidArgumentError, match="max_devices"):
        server(max_devices=0)


def test_a_device_predicts_with_what_it_holds():
    class Student(parts.Predictor):
        def load(self, values):
            self.values = values

        def predict(self, frame):
            return self.values[0] * frame + self.values[1]

    seen, saved = [], []
    device = ams.DeviceHost(
        initial=initial(),
        active=Student(),
        inactive=Student(),
        codec=Codec(),
        executor=Now(),
        transport=Sent(),
        save=saved.append,
        on_prediction=lambda *prediction: seen.append(prediction),
    )
    assert device.predict(3.0) == 0
    device.start()
    device.on_connected()
    device.on_message(protocol.Welcome())
    state = initial()
    update = ams.encode_update(state, np.array([2, 1], np.float32), [0, 1])
    device.on_message(protocol.Update(update))
    assert device.model_version == 1 and device.client.held_version == state.version
    assert device.predict(3.0) == 7
    assert [(frame, value, version.number) for frame, value, version in seen] == [
        (3.0, 0, 0),
        (3.0, 7, 1),
    ]
    assert [state.version.number for state in saved] == [1]


def test_what_fails_is_a_warning_and_the_rest_is_for_debugging(caplog):
    caplog.set_level(logging.DEBUG, "ams.sim.device")
    run_hosts(ams.Task(), make_policy, seconds=12)
    levels = {record.getMessage().split()[2]: record.levelname for record in caplog.records}
    assert levels["update_sent"] == "DEBUG" and "phase_failed" not in levels


def test_hosts_are_collected_with_what_refers_to_them():
    device = run_hosts(ams.Task(), make_policy, seconds=12)
    lives = weakref.ref(device)
    gc.collect()
    assert lives() is not None
    del device
    gc.collect()
    assert lives() is None
