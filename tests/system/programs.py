"""Starts the real ams-server and ams-edge on loopback for the system tests."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("AMS_BIN", ROOT / "build" / "bin"))
# What the user of this machine keeps is no part of a test.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="ams-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# Small and quick: the tests are about what the programs do, not about how well the student learns.
STUDENT = ["--student", "edanet", "--weights", ROOT / "examples" / "data" / "street_edanet.safetensors",
           "--input", "128x64"]
TRAINING = ["--iterations", "3", "--batch-size", "2", "--update-interval-seconds", "2", "--threads", "1"]
NOBODY = 9  # a port with no server: a device plays all the same
PAPER = ["--strategy", "gradient_guided", "--profile", "reference"]  # what the paper sends


class ProgramsTest(unittest.TestCase):
    """A folder with a short rendered clip, a certificate and a token; every process is ended after the test."""

    seconds = 20
    render_flags = ["--fps", "10", "--size", "256x128", "--label-stride", "2"]

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="ams-system-"))
        cls.clip = cls.folder / "clip"
        subprocess.run([BIN / "ams-render", "--out", cls.clip, "--seconds", str(cls.seconds), *cls.render_flags], check=True,
                       stderr=subprocess.DEVNULL)
        subprocess.run([BIN / "ams-server", "--generate-certificate", cls.folder / "tls"], check=True,
                       stdout=subprocess.DEVNULL)
        (cls.folder / "token").write_text("correct horse\n")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        self.work = Path(tempfile.mkdtemp(dir=self.folder))
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def start(self, name, command, stdin=None, output=None):
        """output: where stdout and stderr go, if not to the log."""
        log = open(self.work / f"{name}.log", "ab")
        process = subprocess.Popen([str(part) for part in command], stdin=stdin, stdout=output or log,
                                   stderr=output or log)
        log.close()
        self.processes.append(process)
        return process

    def start_server(self, *flags, port=0, report="server.json", student=STUDENT, teacher=None,
                     training=TRAINING, data="none", tls=None, token="token", output=None):
        port_file = self.work / "port"
        port_file.unlink(missing_ok=True)
        process = self.start("server", [
            BIN / "ams-server", "--address", "127.0.0.1", "--port", port, "--port-file", port_file, "--certificate",
            (tls or self.folder / "tls") / "certificate.pem", "--private-key",
            (tls or self.folder / "tls") / "private_key.pem",
            *(["--token-file", self.folder / token] if token else []),
            *(teacher or ["--teacher", f"clip:{self.clip}"]), "--log-format", "json", "--log-level", "debug",
            "--report", self.work / report, "--data-dir", data, *training, *student, *flags], output=output)
        self.wait_until(lambda: port_file.is_file() and port_file.read_text().strip(), 60, "the server listens", process)
        self.port = int(port_file.read_text())
        return process

    def start_edge(self, *flags, name="edge", token="token", ca=None, student=STUDENT, source=None,
                   status="none", stdin=None, output=None, program="ams-edge"):
        return self.start(name, [
            BIN / program, "--server", f"127.0.0.1:{self.port}", "--ca",
            ca or self.folder / "tls" / "certificate.pem", "--token-file", self.folder / token,
            *(source or ["--clip", self.clip]), "--first-batch-seconds", "2", "--log-format", "json", "--status",
            status, "--report", self.work / f"{name}.json", *student, *flags], stdin, output)

    def wait_until(self, condition, seconds, what, *alive):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return
            for process in alive:
                self.assertIsNone(process.poll(), f"a program ended while waiting until {what}\n{self.logs()}")
            time.sleep(0.05)
        self.fail(f"waited {seconds} s until {what}\n{self.logs()}")

    def logs(self):
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.work.glob("*.log")))

    def events(self, name, event):
        path = self.work / f"{name}.log"
        lines = [line for line in path.read_text().splitlines() if line.startswith("{")] if path.exists() else []
        entries = []
        for line in lines:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # the last line while it is being written
            if entry["event"] == event:
                entries.append(entry)
        return entries

    def finish(self, process, seconds=90):
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.fail(f"a program did not end within {seconds} s\n{self.logs()}")
        self.assertEqual(code, 0, self.logs())

    def stop_server(self, process):
        process.send_signal(signal.SIGTERM)
        self.finish(process)
        return json.loads((self.work / "server.json").read_text())

    def report(self, name="edge"):
        return json.loads((self.work / f"{name}.json").read_text())
