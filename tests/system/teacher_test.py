"""ams-server with a teacher in Python, in a process of its own: what the operator sees when it goes wrong, and that
devices go on and adapt."""

import os
import signal
import subprocess
import sys
import unittest

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
        time.sleep(1000)
    if now == "exit":
        os._exit(5)
    return (frames[..., 1] > 100).astype(np.uint8)

def broken():
    raise RuntimeError("weights.bin is missing")

number = 7
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

    def test_a_teacher_that_cannot_be_made_is_told_before_anybody_is_let_in(self):
        common = [BIN / "ams-server", "--address", "127.0.0.1", "--port", "0", "--certificate",
                  self.folder / "tls" / "certificate.pem", "--private-key", self.folder / "tls" / "private_key.pem",
                  "--token-file", self.folder / "token", "--data-dir", "none", *TRAINING, *STUDENT]
        for flags, words in (
            (self.teacher("my_teacher:broken"), ["my_teacher:broken", "RuntimeError: weights.bin is missing"]),
            (self.teacher("my_teacher:number"), ["my_teacher:number gives NoneType", "a function without arguments"]),
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
