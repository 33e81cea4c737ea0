"""Messages as objects and as bytes."""

import numpy as np
import pytest

import ams
import ams.protocol as protocol

VERSION = ams.ModelVersion(7, 2**63 + 5)
DEVICE = [
    protocol.Hello(device_id="camera-7", token="secret", manifest_digest=2**64 - 1, held=VERSION),
    protocol.FrameBatch(batch_id=3, capture_seconds=[0.5, 1.25], bitstream=b"\0\0\1abc"),
    protocol.Ack(held=VERSION),
    protocol.Refusal(held=VERSION, code="digest_mismatch", message="no"),
    protocol.Bye(reason="enough"),
]
SERVER = [
    protocol.Welcome(
        session_id=9,
        resume="updates",
        sampling_rate_fps=0.5,
        update_interval_seconds=20,
        last_batch_id=4,
    ),
    protocol.Control(sampling_rate_fps=0.25, update_interval_seconds=12.5),
    protocol.Update(b"update bytes"),
    protocol.Snapshot(b"snapshot bytes"),
    protocol.Fault(code="unauthorized", message="who are you?"),
    protocol.Bye(reason="goodbye"),
]
needs_net = pytest.mark.skipif(
    not ams.build_info()["layers"]["net"], reason="built without the net layer"
)


def fields(message):
    names = [name for name in vars(type(message)) if not name.startswith("_")]
    return type(message), {name: getattr(message, name) for name in names}


@needs_net
@pytest.mark.parametrize("message", DEVICE, ids=lambda m: type(m).__name__)
def test_a_device_s_message_comes_back(message):
    data = protocol.encode_message(message)
    assert fields(protocol.decode_device_message(data)) == fields(message)
    assert fields(protocol.decode_device_message(memoryview(data))) == fields(message)


@needs_net
@pytest.mark.parametrize("message", SERVER, ids=lambda m: type(m).__name__)
def test_a_server_s_message_comes_back(message):
    data = protocol.encode_message(message)
    assert fields(protocol.decode_server_message(data)) == fields(message)


@needs_net
def test_messages_of_the_other_direction_and_noise_are_refused():
    with pytest.raises(ams.MalformedDataError):
        protocol.decode_server_message(protocol.encode_message(DEVICE[0]))
    with pytest.raises(ams.MalformedDataError):
        protocol.decode_device_message(protocol.encode_message(SERVER[0]))
    rng = np.random.default_rng(1)
    for _ in range(200):
        data = rng.bytes(rng.integers(0, 60))
        for decode in (protocol.decode_device_message, protocol.decode_server_message):
            try:
                decode(data)
            except (ams.MalformedDataError, ams.LimitExceededError):
                pass
    with pytest.raises(ams.InvalidArgumentError):
        protocol.encode_message(
            protocol.Hello(device_id="x" * 129, manifest_digest=0, held=VERSION)
        )
    with pytest.raises(TypeError):
        protocol.encode_message("hello")


def test_words_are_checked():
    with pytest.raises(ams.InvalidArgumentError, match="'in_step', 'updates', 'snapshot'"):
        protocol.Welcome(resume="later")
    with pytest.raises(ams.InvalidArgumentError, match="'malformed_data'"):
        protocol.Fault(code="oops")
    with pytest.raises(AttributeError):
        _ = protocol.encode_messages
