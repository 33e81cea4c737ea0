"""What a device does when its own side goes wrong: cameras, videos, files and flags."""

import csv
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import unittest
import zlib

from http_camera import JPEG, HttpCamera
from programs import BIN, NOBODY, STUDENT, ProgramsTest
from rtsp_camera import RtspCamera

WEIGHTS = STUDENT[3]


class LiveSources(ProgramsTest):
    seconds = 4

    def start_with_camera(self, *plays, student=STUDENT):
        camera = RtspCamera([self.clip / "video.mp4"], plays)
        self.addCleanup(camera.stop)
        self.port = NOBODY
        edge = self.start_edge(source=["--video", camera.url], status="line", student=student)
        self.wait_until(lambda: "ms latency" in self.logs(), 60, "the first frame is segmented", edge)
        return edge

    def finish_by(self, number, edge):
        edge.send_signal(number)
        self.finish(edge)
        self.assertNotIn("secret", self.logs())
        report = self.report()
        self.assertRegex(report["clip"], r"^rtsp://\*\*\*@127\.0\.0\.1:\d+/camera$")
        return report

    def test_a_lost_camera_is_opened_again(self):
        edge = self.start_with_camera((40, 20, "close"), (10 ** 6, 20, "close"))
        self.wait_until(lambda: self.events("edge", "video_back"), 60, "the camera is back", edge)
        lost = self.events("edge", "video_lost")[0]
        self.assertNotIn("admin", lost["video"] + lost["reason"])
        self.wait_until(lambda: len(re.findall("ms latency", self.logs())) >= 3, 60, "its time goes on", edge)
        report = self.finish_by(signal.SIGINT, edge)
        self.assertGreater(report["frames"], 40)
        self.assertGreater(report["seconds"], 5)

    def test_a_stalled_camera_does_not_hold_up_a_signal(self):
        edge = self.start_with_camera((40, 20, "stall"))
        report = self.finish_by(signal.SIGTERM, edge)
        self.assertEqual(self.events("edge", "video_lost"), [])  # it did not wait for the timeout
        self.assertGreaterEqual(report["frames"], 1)

    def test_a_device_slower_than_its_camera_skips_frames_and_keeps_up(self):
        edge = self.start_with_camera((600, None, "stall"), student=STUDENT[:-1] + ["512x256"])
        self.wait_until(lambda: len(re.findall("ms latency", self.logs())) >= 2, 60, "time goes on", edge)
        report = self.finish_by(signal.SIGTERM, edge)
        # Skipped frames count. Not to the frame: the camera stamps pictures in the order of coding.
        self.assertAlmostEqual(report["seconds"], (report["frames"] - 1) / 30, delta=0.2)
        self.assertGreater(report["frames_dropped"], 0)
        self.assertLess(report["frames_dropped"], report["frames"])


    def test_a_camera_over_http_runs_at_its_own_rate_and_is_opened_again(self):
        camera = HttpCamera([(20, 10), (10 ** 6, 10)])
        self.addCleanup(camera.stop)
        self.port = NOBODY
        edge = self.start_edge(source=["--video", camera.url], status="line")
        self.wait_until(lambda: self.events("edge", "video_back"), 60, "the camera is back", edge)
        self.wait_until(lambda: len(re.findall("ms latency", self.logs())) >= 2, 60, "its time goes on", edge)
        edge.send_signal(signal.SIGINT)
        self.finish(edge)
        lost = self.events("edge", "video_lost")[0]
        self.assertEqual((lost["video"], lost["level"]), (camera.url, "warning"))
        report = self.report()
        self.assertEqual(report["video_losses"], 1)
        self.assertGreater(report["frames"], 40)
        # At the 25 frames a second that MJPEG has for libav, this would be well below.
        self.assertGreater(report["seconds"], 0.8 * (report["frames"] - 1) / 10)

    def test_a_live_source_that_is_gone_is_looked_for_until_a_signal(self):
        camera = HttpCamera([(30, 20)])
        self.port = NOBODY
        edge = self.start_edge(source=["--video", camera.url])
        self.wait_until(lambda: self.events("edge", "video_lost"), 60, "the camera is lost", edge)
        camera.stop()
        self.wait_until(lambda: len(self.events("edge", "video_lost")) >= 3, 60, "it is looked for", edge)
        edge.send_signal(signal.SIGTERM)
        self.finish(edge)
        self.assertGreaterEqual(self.report()["video_losses"], 1)


def write_png(path, grey, width=64, height=48):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes([grey]) * width) * height
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class OtherSources(ProgramsTest):
    def play(self, *source, code=0):
        self.port = NOBODY
        edge = self.start_edge(source=["--video", *source])
        self.assertEqual(edge.wait(timeout=60), code, self.logs())

    def test_pictures_in_files_are_a_video(self):
        folder = self.work / "pictures"
        folder.mkdir()
        for i in range(1, 13):
            write_png(folder / f"f{i}.png", 10 * i)
        self.play(folder / "f%d.png", "--fps", "20")
        report = self.report()
        self.assertEqual(report["frames"], 12)
        self.assertAlmostEqual(report["seconds"], 11 / 20)
        self.play(folder, code=1)
        error, = self.events("edge", "invalid_argument")
        self.assertIn("--fps", error["message"])
        self.play(folder / "f1.png")
        self.assertEqual(self.report()["frames"], 1)
        self.assertTrue(self.events("edge", "still_picture"))

    def test_a_pipe_that_ends_is_the_end_of_the_video(self):
        self.port = NOBODY
        edge = self.start_edge(source=["--video", "-", "--live", "no", "--fps", "100"], stdin=subprocess.PIPE)
        edge.stdin.write(JPEG * 300)
        edge.stdin.close()
        self.finish(edge)
        self.assertEqual(self.report()["frames"], 300)

    def test_a_text_is_no_video(self):
        clips = self.work / "clips.txt"
        clips.write_text("/data/clips/drive.mp4\n" * 60)
        self.play(clips, code=1)
        error, = self.events("edge", "malformed_data")
        self.assertIn("not a video: it is text", error["message"])


class ChangingSize(ProgramsTest):
    def test_pictures_of_two_sizes_in_one_buffer_are_sent_and_labelled(self):
        classes = ["--selected-classes", "0,1,2,8,10,13"]
        self.start_server(*classes)
        wide = self.work / "wide"
        subprocess.run([BIN / "ams-render", "--out", wide, "--seconds", "2", "--fps", "10", "--size", "256x64"],
                       check=True, stderr=subprocess.DEVNULL)
        # Every second the other size, so that buffers of two seconds have both.
        camera = RtspCamera([self.clip / "video.mp4", wide / "video.mp4"], [(10, 10, "close")])
        self.addCleanup(camera.stop)
        edge = self.start_edge(*classes, source=["--video", camera.url])
        self.wait_until(lambda: sum(e["samples"] for e in self.events("server", "labelled")) >= 8, 60,
                        "eight samples are labelled", edge)
        edge.send_signal(signal.SIGINT)
        self.finish(edge)
        self.assertGreaterEqual(len(self.events("edge", "video_back")), 3)
        self.assertEqual(self.events("edge", "encoding_failed"), [])
        self.assertEqual(self.events("server", "labelling_failed"), [])


class DamagedVideo(ProgramsTest):
    seconds = 40

    def test_what_was_achieved_is_kept(self):
        clip = self.work / "clip"
        shutil.copytree(self.clip, clip)
        video = bytearray((clip / "video.mp4").read_bytes())
        begin = video.index(b"mdat") + 4
        size = int.from_bytes(video[begin - 8:begin - 4], "big") - 8
        good = size // 8
        video[begin + good:begin + size] = b"\xff" * (size - good)
        (clip / "video.mp4").write_bytes(video)

        server = self.start_server()
        edge = self.start_edge("--compare", "--record", self.work / "record", "--timeline", self.work / "timeline",
                               source=["--clip", clip])
        self.assertEqual(edge.wait(timeout=90), 1, self.logs())
        session, = self.stop_server(server)["sessions"]
        report = self.report()
        self.assertIn("cannot be decoded", report["error"])
        self.assertGreater(report["frames"], 10)
        self.assertGreater(report["miou"], 0)
        self.assertEqual(report["digest"], session["digest"])  # it said goodbye
        self.assertIn("said Bye", self.events("server", "disconnected")[0]["reason"])
        self.assertGreaterEqual(len((self.work / "timeline").read_text().splitlines()), 2)
        for name in ("adapted.mkv", "baseline.mkv"):
            self.assertGreater((self.work / "record" / name).stat().st_size, 100)
        error, = self.events("edge", "malformed_data")
        self.assertIn("cannot be decoded", error["message"])


class Defaults(ProgramsTest):
    seconds = 8

    def test_a_device_is_named_after_its_host_and_sends_small_samples(self):
        server = self.start_server()
        self.finish(self.start_edge("--uplink-size", "100x50"))  # the video is 256x128
        session, = self.stop_server(server)["sessions"]
        self.assertEqual(session["device_id"], socket.gethostname())
        self.assertGreaterEqual(self.report()["updates"], 1)


class Embedded(ProgramsTest):
    def test_a_program_of_ones_own_sees_every_prediction(self):
        student = ["--student", "edanet", "--weights", WEIGHTS]
        server = self.start_server(student=student)
        classes = json.loads((self.clip / "clip.json").read_text())["eval_classes"]
        result = subprocess.run(
            [BIN / "embed", "-", self.clip / "video.mp4", "127.0.0.1", str(self.port),
             self.folder / "tls" / "certificate.pem", "correct horse", WEIGHTS, *map(str, sorted(classes))],
            capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr + self.logs())
        session, = self.stop_server(server)["sessions"]
        frames = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(len(frames), 10 * self.seconds)
        for frame in frames:
            self.assertLessEqual(set(map(int, frame["classes"])), set(classes))
            self.assertAlmostEqual(sum(frame["classes"].values()), 1, delta=1e-3)
        self.assertGreaterEqual(frames[-1]["model_version"], 1)
        self.assertGreaterEqual(session["updates"], frames[-1]["model_version"])


class SavedState(ProgramsTest):
    seconds = 8

    def refuse(self, state, code, *words, student=STUDENT):
        """The device does not start, says why, and leaves the file as it was."""
        before = state.read_bytes()
        self.port = NOBODY
        name = f"refused-{len(list(self.work.iterdir()))}"
        edge = self.start_edge("--state", state, name=name, student=student)
        self.assertEqual(edge.wait(timeout=60), 1, self.logs())
        error, = self.events(name, code)
        for word in (str(state), *words):
            self.assertIn(word, error["message"])
        self.assertEqual(state.read_bytes(), before)
        self.assertFalse((self.work / f"{name}.json").exists())

    def test_nothing_but_this_students_state_is_overwritten(self):
        weights = self.work / "weights.safetensors"
        shutil.copy(WEIGHTS, weights)
        self.refuse(weights, "invalid_argument", "not a saved state")
        state = self.work / "state"
        server = self.start_server()
        self.finish(self.start_edge("--state", state))
        self.stop_server(server)
        self.assertTrue(state.exists())
        self.refuse(state, "manifest_mismatch", "another student", student=STUDENT[:-1] + ["192x96"])
        self.refuse(state, "manifest_mismatch", "another student",
                    student=["--student", "deeplabv3_mobilenetv2", "--input", "128x64"])
        self.port = NOBODY
        self.finish(self.start_edge("--state", state, "--timeline", self.work / "timeline", name="again"))
        self.assertEqual(self.report("again")["digest"], self.report()["digest"])
        with open(self.work / "timeline", newline="") as file:  # what runs is told from the first row on
            versions = {int(row["model_version"]) for row in csv.DictReader(file)}
        self.assertEqual(versions, {self.report()["model_version"]})


    def test_a_damaged_state_is_set_aside_and_the_device_plays(self):
        state = self.work / "state"
        server = self.start_server()
        self.finish(self.start_edge("--state", state))
        self.stop_server(server)
        good = state.read_bytes()

        def flipped(at):
            damaged = bytearray(good)
            damaged[at] ^= 1
            return bytes(damaged)

        self.port = NOBODY
        for name, damaged in {"magic": flipped(0), "middle": flipped(len(good) // 2), "student": flipped(-16),
                              "end": flipped(-1), "half": good[:len(good) // 2], "empty": b"", "one": good[:1],
                              "zeros": bytes(len(good))}.items():
            with self.subTest(damage=name):
                state.write_bytes(damaged)
                self.finish(self.start_edge("--state", state, "--stop-after-seconds", "0.5", name=name))
                warning, = self.events(name, "state_damaged")
                self.assertEqual(warning["state"], str(state))
                aside = self.work / "state.damaged"
                self.assertEqual(warning["moved_to"], str(aside))
                self.assertEqual(aside.read_bytes(), damaged)
                self.assertEqual(self.events(name, "resuming"), [])
                self.assertEqual(self.report(name)["model_version"], 0)
        state.write_bytes(good)
        self.finish(self.start_edge("--state", state, "--stop-after-seconds", "0.5", name="good"))
        self.assertEqual(len(self.events("good", "resuming")), 1)


class Flags(unittest.TestCase):
    def test_flags_that_do_not_go_together_are_refused(self):
        for flags, words in [
            (["--video", "x.mp4", "--compare"], "--clip"),
            (["--video", "x.mp4", "--record", "folder"], "--clip"),
            (["--video", "x.mp4", "--uplink-size", "4096x2160"], "2048"),
            (["--video", "x.mp4", "--uplink-kbps", "0"], "uplink-kbps"),
            (["--video", "x.mp4", "--status", "loud"], "--status"),
            (["--video", "x.mp4", "--live", "perhaps"], "--live"),
            (["--video", "x.mp4", "--fps", "0"], "--fps"),
            (["--clip", "x", "--fps", "10"], "--fps"),
        ]:
            with self.subTest(flags=flags):
                result = subprocess.run([BIN / "ams-edge", *flags], capture_output=True, text=True, timeout=60)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
                self.assertLessEqual(len(result.stderr.strip().splitlines()), 3)

    def test_an_address_that_is_none_is_refused(self):
        for server in ("127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:8443x", ":8443",
                       "::1:8443", "[]:8443"):
            with self.subTest(server=server):
                result = subprocess.run([BIN / "ams-edge", "--video", WEIGHTS, "--server", server, *STUDENT],
                                        capture_output=True, text=True, timeout=60)
                self.assertEqual(result.returncode, 1)
                self.assertIn(f"the server '{server}'", result.stderr)
                self.assertIn("[::1]:8443", result.stderr)

    def test_errors_do_not_tell_a_password(self):
        result = subprocess.run([BIN / "ams-edge", "--video", "rtsp://admin:secret@127.0.0.1:9/camera", *STUDENT],
                                capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn("rtsp://***@127.0.0.1:9/camera", result.stderr)
        self.assertNotIn("secret", result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
