"""ams-server with a teacher in Python, in a process of its own: what the operator sees when it goes wrong, and that
devices go on and adapt."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

try:
    import numpy as np

    import ams
    import ams.torch
except ImportError:  # a build without the Python package
    ams = None

from programs import BIN, STUDENT, TRAINING, ProgramsTest

TEACHER = '''
import os, sys, time
from pathlib import Path
import numpy as np

mode = Path(os.environ["TEACHER_MODE"])

def make():
    print("a word of the teacher's", flush=True)
    return label

def label(frames):
    now = mode.read_text()
    if now == "raise":
        raise ValueError("no sky in the picture")
    if now == "shape":
        return np.zeros((len(frames), 4, 4, 4), np.uint8)
    if now == "classes":
        return np.full(frames.shape[:3], 200, np.uint8)
    if now == "hang":
        mode.with_name("hangs").touch()
        time.sleep(1000)
    if now == "exit":
        os._exit(5)
    return (frames[..., 1] > 100).astype(np.uint8)

def broken():
    raise RuntimeError("weights.bin is missing")

number = 7
'''


TASK = '''
import ams, torch

class Brightness(ams.ModuleTask):
    input_size = (32, 64)

    def loss(self, outputs, labels):
        return ((outputs.mean((1, 2, 3)) - torch.tensor(labels)) ** 2).mean()

    def predict(self, outputs):
        return [float(mean) for mean in outputs.mean((1, 2, 3))]

def student():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 1, 1))

def teacher():
    return lambda frames: [float(frame.mean() / 255) for frame in frames]
'''


class TeacherTest(ProgramsTest):
    seconds = 120

    def setUp(self):
        super().setUp()
        (self.work / "my_teacher.py").write_text(TEACHER)
        self.mode = self.work / "mode"
        self.mode.write_text("good")
        self.environment = os.environ.copy()
        os.environ["TEACHER_MODE"] = str(self.mode)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.work), os.environ.get("PYTHONPATH")]))

    def tearDown(self):
        super().tearDown()
        os.environ.clear()
        os.environ.update(self.environment)

    def teacher(self, factory, *flags):
        return ["--teacher", f"python:{factory}", "--python", sys.executable, *flags]

    def failures(self):
        return [entry["message"] for entry in self.events("server", "labelling_failed")]

    def test_devices_outlive_whatever_the_teacher_does_and_adapt(self):
        server = self.start_server(teacher=self.teacher("my_teacher:make", "--teacher-timeout-seconds", "2",
                                                             "--clip", self.clip))
        edge = self.start_edge()
        self.wait_until(lambda: self.events("edge", "model"), 60, "the first update arrived", server, edge)
        first, = self.events("server", "teacher_started")
        for mode, message in (
            ("raise", "ValueError: no sky in the picture"),
            ("shape", "wanted are whole numbers"),
            ("exit", "has ended with status 5"),
            ("hang", "gives no answer in time"),
        ):
            with self.subTest(mode):
                self.mode.write_text(mode)
                self.wait_until(lambda: any(message in text for text in self.failures()), 30, f"{mode} is told",
                                server, edge)
        self.mode.write_text("classes")  # ids that the student does not have are not learned
        started = len(self.events("server", "teacher_started"))
        self.wait_until(lambda: len(self.events("server", "teacher_started")) > started, 30, "it is started again",
                        server, edge)
        self.mode.write_text("good")
        models = len(self.events("edge", "model"))
        self.wait_until(lambda: len(self.events("edge", "model")) > models + 1, 60, "the device adapts again",
                        server, edge)
        os.kill(self.events("server", "teacher_started")[-1]["process"], signal.SIGKILL)
        self.wait_until(lambda: any("signal 9" in text for text in self.failures()), 30, "the kill is told", server, edge)
        models = len(self.events("edge", "model"))
        self.wait_until(lambda: len(self.events("edge", "model")) > models, 60, "the device adapts again", server, edge)
        ended = [entry["message"] for entry in self.events("server", "teacher_ended")]
        self.assertEqual(len(self.events("server", "teacher_started")), 1 + len(ended), ended)
        for message in ("status 5", "no answer in time", "signal 9"):
            self.assertTrue(any(message in text for text in ended), ended)
        edge.send_signal(signal.SIGTERM)
        self.finish(edge)
        last = self.events("server", "teacher_started")[-1]["process"]
        report = self.stop_server(server)
        self.assertGreater(report["sessions"][0]["batches_failed"], 3, report["sessions"][0])
        self.assertEqual(self.report()["digest"], report["sessions"][0]["digest"])
        self.assertEqual(self.report()["connections"], 1)
        log = (self.work / "server.log").read_text()
        self.assertIn("a word of the teacher's", log)
        self.assertIn('raise ValueError("no sky in the picture")', log)  # the traceback
        for process in (first["process"], last):
            with self.assertRaises(ProcessLookupError):
                os.kill(process, 0)

    def test_a_hanging_teacher_does_not_outlive_its_server(self):
        for ends in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(ends):
                (self.work / "server.log").unlink(missing_ok=True)
                (self.work / "hangs").unlink(missing_ok=True)
                self.mode.write_text("hang")
                server = self.start_server(teacher=self.teacher("my_teacher:make", "--clip", self.clip))
                edge = self.start_edge()
                self.wait_until((self.work / "hangs").exists, 60, "the teacher hangs", server, edge)
                teacher, = self.events("server", "teacher_started")
                server.send_signal(ends)
                self.assertEqual(server.wait(timeout=20), 0 if ends == signal.SIGTERM else -ends, self.logs())
                self.wait_until(lambda: not self.lives(teacher["process"]), 20, "the teacher has ended", edge)
                edge.send_signal(signal.SIGTERM)
                self.finish(edge)

    def lives(self, process):
        try:
            return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    @unittest.skipIf(ams is None, "a task of Python needs the package ams with torch, video, net and store")
    def test_the_program_takes_a_task_of_python(self):
        (self.work / "my_task.py").write_text(TASK)
        port, report = self.work / "port", self.work / "server.json"
        server = self.start("server", [
            BIN / "ams-server", "--python", sys.executable, "--task", "python:my_task:Brightness", "--student",
            "python:my_task:student", "--teacher=python:my_task:teacher", "--port", "0", "--port-file", port, "--token",
            "correct horse", "--data-dir", self.work / "data", "--update-interval-seconds", "1", "--report", report])
        self.wait_until(lambda: port.is_file() and port.read_text().strip(), 60, "the server listens", server)
        sys.path.insert(0, str(self.work))
        self.addCleanup(sys.path.remove, str(self.work))
        import my_task

        random = np.random.default_rng(1)
        with ams.Device(f"127.0.0.1:{int(port.read_text())}", my_task.student(), my_task.Brightness(),
                        ca=self.work / "data" / "tls" / "certificate.pem", token="correct horse") as device:
            deadline = time.monotonic() + 60
            while device.version < 2 and time.monotonic() < deadline:
                frame = random.integers(0, 256, (64, 128, 3), np.uint8)
                device.predict(frame)
                device.offer(frame)
                time.sleep(0.05)
            self.assertGreaterEqual(device.version, 2, self.logs())
        server.send_signal(signal.SIGTERM)
        self.finish(server)
        status = json.loads(report.read_text())["status"]
        self.assertEqual((status["devices"], status["failures"]), (1, 0), status)

    def test_what_a_task_of_python_cannot_have_is_told(self):
        (self.work / "my_task.py").write_text(TASK)
        bad = self.work / "bad"
        bad.write_bytes(b"\xff\xfe\n")
        task = ["--task", "python:my_task:Brightness", "--python", sys.executable]
        mine = ["--student", "python:my_task:student", "--teacher", "python:my_task:teacher", "--check"]
        for flags, word in (
            ([*task, "--student", "python:my_task:absent", *mine[2:]], "has no attribute 'absent'"),
            ([*task, *mine[:2], "--teacher", "clip:street"], "allowed is python:MODULE:FACTORY"),
            ([*task, *mine, "--strategy", "full"], "unrecognized arguments: --strategy full"),
            ([*task, *mine, "--address", "0.0.0.0"], "give a token"),
            ([*task, *mine, "--batch-size", "0"], "batch_size"),
            ([*task, *mine, "--token-file", bad], "its first line is no token"),
            ([*task, *mine, "--head-tensors", "2.weight,absent"], "absent"),
            ([*task[:2], *mine, "--python", "/no/python"], "'/no/python' cannot be started"),
            (["--task", "detection", "--teacher", "a.pt", "--student", "edanet"], "allowed are segmentation and python:"),
        ):
            with self.subTest(flags):
                ended = subprocess.run([str(part) for part in [BIN / "ams-server", *flags]], capture_output=True,
                                       text=True, timeout=60)
                self.assertNotEqual(ended.returncode, 0)
                self.assertIn(word, ended.stderr)

    def test_a_teacher_that_cannot_be_made_is_told_before_anybody_is_let_in(self):
        common = [BIN / "ams-server", "--address", "127.0.0.1", "--port", "0", "--certificate",
                  self.folder / "tls" / "certificate.pem", "--private-key", self.folder / "tls" / "private_key.pem",
                  "--token-file", self.folder / "token", "--data-dir", "none", *TRAINING, *STUDENT]
        for flags, words in (
            (self.teacher("my_teacher:broken"), ["my_teacher:broken", "RuntimeError: weights.bin is missing"]),
            (self.teacher("my_teacher:number"), ["my_teacher:number is int", "a function without arguments"]),
            (self.teacher("my_teacher:absent"), ["has no attribute 'absent'"]),
            (self.teacher("no_such_module:make"), ["No module named 'no_such_module'"]),
            (self.teacher("my_teacher"), ["'my_teacher' is not module:factory"]),
            (["--teacher", "python:my_teacher:make", "--python", "/no/python"], ["'/no/python' cannot be started"]),
            (self.teacher("my_teacher:make", "--teacher-timeout-seconds", "0"), ["--teacher-timeout-seconds"]),
        ):
            with self.subTest(flags):
                ended = subprocess.run([str(part) for part in [*common, *flags]], capture_output=True, text=True,
                                       timeout=60)
                self.assertNotEqual(ended.returncode, 0)
                self.assertNotIn("listening", ended.stderr)
                for word in words:
                    self.assertIn(word, ended.stderr)


if __name__ == "__main__":
    unittest.main()
