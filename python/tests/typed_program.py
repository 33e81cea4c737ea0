"""What a user writes."""
import logging
import numpy as np
import numpy.typing as npt
import torch
import ams
from ams import detection, teachers

class Brightness(ams.ModuleTask):
    input_size = (64, 128)

    def loss(self, outputs: torch.Tensor, labels: list[float]) -> torch.Tensor:
        return ((outputs.mean((1, 2, 3)) - torch.tensor(labels)) ** 2).mean()

    def predict(self, outputs: torch.Tensor) -> list[float]:
        return [float(mean) for mean in outputs.mean((1, 2, 3))]

def label(frames: npt.NDArray[np.uint8]) -> list[float]:
    return [float(frame.mean()) for frame in frames]

model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 2, 1))
ams.inspect(model)
with ams.Server(model, label, Brightness(), port=0, policy=lambda: ams.FixedPolicy(iterations=2)) as server:
    print(server.status()["devices"], server.devices(), server.port, server.metrics())
    server.pause("camera")
    with ams.Device(f"127.0.0.1:{server.port}", model, Brightness(), ca=server.certificate) as device:
        device.offer(np.zeros((64, 128, 3), np.uint8))
        print(device.predict(np.zeros((64, 128, 3), np.uint8)), device.version, device.held.version.number)
task = detection.DetectionTask(["a", "b"])
teacher = teachers.OnnxTeacher("x.onnx", classes=teachers.class_map("cityscapes", ["road"]))
status = ams.serve("student.bundle", teacher, policy=ams.PaperPolicy, session=ams.SessionOptions(seed=2))
with teachers.ProcessTeacher("a:b") as child:
    print(child(np.zeros((1, 2, 2, 3), np.uint8)))
