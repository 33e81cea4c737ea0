"""What an operator has: /metrics with dashboard and alerts, /api/ for scripts, and the page in a real browser."""

import json
import re
import shutil
import ssl
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

from browser import CHROMIUM, Browser
from programs import BIN, ROOT, STUDENT, ProgramsTest

PACKAGING = ROOT / "packaging"
HOSTILE = "<img src=x onerror=alert(1)>'\"/%é"


class OperatorTest(ProgramsTest):
    seconds = 120

    def ask(self, path, method="GET", token="correct horse", **headers):
        """(status, type, body)"""
        context = ssl.create_default_context(cafile=self.folder / "tls" / "certificate.pem")
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method, headers=headers)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if method == "POST":
            request.data = b""
            request.add_header("Content-Type", headers.get("Content-Type", "application/json"))
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read()

    def device(self, device_id):
        status, _, body = self.ask("/api/devices/" + urllib.parse.quote(device_id, safe=""))
        return json.loads(body) if status == 200 else None

    def command(self, device_id, what):
        status, _, body = self.ask(f"/api/devices/{urllib.parse.quote(device_id, safe='')}/{what}", "POST")
        return status, json.loads(body)

    def start_two(self, *flags):
        server = self.start_server(*flags)
        edges = [self.start_edge("--device-id", device_id, name=name)
                 for name, device_id in (("edge", "camera-1"), ("other", HOSTILE))]
        self.wait_until(lambda: all((self.device(i) or {"version": 0})["version"] >= 2 for i in ("camera-1", HOSTILE)),
                        90, "both devices have updates", server, *edges)
        return server

    def test_scripts_watch_and_steer_devices(self):
        server = self.start_two()
        status, kind, body = self.ask("/api/devices")
        self.assertEqual((status, kind), (200, "application/json"))
        self.assertEqual({d["id"] for d in json.loads(body)["devices"]}, {"camera-1", HOSTILE})
        seen = self.device("camera-1")
        self.assertEqual(seen["state"], "connected")
        self.assertGreater(seen["samples"], 0)
        self.assertEqual(len(seen["history"]["age_seconds"]), len(seen["history"]["loss"]))

        pictures = [self.ask(f"/api/devices/camera-1/{name}.jpg")
                    for name in ("sample", "teacher", "adapted", "no_customization")]
        for status, kind, body in pictures:
            self.assertEqual((status, kind), (200, "image/jpeg"))
            self.assertEqual(body[:2], b"\xff\xd8")
        self.assertEqual(len({body for _, _, body in pictures}), 4)

        self.assertEqual(self.command("camera-1", "pause"), (200, {"done": "pause"}))
        self.assertEqual(self.device("camera-1")["state"], "paused")
        before = self.device("camera-1")["version"]
        other = self.device(HOSTILE)["version"]
        self.wait_until(lambda: self.device(HOSTILE)["version"] >= other + 2, 60, "the other one goes on", server)
        self.assertEqual(self.device("camera-1")["version"], before)
        self.assertEqual(self.command("camera-1", "roll-back")[0], 200)
        self.assertEqual(self.command("camera-1", "reset")[0], 200)
        self.wait_until(lambda: self.device("camera-1")["versions_behind"] == 0, 30, "the device has it", server)
        self.assertEqual(self.device("camera-1")["version"], before + 2)
        self.assertEqual(self.command("camera-1", "resume")[0], 200)
        self.wait_until(lambda: self.device("camera-1")["version"] >= before + 3, 60, "it learns again", server)
        connections = self.device("camera-1")["connections"]
        self.assertEqual(self.command("camera-1", "disconnect")[0], 200)
        self.wait_until(lambda: self.device("camera-1")["connections"] > connections, 30, "it is back", server)
        self.assertEqual(self.events("server", "reset")[0]["device"], "camera-1")
        self.assertIn("127.0.0.1", self.events("server", "reset")[0]["by"])

        for path, method, token, expected in (
            ("/api/devices", "GET", None, 401), ("/api/devices", "GET", "wrong", 401),
            ("/api/devices/nobody", "GET", "correct horse", 404), ("/api/nothing", "GET", "correct horse", 404),
            ("/api/devices/camera-1/explode", "POST", "correct horse", 404),
            ("/api/devices/camera-1/reset", "GET", "correct horse", 405),
            ("/api/devices/%zz", "GET", "correct horse", 400),
        ):
            with self.subTest(path=path, token=token):
                status, kind, body = self.ask(path, method, token)
                self.assertEqual(status, expected)
                self.assertEqual(list(json.loads(body)), ["error"])
        self.assertEqual(self.ask("/api/devices/camera-1/reset", "POST", **{"Content-Type": "text/plain"})[0], 415)
        self.assertEqual(self.ask("/api/devices", Origin="https://evil.example")[0], 403)

        self.check_metrics(self.ask("/metrics")[2].decode())
        self.stop_server(server)

    def test_a_device_may_have_settings_of_its_own(self):
        config = self.work / "server.toml"
        config.write_text('iterations = 2\n[device.camera-1]\npinned = true\nupdate-interval-seconds = 7\n'
                          '[device."yard.2"]\ndownlink-kbps = 20\n'
                          '[device.own]\nstudent = "edanet"\ninput = "128x64"\n')  # untrained: another student
        training = ["--batch-size", "2", "--threads", "1"]
        server = self.start_server("--config", config, training=training)
        edges = [self.start_edge("--device-id", "camera-1"), self.start_edge("--device-id", "b", name="other"),
                 self.start_edge("--device-id", "own", name="own", student=["--student", "edanet", "--input", "128x64"])]
        stranger = self.start_edge("--device-id", "own", "--stop-after-seconds", "3", name="stranger")
        for name in ("b", "own"):
            self.wait_until(lambda: (self.device(name) or {"version": 0})["version"] >= 1, 60, "an update", server, *edges)
        self.wait_until(lambda: self.events("own", "model"), 60, "it is taken over", server, *edges)
        self.finish(stranger)
        self.assertIn("--student", self.events("stranger", "server_fault")[0]["message"])
        pinned, other = self.device("camera-1"), self.device("b")
        self.assertEqual((pinned["state"], pinned["version"], pinned["update_interval_seconds"]), ("paused", 0, 7))
        self.assertEqual((other["state"], other["update_interval_seconds"]), ("connected", 2))
        self.assertEqual(self.stop_server(server)["training"]["iterations"], 2)

        for text, words in (
            ("[device.a]\niteration = 3", ("[device.a]", "'iteration'", "update-interval-seconds")),
            ("[device.a]\niterations = many", ("[device.a]", "many")),
            ("[device.a]\nsampling-max-fps = 1000", ("[device.a]", "60")),
            ('[device.a]\nstrategy = "best"', ("[device.a]", "gradient_guided")),
            ('[device.a]\nprofile = "compact"\ndownlink-kbps = 3', ("[device.a]", "one or the other")),
            ('[device.a]\nstudent = "missing.pt"', ("[device.a]", "missing.pt")),
            ('[device.a]\nteacher = "model"', ("[device.a]", "model", "fddwnet:")),
            ("[devices.a]\niterations = 3", ("devices.a",)),
        ):
            with self.subTest(text):
                config.write_text(text + "\n")
                result = subprocess.run([str(part) for part in (
                    BIN / "ams-server", "--check", "--config", config, "--certificate",
                    self.folder / "tls" / "certificate.pem", "--private-key", self.folder / "tls" / "private_key.pem",
                    "--teacher", f"clip:{self.clip}", "--address", "127.0.0.1", "--data-dir", "none", *STUDENT)],
                    capture_output=True, text=True)
                self.assertNotEqual(result.returncode, 0)
                for word in words:
                    self.assertIn(word, result.stderr)

    def check_metrics(self, text):
        families = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
        samples = set(re.findall(r"^([a-z_]+)(?:\{|\s)", text, re.M)) - {"#"}
        for name in samples:
            self.assertIn(re.sub("_(bucket|sum|count)$", "", name) if name not in families else name, families)
        named = set()
        for file in (PACKAGING / "grafana" / "libams.json", PACKAGING / "prometheus" / "alerts.yml"):
            named |= set(re.findall(r"\bams_[a-z_]+", file.read_text()))
        self.assertGreater(len(named), 20)
        self.assertEqual(named - samples - families, set())
        if promtool := shutil.which("promtool"):
            checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
            self.assertEqual(checked.returncode, 0, checked.stderr)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not here (Debian's prometheus)")
    def test_the_alert_rules_are_valid(self):
        subprocess.run(["promtool", "check", "rules", PACKAGING / "prometheus" / "alerts.yml"], check=True,
                       stdout=subprocess.DEVNULL)

    @unittest.skipUnless(CHROMIUM, "no Chromium is here")
    def test_the_page_shows_and_steers_devices(self):
        server = self.start_two()
        browser = Browser()
        try:
            self.look(browser, server)
        finally:
            browser.close()
        self.stop_server(server)

    def look(self, browser, server):
        browser.open(f"https://127.0.0.1:{self.port}/")
        browser.wait_for("document.querySelector('dialog')?.open")
        browser.do("""document.getElementById('secret').value = 'wrong'; document.getElementById('yes').click()""")
        browser.wait_for("document.querySelector('dialog').open && "
                         "document.getElementById('question').textContent.includes('does not know')")
        browser.do("document.getElementById('secret').value = 'correct horse'; document.getElementById('yes').click()")
        browser.wait_for("document.querySelectorAll('#rows tr').length === 2")
        ids = browser.do("[...document.querySelectorAll('#rows bdi')].map(e => e.textContent)")
        self.assertEqual(set(ids), {"camera-1", HOSTILE})
        self.assertEqual(browser.do("document.querySelectorAll('#rows img').length"), 0)
        browser.do("document.querySelectorAll('#rows tr')[0].click()")
        browser.wait_for(f"document.getElementById('name').textContent === {json.dumps(HOSTILE)}")
        browser.do("location.hash = '#/camera-1'")
        browser.wait_for("document.getElementById('name').textContent === 'camera-1'")
        browser.wait_for("[...document.querySelectorAll('#pictures img')].filter(i => i.naturalWidth).length === 4")
        browser.wait_for("document.querySelectorAll('#charts path').length === 6")

        click = """[...document.querySelectorAll('#commands button')].find(b => b.textContent === '%s').click()"""
        browser.do(click % "Pause")
        browser.wait_for("document.querySelector('dialog').open")
        self.assertIn("camera-1", browser.do("document.getElementById('question').textContent"))
        browser.do("document.getElementById('yes').click()")
        browser.wait_for("document.getElementById('state').textContent === 'paused'")
        self.assertTrue(self.device("camera-1")["paused"])
        browser.do(click % "Resume")
        browser.wait_for("document.getElementById('state').textContent === 'connected'")
        browser.do(click % "Reset")
        browser.wait_for("document.querySelector('dialog').open")
        browser.do("document.getElementById('no').click(); " + click % "Reset")  # in one go: no event in between
        browser.wait_for("document.querySelector('dialog').open")
        browser.do("document.getElementById('yes').click()")
        self.wait_until(lambda: len(self.events("server", "reset")) == 1, 20, "the device is reset", server)
        self.assertEqual(browser.do("document.querySelectorAll('#name img').length"), 0)
        self.assertEqual(browser.errors, [])


if __name__ == "__main__":
    unittest.main()
