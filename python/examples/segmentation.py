"""A torchvision student, a transformers teacher, two devices; one is killed and comes back."""
from multiprocessing import get_context
import numpy as np
import torch
from torchvision.models.segmentation import lraspp_mobilenet_v3_large
from transformers import SegformerConfig, SegformerForSemanticSegmentation
import ams
from ams.teachers import TransformersTeacher
torch.manual_seed(1)  # both ends begin with the same weights: yours come from a file
STUDENT = lraspp_mobilenet_v3_large(num_classes=3, weights_backbone=None)
OPTIONS = {"classes": ["road", "person", "car"], "input_size": (64, 128)}
def camera(name: str, server: str, certificate: str) -> None:
    with ams.Device(server, STUDENT, device_id=name, ca=certificate, **OPTIONS) as device:
        while device.version < 2:
            frame = np.random.randint(0, 256, (64, 128, 3), np.uint8)
            device.predict(frame)
            device.offer(frame)
if __name__ == "__main__":
    config = SegformerConfig(num_labels=3)  # or the name of a pretrained one
    teacher = TransformersTeacher(SegformerForSemanticSegmentation(config))
    with ams.Server(STUDENT, teacher, head=["*classifier*"], port=0, **OPTIONS) as server:
        link = f"127.0.0.1:{server.port}", str(server.certificate)
        process = get_context("spawn").Process
        first, other, again = [process(target=camera, args=(n, *link)) for n in ("a", "b", "a")]
        first.start(), other.start()
        while server.status()["updates"] == 0:
            other.join(0.1)
        first.kill(), again.start()  # its session goes on
        other.join(), again.join()
        print(server.status(), {device["id"]: device["version"] for device in server.devices()})
