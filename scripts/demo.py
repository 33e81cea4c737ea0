#!/usr/bin/env python3
"""Shows Adaptive Model Streaming at work: a real ams-server teaches a real ams-edge over TLS on loopback.

Writes report.json, summary.png, annotated.mp4 and timeline.csv to --out (out/demo). Usually run by
`make demo`, which builds the programs first.
"""

import argparse
import csv
import json
import math
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STREET_STUDENT = ROOT / "examples" / "data" / "street_edanet.safetensors"
STREET_SEED = 7  # the shipped student was pre-trained on other seeds (examples/data/README.md)
# None on the command line until these are filled in: what was given is told from what was not.
TEACHER_DEFAULTS = {"teacher_classes": 19, "teacher_input": "1024x512"}
SENT = ("strategy", "gamma", "profile")  # what ams-server chooses itself unless given


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_argument_group("what the device sees (default: a street that is rendered first)")
    source.add_argument("--clip", type=Path, help="a clip folder: video.mp4, labels.mkv, clip.json")
    source.add_argument("--video", type=Path, help="your own video file; needs --teacher")
    source.add_argument("--teacher", help="teacher of --video (otherwise a clip's labels teach): model.pt (TorchScript), "
                                          "model.pt2 (AOTInductor) or fddwnet:weights.safetensors")
    source.add_argument("--teacher-classes", type=int, help="outputs of --teacher (default 19)")
    source.add_argument("--teacher-input", help="input size of --teacher (default 1024x512)")
    parser.add_argument("--student", help="edanet, deeplabv3_mobilenetv2 or model.pt (TorchScript); default: the "
                                          "shipped street student, for recorded clips edanet")
    parser.add_argument("--weights", type=Path, help="safetensors of --student; default for edanet on clips: "
                                                     "$AMS_DATA_DIR/weights/edanet_cityscapes.safetensors")
    parser.add_argument("--classes", type=int, help="number of classes of --student (default 19)")
    parser.add_argument("--seconds", type=float, default=150, help="length of the rendered stream (default 150)")
    parser.add_argument("--input", help="student's input, WxH (default 256x128, or as many pixels in the "
                                        "video's shape where that is quite another)")
    parser.add_argument("--strategy",
                        help="which parameters, as ams-server --help says (default normalization_and_head, or full "
                             "where the student has no normalisation layers)")
    parser.add_argument("--gamma", type=float,
                        help="fraction of parameters sent, with a gradient-guided strategy (default 0.05)")
    parser.add_argument("--profile", help="how updates are written: reference or compact (default)")
    parser.add_argument("--downlink-kbps", type=float,
                        help="what the downlink may carry; strategy, gamma and profile are then chosen to fit")
    parser.add_argument("--learning-rate", type=float, default=2e-3,
                        help="Adam's alpha for the whole model; ams-server --help says how much faster a strategy "
                             "learns (default 2e-3)")
    parser.add_argument("--update-interval-seconds", type=float, default=2, help="T_update (default 2)")
    parser.add_argument("--iterations", type=int, default=8,
                        help="K, training steps a phase; fewer where the machine is too slow for T_update (default 8)")
    parser.add_argument("--batch-size", type=int, default=8, help="frames a training step (default 8)")
    parser.add_argument("--task", choices=("segmentation", "detection"), default="segmentation",
                        help="what the student does (default segmentation); detection takes other flags, which "
                             "--task detection --help says")
    parser.add_argument("--edge", choices=("torch", "onnx", "executorch"), default="torch",
                        help="what computes the device's student: libtorch (default), or ONNX Runtime or ExecuTorch in "
                             "a process without libtorch: the student is exported as a bundle, which both ends take")
    parser.add_argument("--server-args", default="", help="more flags for ams-server, as one string")
    parser.add_argument("--edge-args", default="", help="more flags for ams-edge, as one string")
    parser.add_argument("--seed", type=int, default=1, help="seed of the run (default 1)")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "demo", help="where results go (out/demo)")
    parser.add_argument("--bin", type=Path, default=ROOT / "build" / "bin", help="where the programs are (build/bin)")
    arguments = parser.parse_args()
    if arguments.video and not arguments.teacher:
        parser.error("--video needs --teacher: model.pt, model.pt2 or fddwnet:weights.safetensors")
    if arguments.video and arguments.clip:
        parser.error("give --clip or --video, not both")
    if not arguments.video:
        for name in ("teacher", *TEACHER_DEFAULTS):
            if getattr(arguments, name) is not None:
                parser.error(f"{flag_of(name)} is for --video; otherwise a clip's labels teach")
    if arguments.downlink_kbps is not None:
        for name in SENT:
            value = getattr(arguments, name)
            if value is not None and (name, value) != ("profile", "compact"):
                parser.error(f"{flag_of(name)} {value} does not go with --downlink-kbps, which chooses strategy and "
                             "gamma itself and writes profile compact")
    for name, default in TEACHER_DEFAULTS.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)
    return arguments


def flag_of(name):
    return "--" + name.replace("_", "-")


def edge_program(arguments):
    """The device's program. Of --edge onnx and executorch it is the one without libtorch, which is called ams-edge where
    the build has no libtorch."""
    without_torch = arguments.bin / f"ams-edge-{arguments.edge}"
    return without_torch if without_torch.is_file() else arguments.bin / "ams-edge"


def run_exporter(arguments, flags):
    """`python -m ams.export bundle`, with the package that was built beside the programs."""
    environment = {**os.environ, "PYTHONPATH": str(arguments.bin.parent / "python")}
    return subprocess.run([sys.executable, "-m", "ams.export", "bundle", *(str(flag) for flag in flags)],
                          env=environment, capture_output=True, text=True)


def export_bundle(arguments, student, clip):
    """The flags of the student as a bundle, with the clip's classes; no other flag is needed."""
    path = arguments.out / "student.bundle"
    info = json.loads((clip / "clip.json").read_text(encoding="utf-8-sig"))
    print("Exporting the student as a bundle ...")
    classes = ",".join(map(str, sorted(info["eval_classes"])))
    for_edge = ["--executorch"] if arguments.edge == "executorch" else []
    done = run_exporter(arguments, [*student, *for_edge, "--selected-classes", classes, path])
    if done.returncode != 0:
        fail(f"the student cannot be exported:\n{done.stderr}")
    return ["--student", str(path)]


def fail(message):
    sys.exit(f"error: {message}")


def run(command, what):
    """Runs a program to its end; its output goes to the terminal."""
    process = subprocess.Popen([str(part) for part in command])
    try:
        code = process.wait()
    finally:
        end(process)  # it gets time to remove what it has begun
    if code != 0:
        fail(f"{what} failed (exit {code}): {' '.join(str(part) for part in command)}")


def check_before(arguments):
    """Refuses now what would end the demo after minutes."""
    maker = "ams-label" if arguments.video else "ams-render"
    for name in ("ams-server", edge_program(arguments).name, "ams-annotate", maker):
        if not (arguments.bin / name).is_file():
            fail(f"{arguments.bin / name} is not there; `make build` makes it, --bin names another folder")
    if arguments.clip and not (arguments.clip / "clip.json").is_file():
        fail(f"{arguments.clip} is not a clip folder (it has no clip.json)")
    if arguments.edge != "torch":
        exporter = run_exporter(arguments, ["--help"])
        if exporter.returncode != 0:
            fail(f"--edge {arguments.edge} exports the student in Python, which fails:\n{exporter.stderr}\n"
                 f"scripts/setup.sh --{arguments.edge} installs what it needs; `make build` makes the package")
        libraries = subprocess.run(["ldd", edge_program(arguments)], capture_output=True, text=True).stdout
        if "libtorch" in libraries:
            fail(f"{edge_program(arguments)} links libtorch, and there is none beside it that does not: `make demo "
                 f"DEMO_ARGS='--edge {arguments.edge}'` makes it")
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        fail(f"the summary is drawn with matplotlib: {error}; scripts/setup.sh installs it")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=arguments.out):
            pass
    except OSError as error:
        fail(f"--out: nothing can be written to {arguments.out}: {error}")


def check_server(arguments, student, certificates):
    """Labelling and rendering take minutes; what the server says of its flags, it says before."""
    with tempfile.TemporaryDirectory(dir=arguments.out) as scratch:
        if arguments.video:
            teacher = teacher_flags(arguments)
        else:
            clip = arguments.clip or Path(scratch) / "street"
            if not arguments.clip:
                subprocess.run([arguments.bin / "ams-render", "--out", clip, "--seconds", "1", "--quiet"], check=True,
                               stderr=subprocess.DEVNULL)
            teacher = ["--teacher", f"clip:{clip}", "--clip", clip]
        command = [*server_command(arguments, certificates), *teacher, *student,
                   *(["--input", arguments.input] if arguments.input else []), "--token", "checked",
                   *arguments.server_args.split(), "--check"]
        checked = subprocess.run([str(part) for part in command], stderr=subprocess.PIPE, text=True)
    if checked.returncode != 0:
        fail(f"ams-server refuses its flags:\n{checked.stderr}")


def prepare_clip(arguments):
    """The clip folder that the device plays, made first when it is not there yet."""
    if arguments.clip:
        return arguments.clip
    if arguments.video:
        clip = arguments.out / "labelled"
        print(f"Labelling {arguments.video} with the teacher, to have something to score against ...")
        run([arguments.bin / "ams-label", "--video", arguments.video, "--out", clip, "--replace",
             *teacher_flags(arguments)], "labelling")
        return clip
    clip = arguments.out / f"street-{STREET_SEED}-{arguments.seconds:g}"
    if not (clip / "clip.json").is_file():
        print("Rendering a street drive with exact labels ...")
        run([arguments.bin / "ams-render", "--out", clip, "--seed", STREET_SEED, "--seconds", arguments.seconds,
             "--schedule", "demo", "--label-stride", 3], "rendering")
    return clip


def teacher_flags(arguments):
    """The flags that name the network teacher of --video; the same for labelling and for the server."""
    return ["--teacher", arguments.teacher, "--teacher-classes", arguments.teacher_classes,
            "--teacher-input", arguments.teacher_input]


def student_flags(arguments):
    """The flags that name the student, but for its input; the same for server and device."""
    data = Path(os.environ.get("AMS_DATA_DIR", ROOT.parent / "shared" / "data"))
    cityscapes = data / "weights" / "edanet_cityscapes.safetensors"
    recorded = arguments.clip or arguments.video
    student, weights = arguments.student, arguments.weights
    if student is None and weights is None and not (recorded and cityscapes.is_file()):
        student, weights = "edanet", STREET_STUDENT
        if recorded:
            print("note: the student is the one pre-trained on rendered streets; give STUDENT and its weights "
                  "for a better start")
    student = student or "edanet"
    if weights is None and student == "edanet" and recorded:
        weights = cityscapes
    if weights is None and student == "edanet":
        weights = STREET_STUDENT
    if weights is not None and not Path(weights).is_file():
        fail(f"the student's weights {weights} are not there; name them with --weights (or AMS_DATA_DIR)")
    flags = ["--student", student]
    if weights is not None:
        flags += ["--weights", weights]
    elif not student.endswith(".pt"):  # a TorchScript file holds its weights
        print(f"note: {student} has no weights and starts untrained, so it will do badly; name some with --weights "
              f"(ams-pretrain --student {student} makes them)")
    if arguments.classes is not None:
        flags += ["--classes", arguments.classes]
    return flags


def input_size(arguments, clip):
    """The student's input: as given, else 256x128, or in the video's shape where that would stretch it much."""
    width, height = 256, 128
    if arguments.input:
        return arguments.input
    if (arguments.student or "").endswith(".pt"):  # may take one size alone
        return f"{width}x{height}"
    info = json.loads((clip / "clip.json").read_text(encoding="utf-8-sig"))
    shape = info.get("width", width) / info.get("height", height)
    stretch = shape * height / width
    if max(stretch, 1 / stretch) < 1.3:
        return f"{width}x{height}"
    sides = (math.sqrt(width * height * shape), math.sqrt(width * height / shape))
    size = "x".join(str(max(32, 16 * round(side / 16))) for side in sides)
    print(f"note: the student's input is {size}, in the video's shape; --input {width}x{height} is the usual one")
    return size


def wait_for_port(path, server, log_path):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if path.is_file() and path.read_text().strip():
            return int(path.read_text())
        if server.poll() is not None:
            sys.stderr.write(log_path.read_text()[-4000:])
            fail("ams-server ended before it was ready; its log is above")
        time.sleep(0.1)
    fail(f"ams-server was not ready within two minutes; see {log_path}")


def what_is_sent(arguments):
    """The flags that choose the coordinates of an update and its format."""
    if arguments.downlink_kbps is not None:
        return ["--downlink-kbps", arguments.downlink_kbps]
    given = {name: getattr(arguments, name) for name in SENT if getattr(arguments, name) is not None}
    return [word for name, value in given.items() for word in (flag_of(name), value)]


def end(process):
    """Ends a program that still runs: it gets time to write its report before it is killed."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def server_command(arguments, certificates):
    """What ams-server is told whatever the clip is."""
    return [
        arguments.bin / "ams-server", "--address", "127.0.0.1", "--port", 0, "--certificate",
        certificates / "certificate.pem", "--private-key", certificates / "private_key.pem", "--data-dir", "none",
        *what_is_sent(arguments), "--learning-rate",
        arguments.learning_rate, "--iterations", arguments.iterations, "--batch-size", arguments.batch_size,
        "--update-interval-seconds", arguments.update_interval_seconds, "--seed", arguments.seed]


def stream(arguments, student, clip, out):
    """Runs both processes to the end of the video; gives their two reports."""
    student = [*(str(flag) for flag in student), "--input", input_size(arguments, clip)]
    if arguments.edge != "torch":
        student = export_bundle(arguments, student, clip)
    certificates, port_file, token_file = out / "tls", out / "port", out / "token"
    for stale in (port_file, out / "server.json", out / "edge.json", out / "timeline.csv", out / "server.trace",
                  out / "edge.trace"):
        stale.unlink(missing_ok=True)
    token_file.write_text(secrets.token_hex(16))
    token_file.chmod(0o600)
    teacher = teacher_flags(arguments) if arguments.video else ["--teacher", f"clip:{clip}"]
    command = [
        *server_command(arguments, certificates), "--port-file", port_file, "--token-file", token_file, *teacher,
        "--clip", clip, "--report", out / "server.json", "--trace", out / "server.trace", *student,
        *arguments.server_args.split()]
    server_log = out / "server.log"
    with open(server_log, "w") as log:
        # The device must keep its frame rate while the server trains on the same two cores.
        server = subprocess.Popen(["nice", "-n", "10"] + [str(part) for part in command], stderr=log)
    edge = None
    try:
        port = wait_for_port(port_file, server, server_log)
        runtime = [] if arguments.edge == "torch" else ["--runtime", arguments.edge]
        edge_command = [
            edge_program(arguments), "--server", f"127.0.0.1:{port}", "--ca", certificates / "certificate.pem",
            "--token-file", token_file, "--device-id", "demo", "--clip", clip, "--compare", "--record",
            out / "recorded", "--timeline", out / "timeline.csv", "--report", out / "edge.json", "--trace", out / "edge.trace", "--seed",
            arguments.seed, *student, *runtime, *arguments.edge_args.split()]
        edge = subprocess.Popen([str(part) for part in edge_command])
        if edge.wait() != 0:
            sys.stderr.write(server_log.read_text()[-4000:])
            fail(f"ams-edge ended with exit code {edge.returncode}; the server's log is above")
        server.send_signal(signal.SIGTERM)
        if server.wait(timeout=60) != 0:
            fail(f"ams-server ended with exit code {server.returncode}; see {server_log}")
    finally:
        for process in (edge, server):
            end(process)
        token_file.unlink(missing_ok=True)
    return json.loads((out / "server.json").read_text()), json.loads((out / "edge.json").read_text())


def merge_reports(server, edge):
    """One report of the run: what the device measured, and what only the server knows."""
    session = next((s for s in server["sessions"] if s["device_id"] == "demo"), None)
    if session is None or edge["miou"] is None:
        fail(f"nothing was learned or scored in {edge['seconds']:.1f} s of video; give a longer one, or see server.log")
    keys = ("clip", "student", "runtime", "seconds", "classes", "miou", "miou_no_customization", "downlink_bps", "uplink_bps",
            "updates", "update_bytes_mean", "frames", "frames_dropped", "frame_latency_ms", "swap_ms")
    report = {key: edge[key] for key in keys}
    report["phase_seconds"] = session["phase_seconds"]
    report["server_digest"] = session["digest"]
    report["edge_digest"] = edge["digest"]
    report["model_version"] = edge["model_version"]
    report["miou_whole_video"] = edge["miou_whole_video"]
    report["miou_whole_video_no_customization"] = edge["miou_whole_video_no_customization"]
    report["delay_seconds"] = delay_budget(server=session["stage_seconds"], edge=edge["stage_seconds"])
    report["scene_changes_seen"] = edge["scene_changes"]
    report["running_score"] = session["score_adapted"]
    report["running_score_no_customization"] = session["score_no_customization"]
    report["bits_per_coordinate"] = session["bits_per_coordinate"]
    report["frames_late"] = edge["frames_late"]
    # As many updates of 5% of the parameters at 23.2 bits each. That is an estimate of what the paper's
    # format costs, from Khani et al., Table 3: 205 Kbps for 5% of 2,113,043 parameters every 10 s, when
    # nothing is sent in a start-up of about 13% of the time.
    paper_bytes = report["updates"] * 0.05 * server["parameters"] * 23.2 / 8
    report["downlink_bps_paper_format"] = 8 * paper_bytes / report["seconds"]
    return report


def delay_budget(server, edge):
    """Mean seconds in each stage of the way from a frame to the model that has learned from it. What is left of an
    update's round trip without the device's part is the link, both ways."""
    stages = {**edge, **server}
    mean = lambda name: stages.get(name, {"mean": 0.0})["mean"]
    names = ("buffer", "encode", "link", "decode", "label", "queue", "train", "write", "apply", "swap")
    link = max(0.0, mean("acknowledge") - mean("apply") - mean("swap"))
    return {name: link if name == "link" else mean(name) for name in names}


def recoveries(timeline_path, scenes):
    """For each cut, seconds until the sliding score has come within 5 points of what the scene reaches, and stays there
    in its first half: the median of the second half."""
    with open(timeline_path) as file:
        rows = [(float(row["video_seconds"]), float(row["miou"])) for row in csv.DictReader(file) if row["miou"]]
    begins = [scene["start_seconds"] for scene in scenes]
    found = []
    for begin, end in zip(begins[1:], [*begins[2:], float("inf")]):
        scores = [(t, score) for t, score in rows if begin <= t < end]
        if not scores:
            continue
        middle = (begin + scores[-1][0]) / 2
        late = sorted(score for t, score in scores if t >= middle)
        below = [t for t, score in scores if t < middle and score < late[len(late) // 2] - 5]
        found.append(below[-1] - begin if below else 0.0)
    return found


def scenes_of(clip):
    return json.loads((clip / "clip.json").read_text()).get("scenes", [])


def plot(timeline_path, report, scenes, path):
    """The run at a glance: accuracy, both links, sampling rate, and when each update arrived."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import matplotlib.ticker

    with open(timeline_path) as file:
        rows = list(csv.DictReader(file))
    column = lambda name: [float(row[name]) if row[name] else float("nan") for row in rows]
    seconds = column("video_seconds")
    versions = column("model_version")
    arrivals = [t for t, before, now in zip(seconds[1:], versions, versions[1:]) if now > before]

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, (accuracy, links, rate) = plt.subplots(
        3, 1, figsize=(11, 8), sharex=True, height_ratios=[3, 1.6, 1], constrained_layout=True)
    figure.suptitle(f"Adaptive Model Streaming on {report['clip']}: {report['miou']:.1f} mIoU with "
                    f"{report['downlink_bps'] / 1e3:.{1 if report['downlink_bps'] < 1e4 else 0}f} Kbps down, "
                    f"{report['miou_no_customization']:.1f} without",
                    fontweight="bold")
    for index, scene in enumerate(scenes):
        start = scene["start_seconds"]
        end = scenes[index + 1]["start_seconds"] if index + 1 < len(scenes) else seconds[-1]
        for axis in (accuracy, links, rate):
            axis.axvspan(start, end, color="#8899aa", alpha=0.10 if index % 2 else 0.0, lw=0)
        if start < seconds[-1]:
            accuracy.text((start + min(end, seconds[-1])) / 2, 2, scene["name"], ha="center", va="bottom",
                          color="#556677")
    for arrival in arrivals:
        accuracy.axvline(arrival, color="#2a7de1", alpha=0.25, lw=1)
    accuracy.plot([], [], color="#2a7de1", alpha=0.4, lw=1, label="update arrives")
    accuracy.plot(seconds, column("miou"), color="#2a7de1", lw=2.2, label="adapted student")
    accuracy.plot(seconds, column("miou_no_customization"), color="#d1495b", lw=2.2, label="un-customised student")
    accuracy.set(ylabel="mIoU over the last 10 s (%)", ylim=(0, 100))
    accuracy.legend(loc="upper left", ncols=3, frameon=False)
    links.plot(seconds, column("downlink_kbps"), color="#2a7de1", label="down (updates)")
    links.plot(seconds, column("uplink_kbps"), color="#edae49", label="up (sampled frames)")
    links.set(ylabel="Kbps, 10 s mean", yscale="log", ylim=(0.5, 2000))
    links.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    links.legend(loc="upper left", ncols=2, frameon=False)
    rate.step(seconds, column("sampling_rate_fps"), where="post", color="#00798c")
    rate.set(ylabel="samples / s", xlabel="video time (s)", ylim=(0, 1.1), xlim=(0, seconds[-1]))
    figure.savefig(path, dpi=110)


def print_summary(report, out):
    gain = report["miou"] - report["miou_no_customization"]
    latency, swap, phase = report["frame_latency_ms"], report["swap_ms"], report["phase_seconds"]
    delay, cuts = report["delay_seconds"], report["recovery_seconds"]
    times = report["downlink_bps_paper_format"] / max(report["downlink_bps"], 1)
    rows = [
        ("clip, student, its runtime", f"{report['clip']}, {report['student']}, {report['runtime']}"),
        ("mIoU adapted / un-customised", f"{report['miou']:.1f} / {report['miou_no_customization']:.1f} % ({gain:+.1f})"),
        ("downlink / uplink, every byte", f"{report['downlink_bps'] / 1e3:.1f} / {report['uplink_bps'] / 1e3:.1f} Kbps"),
        ("the paper's format and 5%", f"about {report['downlink_bps_paper_format'] / 1e3:.0f} Kbps down for as many updates, "
                                      f"{times:.{0 if times >= 10 else 1}f} times as much "
                                      "(estimated from its table 3)"),
        ("updates", f"{report['updates']} of {report['update_bytes_mean'] / 1e3:.1f} kB, "
                    f"{report['bits_per_coordinate']:.1f} bits per sent parameter"),
        ("frames / dropped", f"{report['frames']} / {report['frames_dropped']}"),
        ("frame latency p50 / p99", f"{latency['p50']:.1f} / {latency['p99']:.1f} ms"),
        ("model swap p50 / p99", f"{swap['p50']:.3f} / {swap['p99']:.3f} ms"),
        ("a frame is learned after", f"{sum(delay.values()):.1f} s: " +
         ", ".join(f"{name} {seconds:.2f}" for name, seconds in delay.items() if seconds >= 0.005)),
        ("training phase p50 / p99", f"{phase['p50']:.1f} / {phase['p99']:.1f} s"),
        ("server and device hold", "the same model, " + report["edge_digest"]
         if report["server_digest"] == report["edge_digest"] else "DIFFERENT MODELS"),
    ]
    if cuts:
        rows.insert(2, ("after a cut, near its best in", f"{sum(cuts) / len(cuts):.1f} s on the mean of {len(cuts)}, "
                                                         f"{max(cuts):.0f} s at most"))
    width = max(len(name) for name, _ in rows)
    print()
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")
    print(f"\n  Look at {out / 'summary.png'} and {out / 'annotated.mp4'}; figures in {out / 'report.json'}\n")
    if report["frames_late"] > 0.05 * report["frames"]:
        print("  This machine is too slow for the video's own rate: frames came late. Turn down --input (student's\n"
              "  resolution), --iterations or --batch-size, or raise --update-interval-seconds (DEMO_ARGS='...').\n")


def run_detection(flags):
    """The demo of detection in this one's place, in the Python package."""
    folders = [str(ROOT / "build" / "python"), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    os.execv(sys.executable, [sys.executable, "-m", "ams.detection.demo", "--student",
                              str(ROOT / "examples" / "data" / "street_centrenet.npz"), "--out",
                              str(ROOT / "out" / "detection"), *flags])


def main():
    task = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    task.add_argument("--task")
    chosen, flags = task.parse_known_args()
    if chosen.task == "detection":
        run_detection(flags)
    arguments = parse_arguments()
    out = arguments.out
    arguments.bin = arguments.bin.resolve()
    check_before(arguments)
    student = student_flags(arguments)
    run([arguments.bin / "ams-server", "--generate-certificate", out / "tls"], "making a certificate")
    check_server(arguments, student, out / "tls")
    clip = prepare_clip(arguments)
    shutil.rmtree(out / "recorded", ignore_errors=True)
    server, edge = stream(arguments, student, clip, out)
    report = merge_reports(server, edge)
    report["recovery_seconds"] = recoveries(out / "timeline.csv", scenes_of(clip))
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    plot(out / "timeline.csv", report, scenes_of(clip), out / "summary.png")
    run([arguments.bin / "ams-annotate", "--clip", clip, "--baseline", out / "recorded" / "baseline.mkv",
         "--adapted", out / "recorded" / "adapted.mkv", "--out", out / "annotated.mp4"], "annotating")
    print_summary(report, out)
    if report["server_digest"] != report["edge_digest"]:
        fail("server and device do not hold the same model")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # through every `finally`
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
