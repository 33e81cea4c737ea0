"""Many simulated devices against a real ams-server, and liars with valid credentials among them.

A simulated device speaks TLS, WebSocket and the protocol, sends small pictures at the told rate, applies every update
and acknowledges it. `make test` runs few of them (fleet_test.py). By hand:

    PYTHONPATH=build/python:tests/system .venv/bin/python tests/system/fleet.py --devices 1000 --liars 10 --seconds 240
"""

import argparse
import asyncio
import json
import random
import resource
import ssl
import statistics
import struct
import sys
import time
from pathlib import Path

import numpy
import torch
from torch import nn

import ams
import ams.torch
import ams.video
from ams.protocol import Ack, Bye, Control, Fault, FrameBatch, Hello, Snapshot, Update, Welcome
from ams.protocol import decode_server_message, encode_message
from programs import ProgramsTest

CLASSES = 19
SIZE = (32, 64)  # height and width of the student's input and of the pictures
LIES = ("floods", "sends huge pictures", "names future batches", "never acknowledges", "never reads")
TRAINING = ["--iterations", "2", "--batch-size", "2", "--update-interval-seconds", "2", "--threads", "1"]


def picture_batch(count, height, width, seed=None):
    """H.264 of `count` equal pictures."""
    if seed is None:
        picture = numpy.zeros((height, width, 3), numpy.uint8)
    else:
        picture = numpy.random.default_rng(seed).integers(0, 256, (height, width, 3), numpy.uint8)
    return ams.video.encode_samples([picture] * count, 2.0, target_bps=20_000, preset="ultrafast", max_passes=2)


class Connection:
    """A WebSocket over TLS that carries messages of the protocol."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.parts = {}  # lane: what has come of its message

    @classmethod
    async def open(cls, port, context, address):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="127.0.0.1", local_addr=(address, 0))
        writer.write(b"GET /ams HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in answer.split(b"\r\n")[0]:
            writer.close()
            raise ConnectionError(answer.split(b"\r\n")[0].decode())
        return cls(reader, writer)

    def send_frame(self, opcode, payload):
        size = len(payload)
        length = (bytes([0x80 | size]) if size < 126 else
                  b"\xfe" + struct.pack(">H", size) if size < 65536 else b"\xff" + struct.pack(">Q", size))
        self.writer.write(bytes([0x80 | opcode]) + length + bytes(4) + payload)  # a mask of zeros changes nothing

    def send(self, message):
        data = bytes(encode_message(message))
        if len(data) < 60000:
            self.send_frame(2, b"\0" + data)
            return
        parts = [data[i:i + 16000] for i in range(0, len(data), 16000)]
        for i, part in enumerate(parts):
            head = (b"\x41" + struct.pack("<Q", len(data)) if i == 0 else
                    b"\xc1" if i == len(parts) - 1 else b"\x81")
            self.send_frame(2, head + part)

    async def receive(self):
        """The next message; None at the end."""
        while True:
            try:
                first, second = await self.reader.readexactly(2)
                size = second & 0x7f
                if size == 126:
                    size, = struct.unpack(">H", await self.reader.readexactly(2))
                elif size == 127:
                    size, = struct.unpack(">Q", await self.reader.readexactly(8))
                payload = await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, OSError):
                return None
            opcode = first & 0x0f
            if opcode == 9:
                self.send_frame(10, payload)
            elif opcode == 8:
                return None
            elif opcode == 2:
                data = self.complete(payload)
                if data is not None:
                    return decode_server_message(data)

    def complete(self, chunk):
        kind, lane = chunk[0] & 0xc0, chunk[0] & 0x3f
        if kind == 0:
            return chunk[1:]
        if kind == 0x40:
            self.parts[lane] = [chunk[9:]]
            return None
        self.parts[lane].append(chunk[1:])
        return b"".join(self.parts.pop(lane)) if kind == 0xc0 else None


class Device:
    def __init__(self, number, fleet, lie=None):
        self.id = f"{'liar' if lie else 'camera'}-{number}"
        self.address = f"127.0.{1 + number // 250}.{1 + number % 250}"
        self.fleet, self.lie = fleet, lie
        self.state = ams.ModelState(fleet.manifest, fleet.values)
        self.rate, self.interval = 1.0, 2.0
        self.next_batch = 1
        self.begun = None  # of its video
        self.connections = self.updates = self.snapshots = self.batches = 0
        self.slowest_interval = 0.0
        self.welcomed_at = self.first_update_at = None
        self.faults = []

    async def run(self):
        delay = 0.5
        while True:
            connection = None
            try:
                async with self.fleet.gate:
                    connection = await Connection.open(self.fleet.port, self.fleet.context, self.address)
                    connection.send(Hello(device_id=self.id, token=self.fleet.token, held=self.state.version,
                                          manifest_digest=self.fleet.manifest.digest))
                    welcome = await asyncio.wait_for(connection.receive(), 30)
                if isinstance(welcome, Welcome):
                    delay = 0.5
                    await self.stream(connection, welcome)
                elif isinstance(welcome, Fault):
                    self.faults.append(welcome.message)
            except (OSError, ssl.SSLError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
                self.faults.append(str(error) or type(error).__name__)
            finally:
                if connection is not None:
                    connection.writer.transport.abort()
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))
            delay = min(30, 2 * delay)

    async def stream(self, connection, welcome):
        self.connections += 1
        self.welcomed_at = self.welcomed_at or time.monotonic()
        self.begun = self.begun or time.monotonic()
        self.next_batch = max(self.next_batch, welcome.last_batch_id + 1)
        self.told(welcome)
        sender = asyncio.ensure_future(self.send_batches(connection))
        try:
            if self.lie == "never reads":
                await sender
            while (message := await connection.receive()) is not None:
                if isinstance(message, (Welcome, Control)):
                    self.told(message)
                elif isinstance(message, (Update, Snapshot)):
                    self.take(message)
                    if self.lie != "never acknowledges":
                        connection.send(Ack(held=self.state.version))
                elif isinstance(message, Fault):
                    self.faults.append(message.message)
                elif isinstance(message, Bye):
                    break
        finally:
            sender.cancel()

    def told(self, message):
        self.rate, self.interval = message.sampling_rate_fps, message.update_interval_seconds
        self.slowest_interval = max(self.slowest_interval, self.interval)

    def take(self, message):
        if isinstance(message, Snapshot):
            self.snapshots += 1
            self.state = ams.decode_snapshot(message.data, self.fleet.manifest)
        else:
            ams.apply_update(message.data, self.state)
            self.updates += 1
            self.first_update_at = self.first_update_at or time.monotonic()

    async def send_batches(self, connection):
        sent = 0.0
        while True:
            count, bitstream, wait = max(1, min(8, round(self.rate * self.interval))), None, self.interval
            if self.lie == "floods":
                count, bitstream, wait = 256, self.fleet.many, 0.2
            elif self.lie == "sends huge pictures":
                count, bitstream, wait = 4, self.fleet.huge, 0.5
            bitstream = bitstream or self.fleet.pictures[count]
            now = max(sent + 0.01 * count, time.monotonic() - self.begun)
            times = [min(self.fleet.seconds, now - 0.005 * (count - 1 - i)) for i in range(count)]
            connection.send(FrameBatch(batch_id=self.next_batch, capture_seconds=times, bitstream=bitstream))
            self.batches += 1
            self.next_batch += 2**31 if self.lie == "names future batches" else 1
            sent = times[-1]
            try:
                await connection.writer.drain()
            except OSError:
                return
            await asyncio.sleep(wait)


class Fleet(ProgramsTest):
    """A server with a small student, and its devices."""

    render_flags = ["--fps", "1", "--size", "64x32", "--label-stride", "1"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(1)
        module = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, CLASSES, 1), nn.Upsample(scale_factor=2, mode="bilinear"))
        torch.jit.script(module).save(str(cls.folder / "student.pt"))
        values = ams.torch.load_student_values(ams.torch.StudentSpec(
            network=cls.folder / "student.pt", num_classes=CLASSES, input_width=SIZE[1], input_height=SIZE[0]))
        cls.manifest, cls.values = values.manifest, values.values
        cls.pictures = {count: picture_batch(count, *SIZE, seed=count) for count in range(1, 9)}
        cls.many, cls.huge = picture_batch(256, *SIZE), picture_batch(4, 2048, 2048)

    def stream(self, devices, liars, seconds):
        """Runs the fleet for so long and returns what came of it, as numbers."""
        self.context = ssl.create_default_context(cafile=str(self.folder / "tls" / "certificate.pem"))
        self.token = (self.folder / "token").read_text().strip()
        # As few files as a service begins with, so to say: the server asks for more by itself.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 32), hard))
        server = self.start_server("--max-devices", devices + liars, data=self.work / "data", training=TRAINING, student=[
            "--student", self.folder / "student.pt", "--classes", CLASSES, "--input", f"{SIZE[1]}x{SIZE[0]}"])
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        before = self.memory_mib(server)
        honest = [Device(i, self) for i in range(devices)]
        lying = [Device(devices + i, self, LIES[i % len(LIES)]) for i in range(liars)]
        begun = time.monotonic()

        async def run_all():
            self.gate = asyncio.Semaphore(32)
            tasks = [asyncio.ensure_future(device.run()) for device in honest + lying]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(run_all())
        after = self.memory_mib(server)
        processor_seconds = sum(map(int, Path(f"/proc/{server.pid}/stat").read_text().split()[13:15])) / 100
        report = self.stop_server(server)
        sessions = {session["device_id"]: session for session in report["sessions"]}
        updates = [device.updates for device in honest]
        return {
            "devices": devices, "liars": liars, "seconds": seconds,
            "connected": sum(device.connections > 0 for device in honest),
            "connected_again": sum(device.connections > 1 for device in honest),
            "last_welcome_seconds": round(max((d.welcomed_at or begun + seconds) - begun for d in honest), 1),
            "without_update": sum(count == 0 for count in updates),
            "updates_least": min(updates), "updates_median": statistics.median(updates), "updates_most": max(updates),
            "first_update_seconds_most": round(max((d.first_update_at or begun + seconds) - begun for d in honest), 1),
            "longest_update_interval_seconds": max(device.slowest_interval for device in honest),
            "snapshots": sum(device.snapshots for device in honest),
            "in_step": sum(device.id in sessions and sessions[device.id]["model_version"] - device.state.version.number <= 1
                           for device in honest),
            "faults": sorted({fault for device in honest for fault in device.faults})[:5],
            "liars_told": sorted({f"{device.lie}: {fault}" for device in lying for fault in device.faults})[:10],
            "memory_before_mib": before, "memory_mib": after,
            "memory_mib_per_device": round((after - before) / (devices + liars), 2),
            "server_processor_seconds": round(processor_seconds, 1),
        }

    @staticmethod
    def memory_mib(process):
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024)

    def runTest(self):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--liars", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=240)
    flags = parser.parse_args()
    Fleet.seconds = flags.seconds + 60
    Fleet.setUpClass()
    fleet = Fleet()
    fleet.setUp()
    try:
        print(json.dumps(fleet.stream(flags.devices, flags.liars, flags.seconds), indent=2))
    finally:
        fleet.tearDown()
        Fleet.tearDownClass()


if __name__ == "__main__":
    sys.exit(main())
