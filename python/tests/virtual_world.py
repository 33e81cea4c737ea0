"""What the toy tests share: a device that sees numbers x, a teacher that knows y = 2 x + 1,
a student of two weights in plain numpy; a session by hand, and both hosts in virtual time."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import ams
from ams import parts, sim
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.device import Device

MANIFEST = ams.Manifest([("weight", (1,)), ("bias", (1,))])


def initial():
    return ams.ModelState(MANIFEST, np.zeros(2, np.float32))


class Trainer(parts.Trainer):
    """Least squares on samples (x, y)."""

    manifest = MANIFEST

    def train(self, job):
        losses = []
        for batch in job.mini_batches:
            x, y = (np.array([sample[i] for sample in batch]) for i in (0, 1))
            error = job.parameters[0] * x + job.parameters[1] - y
            gradients = np.array([(2 * error * x).mean(), (2 * error).mean()], np.float32)
            losses.append(float((error**2).mean()))
            job.step(gradients)
        return job.result(losses=losses)


def need_net():
    """Skips the test without the net layer, which tells what messages cost on a link."""
    if not ams.build_info()["layers"]["net"]:
        pytest.skip("this build of libams has no net layer")


def run_session(task, policy, *, seconds=60):
    """A ServerSession and an EdgeClient whose actions take no time. Gives both."""
    server = ams.ServerSession(initial(), task, policy)
    device = ams.EdgeClient(initial(), ams.ClientOptions(first_batch_seconds=2))

    def carry_out(action, now):
        match action:
            case ams.ConnectToServer():
                return device.on_connected(now)
            case ams.SendToServer():
                return server.on_message(action.message, now)
            case ams.EncodeBuffer():
                return device.on_encoded(action.batch_id, pickle.dumps(action.frames), now)
            case ams.Publish():
                return device.on_published(action.version, now)
            case ams.SendToDevice():
                return device.on_message(action.message, now)
            case ams.LabelBatch():
                frames = pickle.loads(action.bitstream)
                samples = [
                    (second, task.sample(x, 2 * x + 1))
                    for second, x in zip(action.capture_seconds, frames, strict=True)
                ]
                return server.on_labelled(action.batch_id, samples, now)
            case ams.TrainingDue():
                return server.on_phase_done(Trainer().train(server.begin_phase(now)), now)
        return []

    def run(actions, now):
        actions = list(actions)
        while actions:
            actions += carry_out(actions.pop(0), now)

    run(device.on_start(0), 0)
    for now, x in frames(seconds):
        run(device.on_frame(now, x, now), now)
        for end in (device, server):
            if end.next_wake_seconds is not None and end.next_wake_seconds <= now:
                run(end.on_time(now), now)
    return server, device


def run_hosts(task, make_policy, *, seconds=60):
    """A ServerHost and a DeviceHost over a link. Gives the finished sim.device.Device."""
    need_net()
    clock = Clock()
    device = Device(
        clock=clock,
        link=sim.Link(),
        accelerator=Accelerator(clock),
        costs=sim.Costs(teacher_seconds=0.1),
        initial=initial(),
        task=task,
        make_policy=make_policy,
        label=lambda x, second: 2 * x + 1,
        trainer=Trainer(),
        codec=sim.PassThrough(),
        client=ams.ClientOptions(first_batch_seconds=2),
        session=ams.SessionOptions(seed=1),
    )
    device.start()
    for now, x in frames(seconds):
        clock.run(until_seconds=now)
        device.on_frame(now, x)
    device.stop("the end")
    clock.run(until_seconds=seconds + 10)
    return device


def frames(seconds):
    rng = np.random.default_rng(1)
    return ((k / 4, float(rng.uniform(-1, 1))) for k in range(4 * seconds))
