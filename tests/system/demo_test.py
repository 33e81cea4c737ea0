"""The demo in small: its report has every key, both ends hold the same model, and the pictures are there."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from programs import BIN, ROOT

KEYS = {"clip", "student", "seconds", "classes", "miou", "miou_no_customization", "downlink_bps", "uplink_bps",
        "updates", "update_bytes_mean", "frames", "frames_dropped", "frame_latency_ms", "swap_ms", "phase_seconds",
        "server_digest", "edge_digest", "model_version"}


class Demo(unittest.TestCase):
    def test_flags_that_would_be_ignored_are_refused(self):
        for flags, message in (
                (["--teacher", "t.pt"], "--teacher is for --video; otherwise a clip's labels teach"),
                (["--clip", "x", "--teacher", "t.pt"], "--teacher is for --video"),
                (["--clip", "x", "--teacher-classes", "19"], "--teacher-classes is for --video"),
                (["--downlink-kbps", "1", "--strategy", "full"], "--strategy full does not go with --downlink-kbps"),
                (["--downlink-kbps", "1", "--gamma", "0.05"], "--gamma 0.05 does not go with --downlink-kbps"),
                (["--downlink-kbps", "1", "--profile", "reference"], "--profile reference does not go with")):
            with self.subTest(flags=flags):
                result = subprocess.run([sys.executable, ROOT / "scripts" / "demo.py", *flags],
                                        capture_output=True, text=True, timeout=60)
                self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
                self.assertIn(message, result.stderr)

    def test_flags_become_those_of_the_programs(self):
        program = (
            "import sys; sys.path.insert(0, sys.argv.pop(1)); import demo\n"
            "arguments = demo.parse_arguments()\n"
            "print(*demo.what_is_sent(arguments), *demo.student_flags(arguments))")
        for flags, sent in (
                ([], ""),  # ams-server chooses
                (["--strategy", "full"], "--strategy full "),
                (["--downlink-kbps", "1", "--profile", "compact"], "--downlink-kbps 1.0 ")):
            for student in ([], ["--student", "deeplabv3_mobilenetv2"], ["--student", "own.pt"]):
                with self.subTest(flags=flags, student=student):
                    result = subprocess.run([sys.executable, "-c", program, ROOT / "scripts", *flags, *student],
                                            capture_output=True, text=True, timeout=60)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    *notes, last = result.stdout.splitlines()
                    self.assertTrue(last.startswith(sent + "--student "), last)
                    untrained = "deeplabv3_mobilenetv2" in student
                    self.assertEqual(len(notes), untrained)
                    for part in ("starts untrained", "--weights", "ams-pretrain") if untrained else ():
                        self.assertIn(part, notes[0])

    def test_a_short_run(self):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            result = subprocess.run(
                [sys.executable, ROOT / "scripts" / "demo.py", "--bin", BIN, "--out", out, "--seconds", "24",
                 "--input", "128x64", "--update-interval-seconds", "4", "--iterations", "4"],
                capture_output=True, text=True, timeout=500)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            report = json.loads((out / "report.json").read_text())
            self.assertLessEqual(KEYS, set(report))
            self.assertEqual(report["server_digest"], report["edge_digest"])
            self.assertEqual(report["frames_dropped"], 0)
            self.assertGreaterEqual(report["updates"], 1)
            self.assertAlmostEqual(report["seconds"], 24, delta=0.5)
            self.assertTrue(0 < report["miou"] <= 100)
            self.assertLess(report["frame_latency_ms"]["p50"], report["frame_latency_ms"]["p99"] + 1e-9)
            for name in ("summary.png", "annotated.mp4", "timeline.csv"):
                self.assertGreater((out / name).stat().st_size, 1000, name)
            self.assertIn("mIoU adapted / un-customised", result.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
