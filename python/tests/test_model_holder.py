import signal
import threading

import numpy as np
import pytest

import ams


def test_readers_see_whole_versions_only():
    holder = ams.ModelHolder(np.zeros(20000, dtype=np.int64))
    stop = threading.Event()
    torn, seen = [], []

    def infer():
        while not stop.is_set():
            with holder.read() as model:
                first, last = int(model[0]), int(model[-1])
                if first != last or (model != first).any():
                    torn.append((first, last))
                seen.append(first)

    readers = [threading.Thread(target=infer) for _ in range(3)]
    for reader in readers:
        reader.start()
    for version in range(1, 101):
        generation = holder.update(lambda inactive, active, v=version: inactive.fill(v))
        assert generation == version
    stop.set()
    for reader in readers:
        reader.join()
    assert not torn
    assert seen == sorted(seen) or len(readers) > 1
    with holder.read() as model:
        assert model[0] == 100


def test_an_update_waits_for_readers_of_the_copy_that_it_writes():
    holder = ams.ModelHolder({"version": 0}, {"version": 0})
    entered, leave = threading.Event(), threading.Event()
    seen = []

    def slow_reader():
        with holder.read() as model:
            entered.set()
            leave.wait(30)
            seen.append(dict(model))

    reader = threading.Thread(target=slow_reader)
    reader.start()
    entered.wait(30)
    holder.update(lambda inactive, active: inactive.update(version=1))  # waits for nobody
    second = threading.Thread(
        target=holder.update, args=(lambda inactive, active: inactive.update(version=2),)
    )
    second.start()
    second.join(0.2)
    assert second.is_alive()  # the slow reader uses what it would write
    with holder.read() as model:
        assert model == {"version": 1}
    leave.set()
    second.join(30)
    reader.join(30)
    assert seen == [{"version": 0}]
    with holder.read() as model:
        assert model == {"version": 2}


def test_a_failed_update_publishes_nothing():
    holder = ams.ModelHolder([1])

    def fail(inactive, active):
        inactive[0] = 7
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        holder.update(fail)
    with holder.read() as model:
        assert model == [1]
    assert holder.update(lambda inactive, active: inactive.__setitem__(0, 2)) == 1
    guard = holder.read()
    with guard as model:
        assert model == [2]
        assert guard.generation == 1
    with pytest.raises(ams.InvalidArgumentError):
        _ = guard.generation


def test_ctrl_c_ends_a_wait_that_would_never_end():
    holder = ams.ModelHolder([0])
    holder.update(lambda inactive, active: inactive.__setitem__(0, 1))
    with holder.read():
        holder.update(lambda inactive, active: inactive.__setitem__(0, 2))
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            holder.update(lambda inactive, active: inactive.__setitem__(0, 3))
    with holder.read() as model:
        assert model == [2]
    assert holder.update(lambda inactive, active: inactive.__setitem__(0, 3)) == 3
