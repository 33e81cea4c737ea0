"""Chromium without a window, driven over its debugging pipe: no driver and no library is needed."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    def __init__(self, dark=False):
        self.profile = tempfile.mkdtemp(prefix="ams-browser-")
        to_browser, self.out = os.pipe()
        self.read, from_browser = os.pipe()

        def pipes():  # the browser reads its file 3 and writes its file 4
            high = [os.dup(to_browser), os.dup(from_browser)]
            safe = [os.dup2(fd, 20 + i) for i, fd in enumerate(high)]
            os.dup2(safe[0], 3), os.dup2(safe[1], 4)

        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--ignore-certificate-errors", "--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb",
             f"--user-data-dir={self.profile}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=pipes,
            close_fds=False, env={**os.environ, "HOME": self.profile})
        os.close(to_browser), os.close(from_browser)
        self.buffer, self.number, self.session, self.errors = b"", 0, None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.set(dark=dark)

    def close(self):
        os.close(self.out)
        self.process.terminate()
        self.process.wait()
        os.close(self.read)
        shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.buffer:
                data = os.read(self.read, 1 << 20)
                if not data:
                    raise RuntimeError("the browser has ended")
                self.buffer += data
            text, self.buffer = self.buffer.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"]["exception"].get("description", "?"))
            entry = answer.get("params", {}).get("entry", {}) if answer.get("method") == "Log.entryAdded" else {}
            if entry.get("level") == "error" and entry["source"] != "network":
                self.errors.append(entry["text"])

    def set(self, width=1240, height=860, dark=False, scale=1):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                 mobile=False)
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        self.ask("Page.navigate", url=url)

    def do(self, script):
        """What the expression gives; promises are awaited."""
        result = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description"))
        return result["result"].get("value")

    def wait_for(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.do(condition):
                return
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s for {condition}; the page says: "
                             f"{self.do('document.body.innerText')[:2000]}; errors: {self.errors}")

    def screenshot(self, path):
        height = self.do("document.documentElement.scrollHeight")
        width = self.do("innerWidth")
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                        clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})["data"]
        path.write_bytes(base64.b64decode(data))
