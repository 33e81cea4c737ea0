"""One file for both ends: a server and a device without libtorch take the same student bundle."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
import unittest
from pathlib import Path

from programs import BIN, NOBODY, STUDENT, ProgramsTest

sys.path.insert(0, str(BIN.parent / "python"))
import ams.video  # noqa: E402

DEVICE = "ams-edge-onnx"
# Another machine's under an emulator, for example (preset aarch64-device).
C_DEVICE = shlex.split(os.environ.get("AMS_C_DEVICE", "")) or [BIN / "c_device"]
EXECUTORCH_DEVICE = "ams-edge-executorch"
# This build has the device, and this Python what writes its programs.
HAS_EXECUTORCH = (BIN / EXECUTORCH_DEVICE).is_file() and importlib.util.find_spec("executorch") is not None


class Bundles(ProgramsTest):
    seconds = 10

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bundle = cls.folder / "student.bundle"
        done = subprocess.run(
            [sys.executable, "-m", "ams.export", "bundle", *(["--executorch"] if HAS_EXECUTORCH else []),
             *(str(part) for part in STUDENT), str(cls.bundle)],
            env={**os.environ, "PYTHONPATH": str(BIN.parent / "python")}, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        cls.student = ["--student", cls.bundle]

    def refused(self, program, *flags, teacher=()):
        done = subprocess.run([str(part) for part in (BIN / program, *flags, *teacher)], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stderr

    def test_a_device_without_libtorch_follows_its_server(self):
        self.follow_server(DEVICE, "onnx", "onnxruntime")

    @unittest.skipUnless(HAS_EXECUTORCH, "ExecuTorch is not there")
    def test_so_does_one_on_executorch(self):
        self.follow_server(EXECUTORCH_DEVICE, "executorch", "executorch")

    def follow_server(self, program, runtime, library):
        server = self.start_server(student=self.student)
        edge = self.start_edge(student=self.student, program=program)
        self.wait_until(lambda: self.events("edge", "model"), 60, "the device has an update", edge, server)
        mapped = Path(f"/proc/{edge.pid}/maps").read_text()
        self.assertIn(f"lib{library}.so", mapped)
        self.assertNotIn("libtorch", mapped)
        self.finish(edge)
        sessions = self.stop_server(server)["sessions"]
        report = self.report()
        self.assertEqual(report["runtime"], runtime)
        self.assertEqual(report["student"], "student.bundle")
        self.assertGreaterEqual(report["updates"], 1)
        self.assertEqual(report["frames_dropped"], 0)
        self.assertEqual(report["digest"], sessions[0]["digest"])

    def test_a_device_in_c_follows_its_server(self):
        server = self.start_server(student=self.student)
        video = ams.video.VideoReader(self.clip / "video.mp4")
        with open(self.work / "labels", "wb") as labels, open(self.work / "c.log", "wb") as log:
            device = subprocess.Popen(
                [*C_DEVICE, self.bundle, f"127.0.0.1:{self.port}", self.folder / "tls" / "certificate.pem",
                 "correct horse", "256", "128", "10", self.work / "c.state"], stdin=subprocess.PIPE, stdout=labels, stderr=log)
        self.processes.append(device)
        begin = time.monotonic()
        for seconds, frame in video:
            time.sleep(max(0, begin + seconds - time.monotonic()))  # as a camera
            device.stdin.write(frame.tobytes())
            device.stdin.flush()
        device.stdin.close()
        self.finish(device)
        session, = self.stop_server(server)["sessions"]
        log = (self.work / "c.log").read_text()
        self.assertRegex(log, "connected +held_version=0")
        models = re.findall(r"^model (\d+) ([0-9a-f]{16})$", log, re.MULTILINE)
        self.assertEqual(models[-1][1], session["digest"], log)
        lines = (self.work / "labels").read_text().splitlines()
        self.assertEqual(len(lines), self.seconds * 10)
        self.assertRegex(lines[0], r"^0\.000 s  model 0  .*\d%")
        self.assertGreater(int(re.search(r"model (\d+)", lines[-1])[1]), 0)
        self.assertTrue((self.work / "c.state").is_file())

    def test_all_runtimes_say_the_same_of_a_video(self):
        self.port = NOBODY
        scores = {}
        programs = {"torch": "ams-edge", "onnx": "ams-edge"}
        if HAS_EXECUTORCH:
            programs["executorch"] = EXECUTORCH_DEVICE
        for runtime, program in programs.items():
            self.finish(self.start_edge("--runtime", runtime, name=runtime, student=self.student, program=program))
            scores[runtime] = self.report(runtime)["miou"]
            self.assertEqual(self.report(runtime)["runtime"], runtime)
            self.assertAlmostEqual(scores["torch"], scores[runtime], delta=0.3)

    def test_flags_that_do_not_go_with_a_bundle_are_refused(self):
        source = ["--video", "none.mp4", "--token", "x"]
        for program, flags, message in (
                (DEVICE, STUDENT, "runs student bundles alone"),
                (DEVICE, [*self.student, "--runtime", "torch"], "built without libtorch"),
                (DEVICE, [*self.student, "--execution-provider", "Abacus"], "no execution provider 'Abacus'; it has"),
                (DEVICE, [*self.student, "--input", "64x64"], "--input does not go with student.bundle, which has 128x64"),
                (DEVICE, [*self.student, "--weights", "w"], "--weights does not go with student.bundle"),
                ("ams-edge", [*STUDENT, "--runtime", "onnx"], "--runtime onnx runs student bundles alone"),
                ("ams-edge", [*STUDENT, "--execution-provider", "CPU"], "--execution-provider is for --runtime onnx"),
                ("ams-edge", [*self.student, "--runtime", "executorch"], "run ams-edge-executorch"),
                ("ams-edge", ["--student", "none.bundle"], "cannot read the student bundle 'none.bundle'")):
            with self.subTest(program=program, flags=flags):
                self.assertIn(message, self.refused(program, *source, *flags))

    @unittest.skipUnless(HAS_EXECUTORCH, "ExecuTorch is not there")
    def test_a_bundle_without_a_program_says_how_to_write_one(self):
        bundle = Path(__file__).parents[1] / "onnx" / "data" / "tiny.bundle"
        self.assertIn("ams.export bundle --executorch", self.refused(
            EXECUTORCH_DEVICE, "--video", "none.mp4", "--token", "x", "--student", bundle))

    def test_a_bundle_that_is_not_the_student_it_names_is_refused_by_the_server(self):
        data = self.bundle.read_bytes()
        cut = self.work / "cut.bundle"
        cut.write_bytes(data[:len(data) // 2])
        flags = ["--check", "--open", "--teacher", f"clip:{self.clip}", "--certificate",
                 self.folder / "tls" / "certificate.pem", "--private-key", self.folder / "tls" / "private_key.pem"]
        self.assertIn("is not a student bundle, or its end is missing",
                      self.refused("ams-server", *flags, "--student", cut))


if __name__ == "__main__":
    unittest.main(verbosity=2)
