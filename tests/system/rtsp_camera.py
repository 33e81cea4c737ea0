"""A camera on loopback: sends the H.264 of a clip's video.mp4 by RTSP over TCP, well or badly."""

import base64
import socket
import struct
import threading
import time


def read_h264(mp4):
    """(parameter sets, pictures): NAL units as bytes. For files with one slice a picture, as ams-render's are."""
    data = mp4.read_bytes()
    at = data.index(b"avcC") + 4 + 5  # five bytes of profile, level and length size
    sets = []
    for _ in ("SPS", "PPS"):
        size, = struct.unpack_from(">H", data, at + 1)  # after the number of sets, which is one
        sets.append(data[at + 3:at + 3 + size])
        at += 3 + size
    at = data.index(b"mdat") + 4
    end = at - 8 + struct.unpack_from(">I", data, at - 8)[0]
    pictures = []
    while at + 4 <= end:
        size, = struct.unpack_from(">I", data, at)
        nal = data[at + 4:at + 4 + size]
        at += 4 + size
        if nal[0] & 31 in (1, 5):  # a slice; the rest is comments
            pictures.append(nal)
    return sets, pictures


class RtspCamera:
    """Serves one connection after the other. `plays` says what each of them gets: (pictures, fps, "close" or "stall");
    fps None sends them at once. The last one is for all later connections. Of several videos they get one in turn."""

    def __init__(self, videos, plays):
        self.videos = [read_h264(mp4) for mp4 in videos]
        self.plays = plays
        self.stopped = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://admin:secret@127.0.0.1:{self.listener.getsockname()[1]}/camera"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopped.set()
        self.listener.close()
        self.thread.join()

    def run(self):
        self.listener.settimeout(0.1)
        connections = 0
        while not self.stopped.is_set():
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            play = self.plays[min(connections, len(self.plays) - 1)]
            self.sets, self.pictures = self.videos[connections % len(self.videos)]
            connections += 1
            with connection:
                try:
                    self.answer(connection)
                    self.send(connection, *play)
                except OSError:
                    pass  # the device has left

    def answer(self, connection):
        """Up to PLAY."""
        requests = connection.makefile("rb")
        while True:
            request = requests.readline().decode().split()
            if not request:
                raise OSError("closed")
            sequence = ""
            while (line := requests.readline().decode().strip()):
                if line.lower().startswith("cseq:"):
                    sequence = line[5:].strip()
            headers, body = [], b""
            if request[0] == "OPTIONS":
                headers = ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"]
            elif request[0] == "DESCRIBE":
                sets = ",".join(base64.b64encode(s).decode() for s in self.sets)
                body = "\r\n".join([
                    "v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "t=0 0", "m=video 0 RTP/AVP 96",
                    "a=rtpmap:96 H264/90000", f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}",
                    "a=control:track", ""]).encode()
                headers = ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            elif request[0] == "SETUP":
                headers = ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
            elif request[0] == "PLAY":
                headers = ["Session: 1"]
            answer = "\r\n".join(["RTSP/1.0 200 OK", f"CSeq: {sequence}", *headers, "", ""])
            connection.sendall(answer.encode() + body)
            if request[0] == "PLAY":
                return

    def send(self, connection, pictures, fps, end):
        connection.settimeout(5)
        for i in range(pictures):
            ticks = i * 90000 // (fps or 30)
            nal = self.pictures[i % len(self.pictures)]
            packet = struct.pack(">BBHII", 0x80, 0x80 | 96, i & 0xffff, ticks & 0xffffffff, 1) + nal
            connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
            if self.stopped.wait(1 / fps if fps else 0):
                return
        while end == "stall" and not self.stopped.is_set():
            time.sleep(0.05)
