"""A small fleet of simulated devices against the real ams-server, with liars among them that have valid credentials."""

import unittest

try:
    from fleet import LIES, Fleet
except ImportError:  # a build without torch, video or net, or a Python without torch
    Fleet = None


@unittest.skipIf(Fleet is None, "simulated devices need the package ams with torch, video and net")
class FleetTest(Fleet or unittest.TestCase):
    def test_liars_starve_no_honest_device(self):
        devices = 30
        result = self.stream(devices=devices, liars=len(LIES), seconds=12)
        self.assertEqual(result["connected"], devices, result)
        self.assertEqual(result["without_update"], 0, result)
        self.assertGreaterEqual(2 * result["updates_least"], result["updates_median"], result)
        self.assertEqual(result["in_step"], devices, result)
        self.assertEqual(result["snapshots"], 0, result)
        self.assertEqual(result["connected_again"], 0, result)


del Fleet  # not a test by itself

if __name__ == "__main__":
    unittest.main()
