"""What signals and lost readers do to the programs."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import unittest

from programs import BIN, NOBODY, ProgramsTest


class Stopping(ProgramsTest):
    seconds = 30

    def start_long_phase(self):
        """A server in a phase that would take minutes, and its device."""
        trace = self.work / "trace"
        server = self.start_server("--trace", trace, training=["--paper", "--iterations", "10000", "--threads", "1"])
        edge = self.start_edge()
        self.wait_until(lambda: '"queue"' in trace.read_text(), 60, "a phase runs", server, edge)
        return server, edge

    def test_sigterm_ends_the_server_soon_while_a_phase_runs(self):
        server, edge = self.start_long_phase()
        server.send_signal(signal.SIGTERM)
        self.finish(server)
        self.assertEqual(len(self.events("server", "phase_abandoned")), 1)  # it did not wait for it
        session, = json.loads((self.work / "server.json").read_text())["sessions"]
        self.assertGreater(session["uplink_bytes"], 0)  # the connection was closed in order
        self.wait_until(lambda: self.events("edge", "disconnected"), 20, "the device notices", edge)
        self.assertIn("the server stops", self.events("edge", "disconnected")[0]["reason"])
        edge.send_signal(signal.SIGHUP)  # which stops a device, in order
        self.finish(edge)
        self.report()

    def test_a_second_signal_ends_a_program_at_once(self):
        server, edge = self.start_long_phase()
        server.send_signal(signal.SIGTERM)
        self.wait_until(lambda: self.events("server", "stopping"), 20, "it begins to stop", server)
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(timeout=20), -signal.SIGTERM)
        self.assertEqual(self.events("server", "phase_abandoned"), [])
        edge.send_signal(signal.SIGTERM)
        self.finish(edge)


class LostReaders(ProgramsTest):
    seconds = 6

    def test_programs_outlive_whoever_reads_their_output(self):
        reading, writing = os.pipe()
        os.close(reading)
        server = self.start_server(output=writing)
        edge = self.start_edge(output=writing, status="line")
        os.close(writing)
        self.finish(edge)
        self.assertEqual(self.report()["frames"], 10 * self.seconds)
        self.assertEqual(len(self.stop_server(server)["sessions"]), 1)

    def test_a_reader_that_has_stalled_does_not_hold_up_the_end(self):
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writing, bytes(4096))  # nothing more goes in, and nobody reads it
        server = self.start_server(output=writing)
        os.close(writing)
        self.finish(self.start_edge())
        self.assertEqual(len(self.stop_server(server)["sessions"]), 1)
        os.close(reading)


class Reloading(ProgramsTest):
    seconds = 20

    def test_sighup_exchanges_certificate_and_token_and_drops_nobody(self):
        tls, token = self.work / "tls", self.work / "token"
        renew = [BIN / "ams-server", "--generate-certificate", tls]
        subprocess.run(renew, check=True, stdout=subprocess.DEVNULL)
        first = shutil.copy(tls / "certificate.pem", self.work / "first.pem")
        token.write_text("first\n")
        old_token = shutil.copy(token, self.work / "old")
        server = self.start_server(tls=tls, token=token)
        stays = self.start_edge("--device-id", "stays", name="stays", token=token, ca=first)
        self.wait_until(lambda: self.events("server", "hello"), 60, "a device is there", server, stays)

        shutil.rmtree(tls)
        subprocess.run(renew, check=True, stdout=subprocess.DEVNULL)
        token.write_text("second\n")
        server.send_signal(signal.SIGHUP)
        self.wait_until(lambda: self.events("server", "reloaded"), 20, "the files are read", server)
        second = shutil.copy(tls / "certificate.pem", self.work / "second.pem")
        comes = self.start_edge("--device-id", "comes", "--stop-after-seconds", "3", name="comes", token=token, ca=second)
        self.finish(comes)
        self.assertEqual(self.events("comes", "server_fault"), [])
        late = self.start_edge("--stop-after-seconds", "1", name="late", token=old_token, ca=second)
        self.finish(late)
        self.assertEqual(self.events("late", "server_fault")[0]["code"], "unauthorized")

        (tls / "private_key.pem").write_text("")  # what is wrong changes nothing
        server.send_signal(signal.SIGHUP)
        self.wait_until(lambda: self.events("server", "not_reloaded"), 20, "the files are refused", server)
        self.assertIn("is empty", self.events("server", "not_reloaded")[0]["message"])
        again = self.start_edge("--device-id", "comes", "--stop-after-seconds", "1", name="again", token=token, ca=second)
        self.finish(again)
        self.assertEqual(self.events("again", "server_fault"), [])

        self.finish(stays)
        gone = [event for event in self.events("server", "disconnected") if event["device"] == "stays"]
        self.assertEqual(len(gone), 1)
        self.assertIn("said Bye", gone[0]["reason"])
        self.assertEqual({s["device_id"] for s in self.stop_server(server)["sessions"]}, {"stays", "comes"})


class Starting(ProgramsTest):
    seconds = 4

    def test_a_device_under_nohup_outlives_its_terminal(self):
        self.port = NOBODY
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        edge = self.start_edge("--timeline", self.work / "timeline", status="line")
        signal.signal(signal.SIGHUP, before)
        self.wait_until(lambda: "ms latency" in self.logs(), 60, "it plays", edge)
        edge.send_signal(signal.SIGHUP)
        self.finish(edge)
        self.assertEqual(self.report()["frames"], 10 * self.seconds)


if __name__ == "__main__":
    unittest.main(verbosity=2)
