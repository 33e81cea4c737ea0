"""A camera on loopback: sends JPEGs over HTTP (multipart/x-mixed-replace), as many IP cameras do."""

import base64
import http.server
import threading

# Grey, 64 x 48.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAFA3PEY8MlBGQUZaVVBfeMiCeG5uePWvuZHI////////////////////////////////"
    "////////////////////wAALCAAwAEABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAL/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oA"
    "CAEBAAA/AIAAAAAAAAAAAAAAAB//2Q==")


class HttpCamera:
    """`plays` says what each connection gets, one after the other: (pictures, fps). Then the line is lost. The last one
    is for all later connections."""

    def __init__(self, plays):
        self.stopped = threading.Event()
        connections = iter([*plays[:-1]])
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                pictures, fps = next(connections, plays[-1])
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    for _ in range(pictures):
                        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(JPEG)}\r\n\r\n"
                        self.wfile.write(head.encode() + JPEG + b"\r\n")
                        if camera.stopped.wait(1 / fps):
                            return
                except OSError:
                    pass  # the device has left

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/video"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
