"""Kills ams-server with -9 again and again in a stream, beside a stream that nobody disturbs.

Not a part of `make test`, which kills three times (processes_test.py): this plays --seconds of video at its own rate.

    PYTHONPATH=tests/system .venv/bin/python tests/system/kill_server.py --seconds 300 --kills 20
"""

import argparse
import json
import random
import signal
import sys
import time

from programs import STUDENT, ProgramsTest

# Light, so that what a kill costs is not the time that a restart takes.
SMALL_STUDENT = [*STUDENT[:-1], "64x32"]
TRAINING = ["--iterations", "4", "--batch-size", "4", "--update-interval-seconds", "2", "--threads", "1"]


class Stream(ProgramsTest):
    """One server and one device."""

    render_flags = ["--fps", "5", "--size", "128x64", "--label-stride", "2"]

    def runTest(self):
        pass

    def begin(self):
        self.setUp()
        self.server = self.start_server(data=self.work / "data", training=TRAINING, student=SMALL_STUDENT)
        self.edge = self.start_edge("--compare", student=SMALL_STUDENT)

    def kill_and_restart(self):
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        self.server = self.start_server(port=self.port, data=self.work / "data", training=TRAINING,
                                        student=SMALL_STUDENT)

    def end(self):
        self.finish(self.edge, 600)
        session, = self.stop_server(self.server)["sessions"]
        self.tearDown()
        report = self.report()
        versions = [event["version"] for event in self.events("edge", "model")]
        return {
            "models": len(versions),
            "steps_back": sum(a >= b for a, b in zip(versions, versions[1:])),
            "snapshots": report["snapshots"],
            "connections": report["connections"],
            "digests_equal": report["digest"] == session["digest"],
            "model_version": report["model_version"],
            "frames_dropped": report["frames_dropped"],
            "miou": report["miou"],
            "miou_no_customization": report["miou_no_customization"],
            "restarts": session.get("restarts"),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="of video")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the times between the kills")
    flags = parser.parse_args()

    Stream.seconds = flags.seconds
    Stream.setUpClass()
    try:
        calm, killed = Stream(), Stream()
        for stream in (calm, killed):
            stream.begin()
        dice = random.Random(flags.seed)
        end = time.monotonic() + flags.seconds - 5
        for kills_left in range(flags.kills, 0, -1):
            time.sleep(dice.uniform(0, 2) * max(0, end - time.monotonic()) / (kills_left + 1))
            killed.kill_and_restart()
            version = max((event["version"] for event in killed.events("edge", "model")), default=0)
            print(f"killed, the device holds version {version}", file=sys.stderr)
        results = {"undisturbed": calm.end(), "killed": killed.end()}
    finally:
        Stream.tearDownClass()
    results["kills"] = flags.kills
    results["miou_lost"] = round(results["undisturbed"]["miou"] - results["killed"]["miou"], 2)
    print(json.dumps(results, indent=2))
    after = results["killed"]
    held = not after["steps_back"] and not after["snapshots"] and after["digests_equal"] and results["miou_lost"] <= 1
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
