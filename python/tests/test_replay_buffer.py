import gc
import threading
import weakref

import pytest

import ams


class Sample:
    pass


def test_draws_from_the_horizon_alone():
    buffer = ams.HorizonReplayBuffer(horizon_seconds=100, seed=3)
    for second in range(300):
        assert buffer.add(second, second)
    assert len(buffer) == 101
    batches = buffer.draw(299, 50, 8)
    assert [len(batch) for batch in batches] == [8] * 50
    drawn = {sample for batch in batches for sample in batch}
    assert drawn <= set(range(199, 300)) and len(drawn) > 80
    assert buffer.count_in_horizon(250) == 52
    assert buffer.draw(1000, 5, 5) == []
    assert buffer.entries()[0] == (199.0, 199)
    assert not buffer.add(10, 10)


def test_equal_seeds_draw_alike():
    def draw(seed):
        buffer = ams.HorizonReplayBuffer(seed=seed)
        for second in range(50):
            buffer.add(second, second)
        return buffer.draw(49, 4, 8)

    assert draw(1) == draw(1) != draw(2)


def test_samples_are_kept_alive_and_let_go():
    buffer = ams.HorizonReplayBuffer(horizon_seconds=10)
    sample = Sample()
    reference = weakref.ref(sample)
    buffer.add(0, sample)
    del sample
    assert buffer.draw(0, 1, 1)[0][0] is reference()
    buffer.add(20, None)
    gc.collect()
    assert reference() is None
    buffer.clear()
    assert len(buffer) == 0


def test_bounds_of_number_and_bytes():
    buffer = ams.HorizonReplayBuffer(max_samples=3, max_bytes=100, size_of=len)
    buffer.add(0, b"x" * 50)
    buffer.add(1, b"y" * 50)
    assert buffer.size_bytes == 100
    buffer.add(2, b"z")
    assert [time for time, _ in buffer.entries()] == [1, 2]
    with pytest.raises(ams.LimitExceededError):
        buffer.add(3, b"w" * 101)
    with pytest.raises(TypeError):
        buffer.add(3, 7)  # what size_of raises
    with pytest.raises(ams.InvalidArgumentError):
        buffer.add(float("nan"), b"")
    assert len(buffer) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"horizon_seconds": 0},
        {"max_samples": 0},
        {"max_bytes": 5},
        {"max_bytes": 0, "size_of": len},
        {"size_of": 7},
    ],
)
def test_refuses_options_out_of_range(arguments):
    with pytest.raises(ams.InvalidArgumentError):
        ams.HorizonReplayBuffer(**arguments)


def test_several_threads():
    buffer = ams.HorizonReplayBuffer(horizon_seconds=1e6, max_samples=100)

    def add(offset):
        for k in range(500):
            buffer.add(k, (offset, k))
            buffer.draw(k, 2, 2)

    threads = [threading.Thread(target=add, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(buffer) == 100
