"""Runs jobs in processes of one compute thread each, keeping every result as soon as it is
there."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from ams import sim
from ams.experiments.environment import code_digest
from ams.experiments.job import Job, distinct, load_result, run_cached
from ams.experiments.tuning import Tuned, tune_threshold

Result = TypeVar("Result")

# One thread a process: processes that share cores would wait for each other's threads. And freed
# memory stays in the process: half of a training step is page faults otherwise.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(2047 << 20),
}


class Pool:
    """Carries out jobs whose results are not there yet, `jobs` at a time; `out` is where results
    are kept.

    A job that fails ends the others too, and the exception says which one it was; results that are
    there stay.
    """

    def __init__(self, out: Path, *, jobs: int) -> None:
        if jobs < 1:
            raise ValueError(f"jobs is {jobs}; it must be >= 1")
        self._out = out
        self._jobs = jobs

    def run(self, jobs: Sequence[Job], *, title: str) -> list[sim.RunResult]:
        """One result a job, in the jobs' order; equal jobs are run once."""
        for job in jobs:
            job.check()
        results = {job.key(): load_result(self._out, job) for job in distinct(jobs)}
        missing = [job for job in distinct(jobs) if results[job.key()] is None]
        calls = [(run_cached, (self._out, job)) for job in missing]
        names = [f"{job.scheme} on {job.clip_name}" for job in missing]
        for index, result in self._map(calls, names, title, already=len(results) - len(missing)):
            results[missing[index].key()] = result
        return [results[job.key()] for job in jobs]

    def tune(
        self, jobs: Sequence[Job], *, target_mious: Sequence[float], tolerance: float, title: str
    ) -> list[Tuned]:
        """tune_threshold for each job."""
        calls = [
            (_tune, (self._out, job, target, tolerance))
            for job, target in zip(jobs, target_mious, strict=True)
        ]
        tuned: list[Tuned | None] = [None] * len(jobs)
        for index, result in self._map(calls, [f"tuning on {j.clip_name}" for j in jobs], title):
            tuned[index] = result
        return tuned

    def _map(
        self,
        calls: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]],
        names: Sequence[str],
        title: str,
        *,
        already: int = 0,
    ) -> Iterator[tuple[int, Any]]:
        """(index, result) of each call as it ends, in processes; shows progress."""
        with tqdm(total=already + len(calls), initial=already, desc=title, unit="run") as bar:
            if not calls:
                return
            code = code_digest()
            with _environment(WORKER_ENVIRONMENT):
                executor = ProcessPoolExecutor(
                    min(self._jobs, len(calls)),
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_ignore_interrupts,
                )
                try:
                    futures = {
                        executor.submit(_on_one_thread, code, function, *arguments): index
                        for index, (function, arguments) in enumerate(calls)
                    }
                    waiting = set(futures)
                    while waiting:
                        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        for future in done:
                            index = futures[future]
                            bar.set_postfix_str(names[index], refresh=False)
                            try:
                                result = future.result()
                            except BrokenProcessPool as error:
                                raise RuntimeError(
                                    f"a process ended while {names[index]} was run; is there too "
                                    "little memory for so many --jobs?"
                                ) from error
                            except Exception as error:
                                raise RuntimeError(f"{names[index]} failed: {error}") from error
                            bar.update()
                            yield index, result
                except BaseException:
                    _end_workers(executor)
                    raise
                executor.shutdown()


def _tune(out: Path, job: Job, target_miou: float, tolerance: float) -> Tuned:
    return tune_threshold(out, job, target_miou=target_miou, tolerance=tolerance)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the parent ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_one_thread(code: str, function: Callable[..., Result], *arguments: Any) -> Result:
    """code: the parent's code_digest(). A process begins with the files that are there by then."""
    from ams.torch import set_compute_threads

    if code_digest() != code:
        raise RuntimeError(
            "the package has changed since the command began, and its runs would be of two builds; "
            "start it again"
        )
    set_compute_threads(1)
    return function(*arguments)


def _end_workers(executor: ProcessPoolExecutor) -> None:
    """At once: what they have not finished is lost, what they have is kept."""
    processes = list((executor._processes or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that child processes begin with."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
