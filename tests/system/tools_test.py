"""The tools that make files: what is wrong is said at the start, and nothing half-made stays behind."""

import json
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from programs import BIN, NOBODY, ROOT, STUDENT, ProgramsTest

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

WEIGHTS = STUDENT[3]
CLASSES = 4


def boxes(data, begin, end):
    """(name, begin, end) of the boxes of an MP4 file, or of one of its boxes."""
    while begin < end:
        size, = struct.unpack_from(">I", data, begin)
        yield data[begin + 4:begin + 8], begin, begin + size
        begin += size


def find(data, *path):
    begin, end = 0, len(data)
    for name in path:
        begin, end = next((b, e) for n, b, e in boxes(data, begin, end) if n == name)
        begin += 8
    return begin - 8, end


def retimed(mp4, seconds_of_frame):
    """A video as ams-render writes it, frame i shown at seconds_of_frame(i): its tables of times are written anew, in a
    copy of the index at the end of the file."""
    data = bytearray(mp4)
    table = [b"moov", b"trak", b"mdia", b"minf", b"stbl"]

    def entries(name):
        begin, _ = find(data, *table, name)
        count, = struct.unpack_from(">I", data, begin + 12)
        pairs = [struct.unpack_from(">Ii", data, begin + 16 + 8 * i) for i in range(count)]
        return [value for number, value in pairs for _ in range(number)]

    durations, offsets = entries(b"stts"), entries(b"ctts")
    ticks, = struct.unpack_from(">I", data, find(data, b"moov", b"trak", b"mdia", b"mdhd")[0] + 20)
    shown = [sum(durations[:i]) + offset for i, offset in enumerate(offsets)]
    place = {time: number for number, time in enumerate(sorted(shown))}
    first = min(shown)
    shown = [first + round(ticks * seconds_of_frame(place[time])) for time in shown]

    moov_begin, moov_end = find(data, b"moov")
    moov = bytearray(data[moov_begin:moov_end])
    for name, values in ((b"stts", [1] * len(shown)), (b"ctts", [time - i for i, time in enumerate(shown)])):
        begin, end = find(moov, *table, name)
        new = struct.pack(">I4sII", 16 + 8 * len(values), name, 0, len(values))
        new += b"".join(struct.pack(">II", 1, value) for value in values)
        around = [find(moov, *table[:depth + 1])[0] for depth in range(len(table))]
        moov[begin:end] = new
        for box in around:
            size, = struct.unpack_from(">I", moov, box)
            struct.pack_into(">I", moov, box, size + len(new) - (end - begin))
    data[moov_begin + 4:moov_begin + 8] = b"free"
    return bytes(data + moov)


class ToolsTest(ProgramsTest):
    seconds = 4

    def run_program(self, *command, **options):
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, **options)

    def refuse(self, command, *words, left=()):
        """Ends soon with one line that has these words, and leaves nothing in the folder but `left`."""
        result = self.run_program(*command, cwd=self.work)
        self.assertNotEqual(result.returncode, 0)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertLessEqual(len(result.stderr.strip().splitlines()), 3, result.stderr)
        self.assertEqual(sorted(path.name for path in self.work.iterdir()), sorted(left))

    def interrupt(self, command, begun):
        """Ends the program by a signal once the path `begun` is there; what is left in the folder."""
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("tool", command)
            self.wait_until(begun.exists, 60, f"{begun} is begun", process)
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=60), 128 + number, self.logs())
        (self.work / "tool.log").unlink()
        return sorted(path.name for path in self.work.iterdir())

    def without_room(self, command, most_bytes):
        """Runs the program where no file may grow longer, as on a full disk."""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        result = self.run_program(*command, preexec_fn=limit)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("cannot write", result.stderr)
        return sorted(path.name for path in self.work.iterdir())

class Tools(ToolsTest):
    def render(self, *flags):
        return [BIN / "ams-render", "--out", self.work / "made", "--quiet", *flags]

    def test_rendering(self):
        (self.work / "made").mkdir()
        self.refuse(self.render("--replace"), "not a clip folder", left=["made"])
        (self.work / "made").rmdir()
        self.assertEqual(self.interrupt(self.render("--seconds", 600), self.work / "made.partial"), [])
        short = self.render("--seconds", 2)
        self.assertEqual(self.without_room(short, 20_000), [])
        self.assertEqual(self.run_program(*short).returncode, 0)
        self.refuse(short, "--replace", left=["made"])
        before = (self.work / "made" / "clip.json").read_text()
        longer = self.render("--seconds", 3, "--replace")
        self.assertEqual(self.without_room(longer, 20_000), ["made"])
        self.assertEqual((self.work / "made" / "clip.json").read_text(), before)
        self.assertEqual(self.run_program(*longer).returncode, 0)
        self.assertEqual(json.loads((self.work / "made" / "clip.json").read_text())["frames"], 45)
        self.assertEqual([path.name for path in self.work.iterdir()], ["made"])

    def test_a_device_tells_once_of_a_changed_shape(self):
        for shape, note in (("64x192", "--input 48x160 (for ams-server too) keeps their shape"), ("128x72", None)):
            with self.subTest(shape=shape):
                self.run_program(*self.render("--seconds", 0.5, "--size", shape, "--replace"))
                result = self.run_program(BIN / "ams-edge", "--server", f"127.0.0.1:{NOBODY}", "--clip",
                                          self.work / "made", "--status", "none", *STUDENT)
                notes = [line for line in result.stderr.splitlines() if "shape_changed" in line]
                self.assertEqual(len(notes), 1 if note else 0, result.stderr)
                self.assertIn(note or "", "".join(notes))

    def test_annotating(self):
        command = [BIN / "ams-annotate", "--clip", self.clip, "--adapted", self.clip / "labels.mkv"]
        (self.work / "file").write_text("")
        self.refuse([*command, "--picture", "file/picture.png"], "folder 'file'", left=["file"])
        self.refuse([*command, "--out", "made.mp4", "--picture", "file/p.png"], "folder 'file'", left=["file"])
        self.refuse([*command, "--out", "."], "it is a folder", left=["file"])
        (self.work / "file").unlink()
        made = [*command, "--out", self.work / "made.mp4"]
        self.assertEqual(self.without_room(made, 10_000), [])
        self.assertEqual(self.run_program(*made).returncode, 0)
        self.assertEqual([path.name for path in self.work.iterdir()], ["made.mp4"])

    def test_pretraining(self):
        # Rendering so many streets takes minutes: nothing may be found wrong after it.
        command = [BIN / "ams-pretrain", "--streets", "100000", "--threads", "1", "--input", "64x32", "--out", "made"]
        for flags, word in ((["--batch-size", "1"], "batch_size"), (["--steps", "0"], "steps"),
                            (["--weights", "none.safetensors"], "none.safetensors"),
                            (["--clips", "nowhere"], "nowhere"),
                            (["--clips", self.clip, "--classes", "5"], "19 classes and the student 5 outputs")):
            with self.subTest(flags=flags):
                self.refuse([*command, *flags], word)
        other = self.folder / "other"
        shutil.copytree(self.clip, other)
        self.addCleanup(shutil.rmtree, other)
        info = json.loads((other / "clip.json").read_text())
        info["classes"][:2] = reversed(info["classes"][:2])
        (other / "clip.json").write_text(json.dumps(info))
        self.refuse([*command, "--clips", self.clip, other], "class 0 is 'road'", "'sidewalk'")

        training = [BIN / "ams-pretrain", "--clips", self.clip, "--steps", "100000", "--batch-size", "2", "--threads",
                    "1", "--input", "64x32", "--out", self.work / "made"]
        process = self.start("tool", training)
        self.wait_until(lambda: "step" in self.logs(), 60, "training", process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 128 + signal.SIGTERM)
        (self.work / "tool.log").unlink()
        self.assertEqual(list(self.work.iterdir()), [])
        few = [*training, "--steps", "1"]
        few.remove("100000")
        few.remove("--steps")
        self.assertEqual(self.without_room(few, 20_000), [])


@unittest.skipIf(torch is None, "this Python has no torch to make networks with")
class Labelling(ToolsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(1)
        coarse = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 8, 8, 3, 2, 1) for i in range(4)),
                               nn.Conv2d(8, CLASSES, 3, 2, 1))
        torch.jit.script(coarse).save(str(cls.folder / "coarse.pt"))
        torch.jit.script(nn.Conv2d(3, CLASSES, 3, padding=1)).save(str(cls.folder / "fine.pt"))

    def label(self, *flags, video=None, teacher="fine.pt", size="128x64"):
        return [BIN / "ams-label", "--video", video or self.clip / "video.mp4", "--teacher", self.folder / teacher,
                "--teacher-input", size, "--teacher-classes", CLASSES, "--threads", "1", "--out", self.work / "made",
                *flags]

    def made(self):
        return json.loads((self.work / "made" / "clip.json").read_text())

    def test_labels_of_a_thirty_second_of_the_input_are_enlarged(self):
        result = self.run_program(*self.label(teacher="coarse.pt", size="256x128"))
        self.assertEqual(result.returncode, 0, result.stderr)
        info = self.made()
        self.assertEqual((info["label_width"], info["label_height"]), (32, 16))  # of 8 x 4

    def test_a_variable_frame_rate_becomes_a_constant_one_by_time(self):
        video = self.folder / "variable.mp4"
        # Twenty frames at 20 a second, twenty at 6 2/3 a second: 4 s.
        video.write_bytes(retimed((self.clip / "video.mp4").read_bytes(),
                                  lambda i: i / 20 if i < 20 else 1 + (i - 20) * 0.15))
        result = self.run_program(*self.label("--labels-per-second", 20, video=video))
        self.assertEqual(result.returncode, 0, result.stderr)
        notes = [line for line in result.stderr.splitlines() if "variable_frame_rate" in line]
        self.assertEqual(len(notes), 1)
        self.assertIn("20 frames a second", notes[0])
        info = self.made()
        self.assertEqual((info["fps"], info["label_stride"], info["frames"]), (20, 1, 78))  # to 3.85 s
        # The clip is what the programs ask for, and scores as one.
        again = self.run_program(BIN / "ams-annotate", "--clip", self.work / "made", "--adapted",
                                 self.work / "made" / "labels.mkv", "--out", self.work / "annotated.mp4")
        self.assertIn("mIoU adapted 100.0 %", again.stdout, again.stderr)

        clip = self.folder / "variable"
        shutil.copytree(self.clip, clip)
        shutil.copy(video, clip / "video.mp4")
        result = self.run_program(BIN / "ams-edge", "--clip", clip, *STUDENT)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "its frame rate varies: frame \\d+ is shown at .*ams-label.*ffmpeg")

    def test_the_clip_has_the_shape_of_the_video(self):
        for shape, size, clip_size in (("64x192", "1024x512", (64, 192)), ("64x192", "96x96", (32, 96)),
                                       ("192x64", "96x96", (96, 32))):
            with self.subTest(shape=shape, size=size):
                source = self.folder / f"source-{shape}-{size}"
                self.run_program(BIN / "ams-render", "--out", source, "--seconds", 0.5, "--size", shape, "--quiet")
                result = self.run_program(*self.label("--size", size, "--replace", video=source / "video.mp4"))
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual((self.made()["width"], self.made()["height"]), clip_size)
                notes = [line for line in result.stderr.splitlines() if "shape_changed" in line]
                self.assertEqual(len(notes), 1)
                self.assertIn("--teacher-input " + ("48x160" if shape == "64x192" else "160x48"), notes[0])

    def test_what_is_wrong_is_said_at_the_start(self):
        for flags, word in ((["--class-names", "a,b"], "--class-names gives 2 names and --teacher-classes is 4"),
                            (["--teacher-classes", "5"], "5"), (["--size", "10"], "WIDTHxHEIGHT"),
                            (["--video", self.folder / "none.mp4"], "none.mp4"),
                            (["--out", self.folder / "token" / "made"], "token")):
            with self.subTest(flags=flags):
                command = self.label()
                if flags[0] in command:
                    at = command.index(flags[0])
                    command[at:at + 2] = []
                self.refuse([*command, *flags], word)
        (self.work / "made").mkdir()
        self.refuse(self.label("--replace"), "not a clip folder", left=["made"])

    def test_nothing_half_made_stays(self):
        self.run_program(*self.label())
        before = (self.work / "made" / "clip.json").read_bytes()
        long = self.folder / "long"
        self.run_program(BIN / "ams-render", "--out", long, "--seconds", 40, "--fps", 10, "--size", "256x128",
                         "--quiet")
        command = self.label("--replace", "--labels-per-second", 10, video=long / "video.mp4", size="1024x512")
        self.assertEqual(self.interrupt(command, self.work / "made.partial" / "labels.mkv.partial"), ["made"])
        self.assertEqual(self.without_room(self.label("--replace"), 5000), ["made"])
        self.assertEqual((self.work / "made" / "clip.json").read_bytes(), before)


class DemoIsRefusedAtTheStart(unittest.TestCase):
    def test_before_anything_is_rendered_or_labelled(self):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            demo = [sys.executable, ROOT / "scripts" / "demo.py", "--bin", BIN, "--out", out]
            video = ["--video", "any.mp4", "--teacher", "any.pt"]
            for flags, word in ((["--bin", folder], "make build"),
                                (["--weights", "none.safetensors"], "none.safetensors"),
                                (["--server-args", "--gama 2"], "--gama"),
                                ([*video, "--weights", WEIGHTS, "--strategy", "best"], "gradient_guided"),
                                ([*video, "--weights", WEIGHTS, "--teacher-classes", "30"], "--teacher-classes"),
                                ([*video, "--weights", WEIGHTS, "--classes", "7"], "teacher"),
                                (["--out", "/proc/none"], "/proc/none")):
                with self.subTest(flags=flags):
                    result = subprocess.run([str(part) for part in [*demo, *flags]], capture_output=True, text=True,
                                            timeout=60)
                    self.assertNotEqual(result.returncode, 0)
                    self.assertIn(word, result.stderr)
                    self.assertNotIn("Traceback", result.stderr)
                    self.assertEqual([p.name for p in out.glob("*") if p.name != "tls"], [])

    def test_a_signal_ends_its_programs_too(self):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            demo = [sys.executable, ROOT / "scripts" / "demo.py", "--bin", BIN, "--out", out, "--seconds", "600"]
            process = subprocess.Popen([str(part) for part in demo], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            begun = out / "street-7-600.partial"
            deadline = time.monotonic() + 60
            while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertTrue(begun.exists())
            process.terminate()
            self.assertEqual(process.wait(timeout=60), 128 + signal.SIGTERM)
            self.assertEqual([path.name for path in out.iterdir()], ["tls"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
