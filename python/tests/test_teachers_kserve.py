"""Inference servers as teachers, against a small server of the protocol that is written here."""

import contextlib
import http.server
import json
import socket
import struct
import threading

import numpy as np
import pytest

import ams
from ams import teachers


class Server(http.server.ThreadingHTTPServer):
    """Speaks KServe's version 2: a model "brightest" whose output is the brightest channel."""

    def __init__(self, *, binary=False, kind="FP32", shape=(-1, 3, -1, -1), answer=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.binary, self.kind, self.shape, self.answer = binary, kind, list(shape), answer
        self.requests = []
        self.connections = 0
        self.token = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections += 1

    def log_message(self, *_):
        pass

    def reply(self, status, body, **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        server = self.server
        if server.token and self.headers["Authorization"] != server.token:
            self.reply(401, {"error": "who are you"})
        elif self.path == "/v2":
            extensions = ["binary_tensor_data"] if server.binary else []
            self.reply(200, {"name": "test", "version": "1", "extensions": extensions})
        elif self.path in ("/v2/models/brightest", "/v2/models/brightest/versions/7"):
            tensor = {"name": "image", "datatype": server.kind, "shape": server.shape}
            self.reply(200, {"name": "brightest", "inputs": [tensor], "outputs": []})
        else:
            self.reply(404, {"error": f"no such thing: {self.path}"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = int(self.headers.get("Inference-Header-Content-Length", len(body)))
        request = json.loads(body[:head])
        self.server.requests.append((self.path, request))
        if self.server.answer is not None:
            return self.server.answer(self)
        (tensor,) = request["inputs"]
        if "data" in tensor:
            assert head == len(body)
            numbers = tensor["data"]
        else:
            assert tensor["parameters"]["binary_data_size"] == len(body) - head
            letter = {"FP32": "f", "UINT8": "B", "FP16": "e"}[tensor["datatype"]]
            size = struct.calcsize(letter)
            numbers = struct.unpack(f"<{(len(body) - head) // size}{letter}", body[head:])
        pixels = np.array(numbers).reshape(tensor["shape"])
        ids = pixels.argmax(1 if tensor["shape"][1] == 3 else 3)
        output = {"name": "ids", "datatype": "INT32", "shape": list(ids.shape)}
        if request.get("parameters", {}).get("binary_data_output"):
            data = struct.pack(f"<{ids.size}i", *ids.ravel().tolist())
            output["parameters"] = {"binary_data_size": len(data)}
            head = json.dumps({"model_name": "brightest", "outputs": [output]}).encode()
            return self.reply(200, head + data, Inference_Header_Content_Length=len(head))
        output["data"] = ids.ravel().tolist()
        return self.reply(200, {"model_name": "brightest", "outputs": [output]})


@contextlib.contextmanager
def serving(**options):
    server = Server(**options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def frames(count=3, height=6, width=8):
    random = np.random.default_rng(1)
    return random.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


PLAIN = {"mean": (0, 0, 0), "standard_deviation": (1, 1, 1)}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("kind", "shape"), [("FP32", (-1, 3, -1, -1)), ("UINT8", (2, -1, -1, 3))])
def test_a_server_labels_frames(binary, kind, shape):
    given = frames()
    mapped = teachers.class_map(["red", "green", "blue"], ["blue", "red"])
    with serving(binary=binary, kind=kind, shape=shape) as server:
        teacher = teachers.KServeTeacher(server.url, "brightest", **PLAIN)
        assert np.array_equal(teacher(given), given.argmax(3))
        own = teachers.KServeTeacher(
            server.url + "/",
            "brightest",
            version="7",
            classes=mapped,
            output_names=["ids"],
            **PLAIN,
        )
        assert np.array_equal(own(given), mapped(given.argmax(3)))
        path, request = server.requests[-1]
        assert path == "/v2/models/brightest/versions/7/infer"
        assert [output["name"] for output in request["outputs"]] == ["ids"]
        assert [tensor["name"] for tensor in request["inputs"]] == ["image"]
        assert ("data" in request["inputs"][0]) != binary
        teacher.close(), own.close()
        assert server.connections == 2  # one a teacher


def test_half_precision_needs_the_binary_extension():
    given = frames()
    with serving(binary=True, kind="FP16") as server:
        teacher = teachers.KServeTeacher(server.url, "brightest", **PLAIN)
        assert np.array_equal(teacher(given), given.argmax(3))
        teacher.close()
        teacher = teachers.KServeTeacher(server.url, "brightest", binary=False)
        with pytest.raises(ams.InvalidArgumentError, match="FP16, which needs"):
            teacher(given)
        teacher.close()


def test_a_connection_that_the_server_closed_is_opened_again():
    def answer(handler):
        handler.server.answer = None
        handler.reply(503, {"error": "loading"}, Connection="close")
        handler.close_connection = True

    given = frames()
    with serving() as server:
        teacher = teachers.KServeTeacher(server.url, "brightest", **PLAIN)
        server.answer = answer
        with pytest.raises(ams.UnavailableError, match="answered 503 .*'loading'"):
            teacher(given)
        assert np.array_equal(teacher(given), given.argmax(3))
        # Now without a word: a connection that was kept ends before it answers.
        server.answer = lambda handler: (
            setattr(handler.server, "answer", None),
            handler.connection.shutdown(socket.SHUT_RDWR),
            setattr(handler, "close_connection", True),
        )
        assert np.array_equal(teacher(given), given.argmax(3))
        teacher.close()


def test_a_token_travels_in_a_header():
    with serving() as server:
        server.token = "Bearer abc"
        with pytest.raises(ams.UnauthorizedError, match="401.*who are you.*headers="):
            teachers.KServeTeacher(server.url, "brightest")
        headers = {"Authorization": "Bearer abc"}
        teachers.KServeTeacher(server.url, "brightest", headers=headers).close()
        with pytest.raises(ams.InvalidArgumentError, match="cannot be asked"):
            teachers.KServeTeacher(server.url, "brightest", headers={"A": "b\r\nC: d"})


@pytest.mark.parametrize("dripping", [False, True])
def test_a_server_that_hangs_costs_the_time_out(dripping):
    over = threading.Event()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not over.wait(0.02):  # a byte now and then keeps a socket's own time-out away
            if dripping:
                with contextlib.suppress(OSError):
                    handler.wfile.write(b" ")
        handler.close_connection = True

    with serving(answer=answer) as server:
        teacher = teachers.KServeTeacher(server.url, "brightest", timeout_seconds=0.3)
        try:
            with pytest.raises(ams.UnavailableError, match="did not answer within 0.3 s"):
                teacher(frames())
        finally:
            over.set()


def test_no_server_at_all():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ams.UnavailableError, match="cannot be reached: .*refused"):
        teachers.KServeTeacher(url, "brightest")


OUTPUT = {"name": "ids", "datatype": "UINT8", "shape": [1, 6, 8], "data": [0] * 48}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "no JSON"),
        ([], "no object"),
        ({}, "answered outputs None"),
        ({"outputs": [1]}, "are no objects"),
        ({"outputs": [OUTPUT, OUTPUT]}, "'ids' twice"),
        ({"outputs": [{**OUTPUT, "datatype": "BF16"}]}, "of type 'BF16'; known are BOOL"),
        ({"outputs": [{**OUTPUT, "shape": [1, 6, -8]}]}, "of shape"),
        ({"outputs": [{**OUTPUT, "shape": [1, 6, 9]}]}, "with 48 values"),
        ({"outputs": [{**OUTPUT, "shape": [1 << 40] * 8}]}, "with 48 values"),
        ({"outputs": [{**OUTPUT, "data": ["road"] * 48}]}, "data that is no uint8"),
        ({"outputs": [{**OUTPUT, "data": [300] * 48}]}, "data that is no uint8"),
        ({"outputs": [{**OUTPUT, "data": None}]}, "answered data None"),
        ({"outputs": [{**OUTPUT, "parameters": {"binary_data_size": 48}}]}, "and 0 bytes"),
        ({"outputs": [{**OUTPUT, "name": 5}]}, "answered name 5"),
    ],
)
def test_answers_that_are_not_of_the_protocol(body, message):
    with serving(answer=lambda handler: handler.reply(200, body)) as server:
        teacher = teachers.KServeTeacher(server.url, "brightest")
        with pytest.raises(ams.MalformedDataError, match=message):
            teacher(frames(1))
        teacher.close()


def test_a_binary_answer_has_the_length_that_it_names():
    head = json.dumps({"outputs": [{**OUTPUT, "parameters": {"binary_data_size": 48}}]}).encode()
    for length, data, message in [
        (len(head), bytes(49), "1 bytes of no output"),
        (len(head), bytes(47), "and 47 bytes"),
        (len(head) + 100, bytes(48), "Inference-Header-Content-Length"),
        ("many", bytes(48), "Inference-Header-Content-Length"),
    ]:
        with serving(
            answer=lambda handler, length=length, data=data: handler.reply(
                200, head + data, Inference_Header_Content_Length=length
            )
        ) as server:
            teacher = teachers.KServeTeacher(server.url, "brightest")
            with pytest.raises(ams.MalformedDataError, match=message):
                teacher(frames(1))
            teacher.close()


def test_what_is_refused_at_the_start():
    with serving() as server:
        for url, model, options, message in [
            ("127.0.0.1:8000", "m", {}, "allowed is http://host:port"),
            ("ftp://host", "m", {}, "allowed is http://host:port"),
            ("http://host:port", "m", {}, "allowed is http://host:port"),
            ("http://a:b@host", "m", {}, "password"),
            (server.url, "other", {}, "404 .*no such thing: /v2/models/other"),
            (server.url, "../brightest", {}, "404 .*/v2/models/..%2Fbrightest"),
            (server.url, "brightest", {"timeout_seconds": 0}, "timeout_seconds is 0"),
        ]:
            with pytest.raises(ams.InvalidArgumentError, match=message):
                teachers.KServeTeacher(url, model, **options)
        server.shape = [-1, 3]
        with pytest.raises(ams.InvalidArgumentError, match="allowed are pictures"):
            teachers.KServeTeacher(server.url, "brightest")
        server.shape, server.kind = [-1, 3, -1, -1], "INT64"
        with pytest.raises(ams.InvalidArgumentError, match="as int64; allowed are uint8"):
            teachers.KServeTeacher(server.url, "brightest")
