"""A torchvision detector, a transformers teacher, two devices; one is killed and comes back."""
from multiprocessing import get_context
import numpy as np
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from transformers import YolosConfig, YolosForObjectDetection
import ams
from ams import detection, teachers
torch.manual_seed(1)  # both ends begin with the same weights: yours come from a file
STUDENT = ssdlite320_mobilenet_v3_large(num_classes=3, weights_backbone=None)
TASK = detection.TorchvisionDetectionTask(["person", "car"])
def camera(name: str, server: str, certificate: str) -> None:
    with ams.Device(server, STUDENT, TASK, device_id=name, ca=certificate) as device:
        while device.version < 2:
            frame = np.random.randint(0, 256, (128, 256, 3), np.uint8)
            device.predict(frame)  # boxes, float32 [n, 6]
            device.offer(frame)
if __name__ == "__main__":
    config = YolosConfig(id2label=dict(enumerate(TASK.classes)), num_hidden_layers=2)
    teacher = teachers.TransformersTeacher(YolosForObjectDetection(config), min_score=0.3)
    with ams.Server(STUDENT, teacher, TASK, head=["head.*list.*.1.*"], port=0) as server:
        link, process = f"127.0.0.1:{server.port}", get_context("spawn").Process
        ends = [(name, link, str(server.certificate)) for name in ("a", "b", "a")]
        devices = [process(target=camera, args=end) for end in ends]
        for device in devices[:2]: device.start()
        while server.status()["updates"] == 0: devices[1].join(0.1)
        devices[0].kill()
        devices[2].start()  # its session goes on
        for device in devices: device.join()
        print(server.status(), {found["id"]: found["version"] for found in server.devices()})
