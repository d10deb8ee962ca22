"""Slurm: a generated batch script, and the commands sbatch, squeue, scontrol and scancel, each with a time limit.

The script runs on a node that shares the lab's folders with this machine. Shortly before the time limit Slurm sends it USR1
(how shortly varies by tens of seconds): the worker saves a checkpoint and gives its run back, and the script puts its job
into Slurm's queue again. Whatever happens to the job, the lease in the store decides who may train the run.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.executors.base import SHOWN_LOG, ExecutorError, Job, JobState, JobStatus
from lab.executors.config import SlurmConfig
from lab.settings import CHECKOUT, PROCESS_ENVIRONMENT, Settings

COMMAND_S = 10.0  # a controller that is away lets its commands wait for minutes
_SCRIPT = """#!/bin/bash
#SBATCH --job-name={id}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@{warning_s}
#SBATCH --cpus-per-task={cpus}
{gpus}cd {checkout} || exit 1
export OMP_NUM_THREADS={cpus}
trap 'again=yes; [ -z "$!" ] || kill -USR1 $!' USR1 USR2
trap '[ -n "$!" ] || exit 143; kill -TERM $!' TERM HUP INT
{command} &
worker=$!
while kill -0 $worker 2>/dev/null; do wait $worker; done
wait $worker
code=$?
if [ "$again" ] && [ $code -ne 0 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit $code
"""
# squeue(1), JOB STATE CODES; all others mean that the job has ended.
_PENDING = frozenset(
    ["PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "SUSPENDED"]
)
_RUNNING = frozenset(["RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"])


class Slurm:
    """The cluster that this machine's Slurm commands speak to."""

    starts_again = True  # `--requeue`

    def __init__(self, config: SlurmConfig, settings: Settings) -> None:
        self._config, self._settings = config, settings

    def capacity(self) -> int:
        """Return how many jobs of this lab may be there at once."""
        return self._config.jobs

    def submit(self, job: Job) -> str:
        """Submit a batch script and return the job's number; of one that is at Slurm already, only that."""
        found = self._run("squeue", "--me", "--noheader", f"--name={job.id}", "--format=%i").split()
        if found:
            return found[0]
        log = self._log(job.id)
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = str(log).replace("%", "%%")  # which would begin one of Slurm's own patterns
        words = ["--parsable", f"--output={output}", *self._config.options]
        answer = self._run("sbatch", *words, stdin=self.script(job), environment=job.environment)
        number = answer.strip().partition(";")[0]  # of several clusters, the cluster's name follows
        if not number.isdecimal():
            raise ExecutorError(f"sbatch answered {answer.strip()[:80]!r} instead of a job's number.")
        return number

    def script(self, job: Job) -> str:
        """Return the batch script of a job."""
        config = self._config
        return _SCRIPT.format(
            id=job.id,
            warning_s=config.warning_s,
            cpus=config.cpus,
            gpus=f"#SBATCH --gpus={config.gpus}\n" if config.gpus else "",
            checkout=shlex.quote(str(CHECKOUT)),
            command=shlex.join([config.python or sys.executable, *job.arguments]),
        )

    def states(self, handles: Sequence[str]) -> Mapping[str, JobStatus]:
        """Return what Slurm says of some jobs: one question for all, and one more for each that has left the queue."""
        if not handles:
            return {}
        listed = self._run("squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r")
        found = dict(line.split("|", 1) for line in listed.splitlines() if line.count("|") == 2)
        return {
            handle: _status(*found[handle].split("|", 1)) if handle in found else self._look_up(handle)
            for handle in handles
        }

    def _look_up(self, handle: str) -> JobStatus:
        """Ask for a job that is not in the queue: the controller remembers it for minutes, the accounting for good."""
        shown = self._try("scontrol", "show", "job", "--oneliner", handle)
        if (state := re.search(r"\bJobState=(\w+)", shown)) is not None:
            reason = re.search(r"\bReason=(\S+)", shown)
            return _status(state[1], reason[1] if reason else "")
        accounted = self._try(
            "sacct", "--noheader", "--allocations", "--parsable2", "--format=State", f"--jobs={handle}"
        )
        word = accounted.split()[0] if accounted.split() else ""
        return _status(word, "") if word else JobStatus(JobState.GONE, "unknown to Slurm")

    def cancel(self, handle: str) -> None:
        """Ask a job to end; Slurm says nothing of one that it does not know."""
        self._run("scancel", handle)

    def logs(self, handle: str, job: str) -> str:
        """Return the end of a job's output file; a job that never ran has none."""
        try:
            with self._log(job).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - SHOWN_LOG))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise ExecutorError(f"The log of job {handle} cannot be read ({error.strerror}).") from error

    def _log(self, job: str) -> Path:
        return self._settings.home / "logs" / "jobs" / f"{job}.log"

    def _run(self, program: str, *words: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
        """Return what a command prints. Raises `ExecutorError` with what it says instead."""
        # What an enclosing job of ours says of itself is not meant for another one.
        outer = {name: value for name, value in os.environ.items() if name == "SLURM_CONF" or name[:6] != "SLURM_"}
        try:
            done = subprocess.run(
                [program, *words],
                input=stdin,
                env={**PROCESS_ENVIRONMENT, **outer, **(environment or {})},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=COMMAND_S,
                check=False,
            )
        except FileNotFoundError:
            raise ExecutorError(
                f"{program} is not on this machine: start the lab where Slurm's commands are."
            ) from None
        except subprocess.TimeoutExpired:
            raise ExecutorError(f"{program} did not answer within {COMMAND_S:.0f} s.") from None
        except OSError as error:
            raise ExecutorError(f"{program} cannot be started ({error.strerror}).") from error
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise ExecutorError(f"{program} refused: {said}")
        return done.stdout

    def _try(self, program: str, *words: str) -> str:
        """Return what a command prints, "" where it does not know the job; a controller that is away is an error."""
        try:
            return self._run(program, *words)
        except ExecutorError as error:
            if "Invalid job id" in str(error) or program == "sacct":
                return ""
            raise


def _status(word: str, reason: str) -> JobStatus:
    words = f"{word}, {reason}" if reason and reason != "None" else word
    if word in _PENDING:
        return JobStatus(JobState.PENDING, words)
    if word in _RUNNING:
        return JobStatus(JobState.RUNNING, words)
    return JobStatus(JobState.CANCELLED if word.startswith("CANCELLED") else JobState.ENDED, words)
