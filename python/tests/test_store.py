"""ams.SqliteStore: a session goes on in another process."""

import subprocess
import sys

import numpy as np
import pytest
from virtual_world import Trainer, initial

import ams

pytest.importorskip("ams._serve")

GO_ON = """
import sys, ams
from test_store import go_on
print(*go_on(sys.argv[1]))
"""


class LineTask(ams.Task):
    """Samples are (x, y)."""

    def sample(self, frame, label):
        return frame, label


def policy():
    return ams.FixedPolicy(strategy="full", iterations=4, batch_size=2, min_samples=1, learning_rate=0.05)


def learn(session, first, count):
    """`count` phases. Gives the newest update."""
    update = None
    for number in range(first, first + count):
        now = 10.0 * number
        times = [now - 1, now]
        batch = ams.protocol.FrameBatch(batch_id=number, capture_seconds=times, bitstream=b"x")
        session.on_message(batch, now)
        samples = [(time, (0.1 * k, 0.2 * k + 1)) for k, time in enumerate(times)]
        actions = session.on_labelled(number, samples, now)
        assert session.training_due, actions
        actions = session.on_phase_done(Trainer().train(session.begin_phase(now)), now)
        update = next(a.message for a in actions if isinstance(a.message, ams.protocol.Update))
    return update


def hello(session, held, now):
    session.on_message(
        ams.protocol.Hello(device_id="camera", manifest_digest=held.manifest.digest, held=held.version),
        now,
    )


def go_on(folder):
    """In another process: two more phases. Gives the new version and the device's."""
    record = ams.SqliteStore(folder, initial()).load("camera")
    session = ams.ServerSession.from_record(record, initial(), LineTask(), policy())
    device = record.held  # a copy
    hello(session, device, 30.0)
    for number in (4, 5):
        ams.apply_update(learn(session, number, 1).data, device)
    return session.held_version.number, device.version == session.held_version


def test_a_session_goes_on_in_another_process(tmp_path):
    folder = tmp_path / "sessions"
    session = ams.ServerSession(initial(), LineTask(), policy())
    hello(session, initial(), 0.0)
    learn(session, 1, 3)
    store = ams.SqliteStore(folder, initial())
    with pytest.raises(ams.InvalidArgumentError, match="device_id"):  # nobody has said Hello
        store.save(ams.ServerSession(initial(), LineTask(), policy()).record())
    store.save(session.record(), "camera")
    assert store.load("another") is None
    kept = store.load("camera")
    assert kept.device_id == "camera"
    assert kept.held.version == session.held_version
    np.testing.assert_array_equal(kept.held.values, session.record().held.values)
    assert kept.adam.step_count == session.record().adam.step_count
    assert kept.counters.updates == 3
    del store
    ran = subprocess.run(
        [sys.executable, "-c", GO_ON, folder],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=__file__.rpartition("/")[0],
    )
    assert ran.returncode == 0, ran.stderr
    number, is_equal = ran.stdout.split()
    assert (int(number), is_equal) == (session.held_version.number + 2, "True")


def test_what_is_damaged_is_set_aside(tmp_path):
    (tmp_path / "sessions.db").write_bytes(b"no database" * 100)
    store = ams.SqliteStore(tmp_path, initial())
    assert store.load("camera") is None
    assert (tmp_path / "sessions.db.damaged").exists()
    with pytest.raises(ams.UnavailableError):
        ams.SqliteStore(tmp_path, initial())  # it is open
    with pytest.raises(ams.InvalidArgumentError, match="fingerprint"):
        ams.SqliteStore(tmp_path, initial(), fingerprint=-1)
