"""The real programs with networks of the user's: TorchScript students and teachers, trained batch norm, config files."""

import json
import subprocess
import unittest

from programs import BIN, PAPER, STUDENT, ProgramsTest

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

CLASSES = 19
SIZE = ["--classes", CLASSES, "--input", "128x64"]


def save_network(path, *, channels, seed):
    """A small network that nobody but its user knows: [N, 3, H, W] to logits of the same size."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
        nn.Conv2d(channels, CLASSES, 1), nn.Upsample(scale_factor=2, mode="bilinear"))
    torch.jit.script(module).save(str(path))


@unittest.skipIf(torch is None, "this Python has no torch to make networks with")
class Networks(ProgramsTest):
    seconds = 10

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.student, cls.teacher = cls.folder / "student.pt", cls.folder / "teacher.pt"
        save_network(cls.student, channels=8, seed=1)
        save_network(cls.teacher, channels=16, seed=2)

    def test_torchscript_student_and_teacher_on_a_video_file(self):
        network_teacher = ["--teacher", self.teacher, "--teacher-classes", CLASSES, "--teacher-input", "128x64"]
        student = ["--student", self.student, *SIZE]
        server = self.start_server(student=student, teacher=network_teacher)
        edge = self.start_edge(source=["--video", self.clip / "video.mp4"], student=student)
        self.finish(edge)
        session, = self.stop_server(server)["sessions"]
        self.assertGreaterEqual(session["updates"], 1)
        self.assertEqual(self.report()["digest"], session["digest"])

    def test_labelling_a_video(self):
        made = self.work / "new folder" / "labelled"
        command = [BIN / "ams-label", "--video", self.clip / "video.mp4", "--teacher", self.teacher,
                   "--teacher-classes", CLASSES, "--teacher-input", "128x64", "--labels-per-second", "2", "--out", made,
                   "--quiet"]
        self.assertEqual(self.run_program(*command).returncode, 0)
        info = json.loads((made / "clip.json").read_text())
        self.assertEqual(info["label_stride"], 5)
        self.assertEqual(info["label_frames"], 2 * self.seconds)
        again = self.run_program(*command)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("--replace", again.stderr)
        self.assertEqual(self.run_program(*command, "--replace").returncode, 0)
        self.assertEqual(sorted(p.name for p in made.parent.iterdir()), ["labelled"])

    def test_trained_batch_norm_travels_and_is_counted(self):
        student = ["--student", self.student, *SIZE, "--train-batch-norm"]
        server = self.start_server(*PAPER, "--gamma", "0.01", student=student)
        edge = self.start_edge(student=student)
        self.finish(edge)
        session, = self.stop_server(server)["sessions"]
        report = self.report()
        self.assertEqual(report["digest"], session["digest"])
        self.assertGreaterEqual(report["updates"], 1)
        parameters = 3 * 8 * 9 + 2 * 8 + 8 * CLASSES + CLASSES
        statistics = 2 * 8
        sent = 8 * report["update_bytes_mean"] / session["bits_per_coordinate"]
        self.assertAlmostEqual(sent, round(0.01 * parameters) + statistics, delta=0.5)

    def test_a_config_file_can_hold_every_flag(self):
        config = self.work / "server.toml"
        config.write_text('gamma = 0.2\nstrategy = "random"\n')
        server = self.start_server("--config", config, student=["--student", self.student, *SIZE])
        training = self.stop_server(server)["training"]
        self.assertEqual((training["gamma"], training["strategy"]), (0.2, "random"))
        config.write_text("gama = 0.2\n")
        mistake = self.run_program(BIN / "ams-server", "--config", config)
        self.assertNotEqual(mistake.returncode, 0)
        self.assertIn("gama", mistake.stderr)

    def test_training_flags_are_checked_before_the_first_device(self):
        server = [BIN / "ams-server", "--certificate", self.folder / "tls" / "certificate.pem", "--private-key",
                  self.folder / "tls" / "private_key.pem", "--teacher", f"clip:{self.clip}", "--address", "127.0.0.1"]
        for flags, word in [(["--gamma", "7"], "gamma"), (["--strategy", "best"], "gradient_guided"),
                            (["--iterations", "0"], "iterations"), (["--sampling-max-fps", "100"], "60"),
                            (["--adapt-update-interval", "--fixed-sampling-rate"], "--fixed-sampling-rate"),
                            (["--device", "nowhere"], "nowhere"), (["--weights", self.folder], "folder")]:
            with self.subTest(flags=flags):
                result = self.run_program(*server, *flags)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(word, result.stderr)

    def test_classes_of_teacher_and_student_must_agree(self):
        server = [BIN / "ams-server", "--certificate", self.folder / "tls" / "certificate.pem", "--private-key",
                  self.folder / "tls" / "private_key.pem", "--data-dir", "none", "--address", "127.0.0.1", "--check",
                  "--teacher", self.teacher, "--teacher-input", "128x64"]
        for flags, words in (
                (["--teacher-classes", CLASSES], None),
                (["--teacher-classes", "30"], "the teacher has 30 outputs (--teacher-classes) and the student 19"),
                (["--teacher-classes", "5", "--selected-classes", "0,7"], "class 7 is selected"),
                (["--teacher-classes", "5", "--clip", self.clip], "is selected"),
                (["--teacher-classes", "5"], "19")):  # what the network says of itself
            with self.subTest(flags=flags):
                result = self.run_program(*server, *STUDENT, *flags)
                self.assertEqual(result.returncode, 0 if words is None else 1, result.stderr)
                self.assertIn(words or "", result.stderr)

    def run_program(self, *command):
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)


if __name__ == "__main__":
    unittest.main(verbosity=2)
