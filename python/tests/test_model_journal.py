"""A device's model on its disk: what was saved is found, whatever a kill has left."""

import numpy as np
import pytest

import ams


class Device:
    def __init__(self):
        self.manifest = ams.Manifest([("weight", (5000,))])
        self.rng = np.random.default_rng(0)
        self.state = ams.ModelState(self.manifest, self.rng.random(5000, dtype=np.float32))

    def update(self):
        moved = np.sort(self.rng.choice(5000, 50, replace=False))
        trained = self.state.values + self.rng.random(5000, dtype=np.float32)
        return ams.encode_update(self.state, trained, moved)


def test_a_restart_finds_the_newest_state(tmp_path):
    device = Device()
    path = tmp_path / "state"
    for life in range(3):
        journal = ams.ModelJournal(path, device.manifest, student_fingerprint=7)
        found = journal.load()
        assert (found is None) == (life == 0)
        if found:
            assert found.version == device.state.version
            assert np.array_equal(found.values, device.state.values)
        for _ in range(3):
            journal.save(device.state, [device.update(), device.update()])
    before = journal.written_bytes
    update = device.update()
    journal.save(device.state, [update])
    assert journal.written_bytes - before < len(update) + 100


def test_a_torn_end_is_left_out_and_a_damaged_snapshot_set_aside(tmp_path):
    device = Device()
    path = tmp_path / "state"
    journal = ams.ModelJournal(path, device.manifest)
    journal.save(device.state)
    journal.save(device.state, [device.update()])
    kept = device.state.version
    journal.save(device.state, [device.update()])
    records = tmp_path / "state.journal"
    records.write_bytes(records.read_bytes()[:-1])
    assert ams.ModelJournal(path, device.manifest).load().version == kept
    with pytest.raises(ams.ManifestMismatchError):
        ams.ModelJournal(path, device.manifest, student_fingerprint=1).load()
    path.write_bytes(path.read_bytes()[:-1])
    assert ams.ModelJournal(path, device.manifest).load() is None
    assert (tmp_path / "state.damaged").exists()
    path.write_text("my diary")
    with pytest.raises(ams.InvalidArgumentError):
        ams.ModelJournal(path, device.manifest).load()
