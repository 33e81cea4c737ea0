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
