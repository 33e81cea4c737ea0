"""A server and two devices, each in a process of its own; one device is killed and comes back."""

from multiprocessing import get_context

import numpy as np

import ams
from ams.torch import StudentSpec

# Or any torch.nn.Module that is equal on both ends.
STUDENT = StudentSpec(network="edanet", num_classes=4, input_width=64, input_height=32)


def teacher(frames: np.ndarray) -> np.ndarray:  # anything that labels uint8 [N, H, W, 3]
    return np.asarray(frames.mean(axis=3) / 64, np.uint8)


def camera(name: str, server: str, certificate: str) -> None:
    random = np.random.default_rng(1)
    with ams.Device(server, STUDENT, ca=certificate, device_id=name) as device:
        while device.version < 2:
            frame = random.integers(0, 256, (4, 8, 3), np.uint8).repeat(32, 0).repeat(32, 1)
            device.predict(frame)
            device.offer(frame)


if __name__ == "__main__":
    with ams.Server(STUDENT, teacher, port=0) as server:
        link = (f"127.0.0.1:{server.port}", str(server.certificate))
        names = ("left", "right", "left")
        devices = [get_context("spawn").Process(target=camera, args=(n, *link)) for n in names]
        for device in devices[:2]:
            device.start()
        while server.status()["updates"] == 0:
            devices[1].join(0.1)
        devices[0].kill()
        devices[2].start()  # its session goes on
        for device in devices:
            device.join()
        print(server.status(), [(d["id"], d["version"]) for d in server.devices()])
