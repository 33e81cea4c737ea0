"""Real processes over TLS on loopback: normal runs, killed devices, killed servers, damaged updates, strangers."""

import signal
import ssl
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

from programs import BIN, NOBODY, PAPER, STUDENT, ProgramsTest


class Streaming(ProgramsTest):
    def test_both_ends_hold_the_same_model_and_count_the_same_bytes(self):
        for sent, most_bits, rates, weight_step in (
            ([], 4, [1, 5, 4], 1),
            (["--strategy", "full", "--relative-step-weight", "4"], 4, [1, 1, 1], 4),
            (["--paper"], 23.2, [1, 1, 1], None),
            (PAPER, 23.2, [16, 16, 16], None),
        ):
            with self.subTest(sent=sent):
                self.stream_and_compare(sent, most_bits, rates, weight_step)

    def stream_and_compare(self, sent, most_bits, rates, weight_step):
        server = self.start_server(*sent)
        edge = self.start_edge("--compare")
        self.finish(edge)
        told = self.stop_server(server)
        self.assertEqual(self.rates_of(told), rates)
        self.assertEqual(told["training"].get("relative_step_weight"), weight_step)
        session, = told["sessions"]
        report = self.report()
        self.assertGreaterEqual(report["updates"], 3)
        self.assertEqual(report["digest"], session["digest"])
        self.assertEqual(report["model_version"], session["model_version"])
        self.assertEqual(report["frames_dropped"], 0)
        self.assertEqual(report["frames"], 10 * self.seconds)
        self.assertEqual(report["downlink_bytes"], session["downlink_bytes"])
        self.assertEqual(report["uplink_bytes"], session["uplink_bytes"])
        self.assertGreater(report["downlink_bytes"], report["updates"] * report["update_bytes_mean"])
        self.assertLessEqual(session["bits_per_coordinate"], most_bits)

    def rates_of(self, report):
        return [report["training"][f"learning_rate_{role}"] for role in ("weight", "normalization", "head")]

    def test_a_downlink_budget_is_kept(self):
        server = self.start_server("--downlink-kbps", "3", "--learning-rate-weight", "2")
        edge = self.start_edge()
        self.finish(edge)
        told = self.stop_server(server)
        self.assertEqual(self.rates_of(told), [2, 1, 1])  # times the session's own, which go by what it trains
        self.assertEqual(told["training"]["downlink_budget_bps"], 3000)
        self.assertNotIn("strategy", told["training"])
        session, = told["sessions"]
        report = self.report()
        self.assertGreaterEqual(report["updates"], 2)
        self.assertEqual(report["digest"], session["digest"])
        # The first updates may take an advance of 20 s, paid back within 40 s.
        given_seconds = self.seconds + 5 + max(0, 20 - self.seconds / 2)
        self.assertLessEqual(report["updates"] * (report["update_bytes_mean"] + 40), 3000 / 8 * given_seconds)

    def test_phases_choose_from_the_newest_minute_of_samples_unless_told_otherwise(self):
        for flags, samples, horizon_seconds in (
            ((), 60, 240),
            (("--sampling-max-fps", "0.5"), 60, 240),  # which lets T_horizon rule
            (("--sampling-max-fps", "1.5"), 90, 240),
            (("--buffer-samples", "240"), 240, 240),
            (("--horizon-seconds", "120", "--buffer-samples", "30"), 30, 120),
            (("--paper",), 4096, 240),  # T_horizon alone
        ):
            with self.subTest(flags):
                training = self.stop_server(self.start_server(*flags))["training"]
                self.assertEqual(training["buffer_samples"], samples)
                self.assertEqual(training["horizon_seconds"], horizon_seconds)
        slow = ["--sampling-max-fps", "2", "--update-interval-seconds", "90"]  # no sample of a T_update is left out
        training = self.stop_server(self.start_server(training=slow))["training"]
        self.assertEqual(training["buffer_samples"], 180)

    def test_two_devices_have_a_session_each(self):
        server = self.start_server()
        edges = [self.start_edge("--device-id", name, "--stop-after-seconds", "12", name=name) for name in ("a", "b")]
        for edge in edges:
            self.finish(edge)
        sessions = {s["device_id"]: s for s in self.stop_server(server)["sessions"]}
        self.assertEqual(set(sessions), {"a", "b"})
        for name in ("a", "b"):
            self.assertGreaterEqual(self.report(name)["updates"], 1)
            self.assertEqual(self.report(name)["digest"], sessions[name]["digest"])

    def test_a_damaged_update_is_refused_whole_and_named(self):
        server = self.start_server("--test-damage-update", "2")
        edge = self.start_edge()
        self.finish(edge)
        session, = self.stop_server(server)["sessions"]
        report = self.report()
        refused, = self.events("edge", "update_refused")
        self.assertIn(refused["code"], ("digest_mismatch", "malformed_data"))
        self.assertEqual(refused["held_version"], 1)  # what it had before goes on serving
        self.assertEqual(session["refusals"], 1)
        self.assertEqual(report["snapshots"], 1)  # and it is brought back in step
        self.assertEqual(report["digest"], session["digest"])
        self.assertGreater(report["model_version"], 2)
        self.assertEqual(report["frames_dropped"], 0)


class Interruptions(ProgramsTest):
    def test_a_killed_device_resumes_by_version(self):
        server = self.start_server()
        edge = self.start_edge("--state", self.work / "state")
        self.wait_until(lambda: len(self.events("edge", "model")) >= 2, 60, "two updates arrived", server, edge)
        edge.send_signal(signal.SIGKILL)
        edge.wait()
        again = self.start_edge("--state", self.work / "state", name="again")
        self.finish(again)
        session, = self.stop_server(server)["sessions"]
        report = self.report("again")
        resumed, = self.events("again", "resuming")
        self.assertGreaterEqual(resumed["version"], 1)
        self.assertEqual(session["resumed_with_snapshot"], 0)
        self.assertEqual(session["resumed_in_step"] + session["resumed_with_updates"], 2)
        self.assertEqual(report["snapshots"], 0)
        self.assertEqual(report["digest"], session["digest"])
        self.assertGreater(report["model_version"], resumed["version"])

    def test_a_device_outlives_its_server_and_adapts_again(self):
        server = self.start_server()
        edge = self.start_edge()
        self.wait_until(lambda: len(self.events("edge", "model")) >= 1, 60, "an update arrived", server, edge)
        server.send_signal(signal.SIGKILL)
        server.wait()
        self.wait_until(lambda: self.events("edge", "disconnected"), 20, "the device notices", edge)
        models_before = len(self.events("edge", "model"))
        server = self.start_server(port=self.port)
        self.finish(edge)
        session, = self.stop_server(server)["sessions"]
        report = self.report()
        self.assertEqual(report["frames"], 10 * self.seconds)  # at full rate all the while
        self.assertEqual(report["frames_dropped"], 0)
        self.assertGreaterEqual(report["connections"], 2)
        self.assertEqual(session["resumed_with_snapshot"], 1)  # a new server knows no version of the device
        self.assertGreater(len(self.events("edge", "model")), models_before + 1)  # the snapshot, then updates
        self.assertEqual(report["digest"], session["digest"])

    def test_two_servers_do_not_share_a_data_folder(self):
        server = self.start_server(data=self.work / "data")
        other = subprocess.run(
            [self.work / "other" if part == str(self.work / "port") else part for part in server.args],
            capture_output=True, text=True, timeout=60)
        self.assertEqual(other.returncode, 1)
        self.assertIn("open in another process", other.stderr)
        self.stop_server(server)

    def test_signals_end_both_programs_cleanly(self):
        server = self.start_server()
        edge = self.start_edge()
        self.wait_until(lambda: len(self.events("edge", "model")) >= 1, 60, "an update arrived", server, edge)
        edge.send_signal(signal.SIGINT)
        self.finish(edge)
        session, = self.stop_server(server)["sessions"]
        self.assertEqual(self.report()["digest"], session["digest"])


class Kills(ProgramsTest):
    seconds = 60

    def test_a_server_that_is_killed_again_and_again_costs_no_version(self):
        data = self.work / "data"
        server = self.start_server(data=data)
        edge = self.start_edge()
        for killed in range(1, 4):
            self.wait_until(lambda: len(self.events("edge", "model")) >= 2 * killed, 60, "an update arrived", server, edge)
            server.send_signal(signal.SIGKILL)
            server.wait()
            server = self.start_server(port=self.port, data=data)
        self.wait_until(lambda: len(self.events("edge", "model")) >= 8, 60, "an update arrived", server, edge)
        edge.send_signal(signal.SIGTERM)  # long before the end of the video
        self.finish(edge)
        session, = self.stop_server(server)["sessions"]
        report = self.report()
        self.assertEqual(report["snapshots"], 0)
        self.assertEqual(session["resumed_with_snapshot"], 0)
        versions = [event["version"] for event in self.events("edge", "model")]
        self.assertEqual(versions, sorted(set(versions)))
        self.assertEqual(report["digest"], session["digest"])
        self.assertGreaterEqual(report["connections"], 3)


class Devices(ProgramsTest):
    def test_a_device_with_a_token_of_its_own_is_nobody_else(self):
        data = self.work / "data"
        for name in ("first", "second"):
            (self.folder / name).write_text(self.devices(data, "add", name))
        self.assertEqual(self.devices(data, "list"), "first\nsecond\n")
        self.assertIn("there is no device third", self.devices(data, "revoke", "third", code=1))
        self.assertIn("is no folder", self.devices(self.work / "other", "list", code=1))
        server = self.start_server(data=data, token=None)
        first = self.start_edge("--device-id", "first", token="first", name="first")
        thief = self.start_edge("--device-id", "first", "--stop-after-seconds", "3", token="second", name="thief")
        self.finish(thief)
        self.assertEqual(self.events("thief", "server_fault")[0]["code"], "unauthorized")
        self.wait_until(lambda: self.events("first", "model"), 60, "an update arrived", server, first)
        self.devices(data, "revoke", "first")
        server.send_signal(signal.SIGHUP)
        self.wait_until(lambda: self.events("first", "server_fault"), 60, "it is out", server, first)
        self.assertEqual(self.events("first", "server_fault")[0]["code"], "unauthorized")
        self.assertIn("was revoked", self.events("first", "server_fault")[0]["message"])
        self.assertIn("was revoked", self.events("server", "refused")[-1]["reason"])
        self.assertEqual(self.devices(data, "list"), "second\nfirst\trevoked\n")
        first.send_signal(signal.SIGTERM)
        self.finish(first)
        session, = self.stop_server(server)["sessions"]
        self.assertEqual(session["device_id"], "first")

    def test_a_server_that_began_without_tokens_says_that_they_need_a_restart(self):
        data = self.work / "data"
        server = self.start_server(data=data, token=None)
        self.devices(data, "add", "first")
        server.send_signal(signal.SIGHUP)
        self.wait_until(lambda: self.events("server", "not_reloaded"), 20, "the device is refused", server)
        self.assertIn("restart it", self.events("server", "not_reloaded")[0]["message"])
        self.stop_server(server)

    def devices(self, data, *words, code=0):
        done = subprocess.run([BIN / "ams-server", "--data-dir", data, "devices", *words], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr if code else done.stdout


class Metrics(ProgramsTest):
    seconds = 8

    def test_prometheus_reads_them_whatever_a_device_is_called(self):
        server = self.start_server()
        name = 'caméra "7" \\ 2'
        edge = self.start_edge("--device-id", name)
        self.wait_until(lambda: self.events("edge", "model"), 60, "an update arrived", server, edge)
        context = ssl.create_default_context(cafile=str(self.folder / "tls" / "certificate.pem"))

        def ask(headers):
            request = urllib.request.Request(f"https://127.0.0.1:{self.port}/metrics", headers=headers)
            with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                return answer.read().decode()

        for_strangers = ask({})
        self.assertIn("ams_connections 1", for_strangers)
        self.assertNotIn("{device=", for_strangers)
        lines = ask({"Authorization": "Bearer correct horse"}).splitlines()
        kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        label = '{device="caméra \\"7\\" \\\\ 2"}'  # quotes and backslashes are escaped, nothing else is
        self.assertGreaterEqual(float(values["ams_updates_total" + label]), 1)
        self.assertGreater(float(values["ams_update_bytes_total" + label]), 0)
        self.assertGreater(float(values["ams_phase_seconds_total" + label]), 0)
        self.assertGreater(float(values["ams_sampling_rate_fps" + label]), 0)
        self.assertEqual(float(values["ams_connections"]), 1)
        parts = {f"{name}_{part}": name for name, kind in kinds.items() if kind == "histogram"
                 for part in ("bucket", "sum", "count")}
        names = {name.split("{")[0] for name in values}
        self.assertEqual({parts.get(name, name) for name in names}, set(kinds))
        self.assertEqual(kinds["ams_updates_total"], "counter")
        self.assertEqual(kinds["ams_sampling_rate_fps"], "gauge")
        self.finish(edge)
        session, = self.stop_server(server)["sessions"]
        self.assertEqual(session["device_id"], name)


class Room(ProgramsTest):
    seconds = 4

    def test_a_device_that_is_refused_takes_no_others_place(self):
        server = self.start_server("--max-devices", "1")
        self.finish(self.start_edge("--device-id", "first", name="first"))
        self.finish(self.start_edge("--device-id", "other", name="other", student=STUDENT[:-1] + ["192x96"]))
        self.assertEqual(self.events("other", "server_fault")[0]["code"], "manifest_mismatch")
        self.assertEqual(self.events("server", "forgotten"), [])
        self.finish(self.start_edge("--device-id", "second", name="second"))
        self.assertEqual(self.events("second", "server_fault"), [])
        forgotten, = self.events("server", "forgotten")
        self.assertEqual(forgotten["device"], "first")
        session, = self.stop_server(server)["sessions"]
        self.assertEqual(session["device_id"], "second")


class Strangers(ProgramsTest):
    seconds = 4

    def test_a_wrong_token_is_told_so(self):
        server = self.start_server()
        (self.folder / "wrong").write_text("battery staple\n")
        edge = self.start_edge(token="wrong")
        self.finish(edge)  # it has no server, and plays its video all the same
        self.assertEqual(self.events("edge", "server_fault")[0]["code"], "unauthorized")
        self.assertEqual(self.stop_server(server)["sessions"], [])

    def test_a_token_file_may_end_its_lines_as_on_windows(self):
        server = self.start_server()
        (self.folder / "windows").write_bytes(b"correct horse\r\nmore\r\n")
        edge = self.start_edge(token="windows")
        self.finish(edge)
        self.assertEqual(self.events("edge", "server_fault"), [])
        self.assertEqual(len(self.stop_server(server)["sessions"]), 1)

    def test_a_token_file_may_be_of_any_editor(self):
        server = self.start_server()
        for number, token in enumerate((b"\xef\xbb\xbfcorrect horse\n", b"correct horse", b"correct horse \t\r\n")):
            (self.folder / "edited").write_bytes(token)
            name = f"edge{number}"
            self.finish(self.start_edge("--stop-after-seconds", "1", name=name, token="edited"))
            self.assertEqual(self.events(name, "server_fault"), [])
        (self.folder / "wide").write_bytes("correct horse\n".encode("utf-16"))
        edge = self.start_edge(name="wide", token="wide")
        self.assertEqual(edge.wait(timeout=60), 1, self.logs())
        error, = self.events("wide", "malformed_data")
        self.assertIn("UTF-16", error["message"])
        self.assertEqual(len(self.stop_server(server)["sessions"]), 1)

    def test_one_token_is_given_one_way(self):
        self.port = NOBODY
        edge = self.start_edge("--token", "correct horse")  # beside --token-file
        self.assertEqual(edge.wait(timeout=60), 1, self.logs())
        error, = self.events("edge", "invalid_argument")
        self.assertIn("not both", error["message"])

    def test_an_untrusted_certificate_is_named(self):
        server = self.start_server()
        subprocess.run([BIN / "ams-server", "--generate-certificate", self.work / "other"], check=True,
                       stdout=subprocess.DEVNULL)
        edge = self.start_edge(ca=self.work / "other" / "certificate.pem")
        self.finish(edge)
        self.assertIn("certificate", self.events("edge", "disconnected")[0]["reason"])
        self.stop_server(server)

    def test_another_student_is_refused(self):
        server = self.start_server()
        edge = self.start_edge(student=STUDENT[:-1] + ["192x96"])
        self.finish(edge)
        self.assertEqual(self.events("edge", "server_fault")[0]["code"], "manifest_mismatch")
        self.stop_server(server)


class Usage(unittest.TestCase):
    def run_program(self, *command):
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)

    def test_help_and_version(self):
        for program in ("ams-server", "ams-edge", "ams-render", "ams-annotate", "ams-label", "ams-pretrain"):
            with self.subTest(program=program):
                result = self.run_program(BIN / program, "--help")
                self.assertEqual(result.returncode, 0)
                self.assertIn("--", result.stdout)

    def test_a_certificate_and_a_key_that_are_no_pair_are_refused_at_the_start(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a", "b"):
                self.run_program(BIN / "ams-server", "--generate-certificate", f"{folder}/{name}")
            begin = [BIN / "ams-server", "--token", "t", "--teacher", "clip:nowhere", "--private-key",
                     f"{folder}/b/private_key.pem", "--certificate"]
            result = self.run_program(*begin, f"{folder}/a/certificate.pem")
            self.assertEqual(result.returncode, 1)
            self.assertIn("is not the private key of the certificate", result.stderr)
            result = self.run_program(*begin, f"{folder}/b/certificate.pem")
            self.assertIn("nowhere", result.stderr)  # the next thing that is wrong

    def test_a_config_file_may_begin_with_a_byte_order_mark(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "config"
            for codec, words in (("utf-8-sig", "--input: '12' is not a size"), ("utf-16", "iconv -f UTF-16")):
                file.write_text("input = 12\r\n", encoding=codec)
                result = self.run_program(BIN / "ams-edge", "--video", "x.mp4", "--config", file)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)

    def test_mistakes_get_one_line(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = temporary.name
        (Path(folder) / "file").write_text("")
        (Path(folder) / "config").write_text("nonsense = 3\n")
        for command, words in [
            ((BIN / "ams-edge",), "--clip"),
            ((BIN / "ams-edge", "--clip", "nowhere"), "nowhere"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--input", "12"), "WIDTHxHEIGHT"),
            ((BIN / "ams-server", "--teacher", "nonsense", "--certificate", "a", "--private-key", "b"), "nonsense"),
            ((BIN / "ams-server", "--gamma", "7"), "gamma"),
            ((BIN / "ams-server", "--learning-rate-weight", "0"), "learning-rate-weight"),
            ((BIN / "ams-server", "--relative-step-weight", "0"), "--relative-step-weight"),
            ((BIN / "ams-server", "--downlink-kbps", "9", "--relative-step-weight", "2"), "--relative-step-weight"),
            ((BIN / "ams-server", "--profile", "reference", "--relative-step", "2", "--teacher", "clip:x",
              "--certificate", "a", "--private-key", "b"), "are for --profile compact"),
            ((BIN / "ams-server", "--downlink-kbps", "nan"), "--downlink-kbps: 'nan' is not a finite number"),
            ((BIN / "ams-server", "--gamma", "nan"), "--gamma: 'nan' is not a finite number"),
            ((BIN / "ams-server", "--phi-target", "inf"), "--phi-target: 'inf' is not a finite number"),
            ((BIN / "ams-server", "--iterations", "-1"), "--iterations: '-1' is below 0"),
            ((BIN / "ams-server", "--threads", "-2"), "--threads"),
            ((BIN / "ams-server", "--generate-certificate", f"{folder}/file/tls"), f"{folder}/file/tls"),
            ((BIN / "ams-server", "--config", f"{folder}/config"), "names 'nonsense', which is no flag"),
            ((BIN / "ams-server", "--teacher", "clip:x", "--device", "cuda", "--certificate", "a", "--private-key", "b",
              "--report", folder), "it is a folder"),
            ((BIN / "ams-server", "--teacher", "clip:x", "--certificate", "a", "--private-key", "b"), "--open"),
            ((BIN / "ams-server", "--teacher", "clip:x", "--certificate", "a", "--private-key", "b", "--address",
              "::"), "--open"),
            ((BIN / "ams-server", "--teacher", "clip:x", "--certificate", "a", "--private-key", "b", "--address",
              "127.0.0.1"), "cannot read 'a'"),
            ((BIN / "ams-server", "--teacher", "clip:x", "--certificate", "a", "--private-key", "b", "--open"),
             "cannot read 'a'"),
            ((BIN / "ams-server", "--teacher", "clip:x", "--certificate", "a", "--private-key", "b", "--token", "t"),
             "cannot read 'a'"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--ca", f"{folder}/file"), "file' is empty"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--token-file", f"{folder}/file"), "first line is empty"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--uplink-kbps", "nan"), "--uplink-kbps: 'nan' is not"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--stop-after-seconds", "-3"), "stop-after-seconds"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--threads", "0"), "threads"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--timeline", folder), "it is a folder"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--report", f"{folder}/file/report.json"), f"{folder}/file"),
            ((BIN / "ams-edge", "--video", "x.mp4", "--state", folder, *STUDENT), "it is a folder"),
            ((BIN / "ams-pretrain", "--streets", "1", "--steps", "1", "--out", folder), "it is a folder"),
            ((BIN / "ams-pretrain", "--streets", "1", "--train-batch-norm", "--out", "x"), "train-batch-norm"),
        ]:
            with self.subTest(command=command):
                result = self.run_program(*command)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
                self.assertLessEqual(len(result.stderr.strip().splitlines()), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
