"""What a device sees gets out: ams-edge --output, read by ams.outputs, and --show."""

import json
import os
import socket
import subprocess
import sys
import threading
import unittest

from programs import BIN, NOBODY, STUDENT, ProgramsTest

sys.path.insert(0, str(BIN.parent / "python"))
try:
    from ams.outputs import predictions
except ImportError as error:
    raise unittest.SkipTest(f"no Python package in this build: {error}")

WIDTH, HEIGHT = 128, 64  # of STUDENT


class Outputs(ProgramsTest):
    seconds = 2
    frames = 20

    def setUp(self):
        super().setUp()
        self.port = NOBODY

    def play(self, name, *flags, video=None, student=STUDENT):
        return self.start_edge(*flags, name=name, source=["--video", video or self.clip / "video.mp4"], student=student)

    def play_to_pipe(self, *flags, name="edge"):
        """As play(), with standard output on a pipe."""
        with open(self.work / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [BIN / "ams-edge", "--server", f"127.0.0.1:{NOBODY}", "--ca", self.folder / "tls" / "certificate.pem",
                 "--video", self.clip / "video.mp4", "--log-format", "json", "--status", "line", "--report",
                 self.work / f"{name}.json", *STUDENT, "--output", "-", *flags], stdout=subprocess.PIPE, stderr=log)
        self.processes.append(process)
        return process

    def read_in_background(self, where):
        """The list that all predictions go to, and the thread that puts them there."""
        seen = []
        thread = threading.Thread(target=lambda: seen.extend(predictions(where)), daemon=True)
        thread.start()
        return seen, thread

    def finish_reading(self, thread):
        thread.join(60)
        self.assertFalse(thread.is_alive(), self.logs())

    def check(self, seen, labels, report, all_frames=True):
        """Predictions as the report counts them, whole and in order."""
        numbers = [prediction.frame for prediction in seen]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(numbers[-1], self.frames - 1)
        if all_frames:
            self.assertEqual(len(numbers), report["output"]["records"])
            self.assertEqual(report["output"]["lost"], 0)
        for prediction in seen:
            self.assertEqual((prediction.width, prediction.height), (WIDTH, HEIGHT))
            self.assertAlmostEqual(sum(prediction.classes.values()), 1, delta=1e-3)
            self.assertAlmostEqual(prediction.seconds, prediction.frame / 10, delta=1e-3)
            self.assertGreater(prediction.latency_seconds, 0)
            self.assertEqual(prediction.model_version, 0)
            self.assertEqual(prediction.labels is not None, labels)
            if labels:
                self.assertEqual(prediction.labels.shape, (HEIGHT, WIDTH))

    def test_files_and_standard_output(self):
        lines = self.play("lines", "--output", self.work / "new" / "predictions.jsonl")
        maps = self.play("maps", "--output", self.work / "labels", "--output-format", "labels")
        pipe = self.play_to_pipe(name="pipe")
        text = pipe.stdout.read()
        pipe.stdout.close()
        for process in (lines, maps, pipe):
            self.finish(process)
        self.check(list(predictions(str(self.work / "new" / "predictions.jsonl"))), False, self.report("lines"))
        self.check(list(predictions(str(self.work / "labels"))), True, self.report("maps"))
        # Nothing but predictions; the status goes to standard error.
        numbers = [json.loads(line)["frame"] for line in text.splitlines()]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(len(text.splitlines()), self.report("pipe")["output"]["records"])
        self.assertIn("ms latency", (self.work / "pipe.log").read_text())

    def test_sockets_pipes_and_shared_memory(self):
        os.mkfifo(self.work / "fifo")
        from_fifo, fifo_thread = self.read_in_background(str(self.work / "fifo"))
        devices = {"fifo": self.play("fifo", "--output", self.work / "fifo"),
                   "socket": self.play("socket", "--output", f"unix:{self.work}/socket", "--output-format", "labels"),
                   "shm": self.play("shm", "--output", f"shm:ams-test-{os.getpid()}")}
        shared = f"/dev/shm/ams-test-{os.getpid()}"
        self.wait_until(lambda: (self.work / "socket").exists() and os.path.exists(shared), 60, "the outputs are open",
                        *devices.values())
        from_socket, socket_thread = self.read_in_background(f"unix:{self.work}/socket")
        from_memory, memory_thread = self.read_in_background(f"shm:ams-test-{os.getpid()}")
        with socket.socket(socket.AF_UNIX) as passing:  # a reader that leaves at once
            passing.connect(str(self.work / "socket"))
        for process in devices.values():
            self.finish(process)
        for thread in (fifo_thread, socket_thread, memory_thread):
            self.finish_reading(thread)
        self.check(from_fifo, False, self.report("fifo"))
        self.check(from_socket, True, self.report("socket"), all_frames=False)
        self.assertEqual(self.report("socket")["output"]["lost"], 0)
        self.check(from_memory, True, self.report("shm"), all_frames=False)
        self.assertFalse((self.work / "socket").exists())
        self.assertFalse(os.path.exists(shared))

    def test_a_slow_reader_loses_predictions_and_the_device_none(self):
        clip = self.work / "clip"
        subprocess.run([BIN / "ams-render", "--out", clip, "--seconds", "4", "--fps", "30", "--size", "128x64"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        edge = self.play("edge", "--output", f"unix:{self.work}/socket", "--output-format", "labels",
                         video=clip / "video.mp4", student=STUDENT[:-1] + ["256x128"])
        self.wait_until((self.work / "socket").exists, 60, "the socket is there", edge)
        with socket.socket(socket.AF_UNIX) as slow:
            slow.connect(str(self.work / "socket"))
            self.finish(edge)  # it reads nothing while the device lives
            with slow.makefile("rb") as file:
                seen = list(predictions(file))
        output = self.report()["output"]
        self.assertGreater(output["lost"], 0)
        self.assertLessEqual(len(seen), output["written"])
        self.assertGreater(len(seen), 0)
        self.assertEqual(output["records"], self.report()["frames"] - self.report()["frames_dropped"])
        for prediction in seen:
            self.assertEqual(prediction.labels.shape, (128, 256))

    def test_a_closed_pipe_ends_the_device_in_order_and_a_closed_fifo_does_not(self):
        os.mkfifo(self.work / "fifo")
        first = []

        def read_three():
            reader = predictions(str(self.work / "fifo"))
            first.extend(next(reader).frame for _ in range(3))
            reader.close()

        thread = threading.Thread(target=read_three, daemon=True)
        thread.start()
        fifo = self.play("fifo", "--output", self.work / "fifo")
        pipe = self.play_to_pipe(name="pipe")
        for _ in range(3):
            self.assertTrue(pipe.stdout.readline().startswith(b'{"frame":'))
        pipe.stdout.close()
        for process in (pipe, fifo):
            self.finish(process)
        self.finish_reading(thread)
        self.assertEqual(len(first), 3)
        self.assertEqual(self.report("fifo")["frames"], self.frames)
        self.assertLess(self.report("pipe")["frames"], self.frames)
        self.assertNotIn("error", self.report("pipe"))

    def test_a_full_disk_does_not_end_the_device(self):
        edge = self.play("edge", "--output", "/dev/full")
        self.finish(edge)
        event, = self.events("edge", "output_failed")
        self.assertIn("No space left", event["reason"])
        report = self.report()
        self.assertEqual(report["frames"], self.frames)
        self.assertEqual(report["output"]["written"], 0)
        self.assertEqual(report["output"]["lost"], report["output"]["records"])

    def test_bad_values_are_refused_at_the_start(self):
        (self.work / "file").write_text("mine")
        for flags, words in [
            (["--output", ""], "--output"),
            (["--output", "udp:1.2.3.4:5"], "unix:PATH"),
            (["--output", "unix:"], "unix:PATH"),
            (["--output", "shm:a/b"], "shm:NAME"),
            (["--output", "tcp:9000"], "tcp:HOST:PORT"),
            (["--output", "-", "--output-format", "xml"], "jsonl, labels"),
            (["--output-format", "labels"], "--output"),
            (["--output", "shm:x", "--output-format", "jsonl"], "labels"),
            (["--show", "screen"], "window, http://HOST:PORT"),
            (["--show", "http://127.0.0.1"], "window, http://HOST:PORT"),
        ]:
            with self.subTest(flags=flags):
                result = subprocess.run([BIN / "ams-edge", "--video", "none.mp4", *flags], capture_output=True,
                                        text=True, timeout=60)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
                self.assertLessEqual(len(result.stderr.strip().splitlines()), 3)
        for output, words in [(self.work, "cannot open"), (f"unix:{self.work}/file", "is no socket")]:
            with self.subTest(output=output):
                edge = self.play("refused", "--output", output)
                self.assertNotEqual(edge.wait(timeout=60), 0)
                self.assertIn(words, self.logs())
        self.assertEqual((self.work / "file").read_text(), "mine")


class Show(ProgramsTest):
    seconds = 2

    def setUp(self):
        super().setUp()
        self.port = NOBODY

    def test_a_browser_gets_pictures_while_the_device_lives(self):
        edge = self.start_edge("--show", "http://127.0.0.1:0", source=["--video", self.clip / "video.mp4"])
        self.wait_until(lambda: self.events("edge", "showing"), 60, "it listens", edge)
        port = int(self.events("edge", "showing")[0]["open"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as browser, browser.makefile("rb") as file:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            self.assertEqual(file.readline(), b"HTTP/1.0 200 OK\r\n")
            self.assertIn(b"multipart/x-mixed-replace; boundary=picture", file.readline())
            while file.readline() != b"\r\n":
                pass
            self.assertEqual(file.readline(), b"--picture\r\n")
            for _ in range(3):
                self.assertEqual(file.readline(), b"Content-Type: image/jpeg\r\n")
                size = int(file.readline().removeprefix(b"Content-Length: "))
                file.readline()
                picture = file.read(size)
                self.assertTrue(picture.startswith(b"\xff\xd8") and picture.endswith(b"\xff\xd9"))
                self.assertEqual(file.readline() + file.readline(), b"\r\n--picture\r\n")
        self.finish(edge)
        self.assertGreaterEqual(self.report()["show"]["pictures"], 3)

    def test_a_file_holds_every_frame_and_a_window_opens_on_a_display(self):
        os.environ["SDL_VIDEODRIVER"] = "dummy"
        self.addCleanup(os.environ.pop, "SDL_VIDEODRIVER")
        window = self.start_edge("--show", "window", name="window", source=["--video", self.clip / "video.mp4"])
        to_file = self.start_edge("--show", self.work / "seen.mp4", name="file")
        self.finish(window)
        self.finish(to_file)
        self.assertGreater(self.report("window")["show"]["pictures"], 0)
        # The file is a video: a device can play it.
        again = self.start_edge(source=["--video", self.work / "seen.mp4"], name="again")
        self.finish(again)
        self.assertGreaterEqual(self.report("again")["frames"], self.report("file")["frames"] - 2)

    def test_no_display_is_an_error_at_the_start(self):
        display = {name: os.environ.pop(name, None) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")}
        self.addCleanup(lambda: os.environ.update({name: text for name, text in display.items() if text is not None}))
        edge = self.start_edge("--show", "window", source=["--video", self.clip / "video.mp4"])
        self.assertNotEqual(edge.wait(timeout=60), 0)
        self.assertIn("there is no display", self.logs())


if __name__ == "__main__":
    unittest.main()
