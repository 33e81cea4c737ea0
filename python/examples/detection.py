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
    config = YolosConfig(num_labels=2, num_hidden_layers=2)  # or the name of a pretrained one
    teacher = teachers.TransformersTeacher(YolosForObjectDetection(config), min_score=0.3)
    with ams.Server(STUDENT, teacher, TASK, head=["head.*list.*.1.*"], port=0) as server:
        link = f"127.0.0.1:{server.port}", str(server.certificate)
        process = get_context("spawn").Process
        first, other, again = [process(target=camera, args=(n, *link)) for n in ("a", "b", "a")]
        first.start(), other.start()
        while server.status()["updates"] == 0:
            other.join(0.1)
        first.kill(), again.start()  # its session goes on
        other.join(), again.join()
        print(server.status(), {device["id"]: device["version"] for device in server.devices()})
