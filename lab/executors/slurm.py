"""Slurm: a generated batch script, and the commands sbatch, squeue, scontrol and scancel, each with a timeout.

The script runs on a node that shares the lab's folders with this machine. Before the time limit (the margin varies by
tens of seconds) Slurm sends USR1: the worker saves a checkpoint and releases its run, and the script requeues its job.
Whatever happens to the job, the lease in the store determines who may train the run.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.atomic_files import make_folder
from lab.executors.base import SHOWN_LOG, ExecutorError, Job, JobState, JobStatus
from lab.executors.config import SlurmConfig
from lab.settings import CHECKOUT, PROCESS_ENVIRONMENT, Settings
from lab.system_errors import reason, remedy

COMMAND_S = 10.0  # timeout of a command, which would wait for minutes for an unreachable controller
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
    """The cluster that this machine's Slurm commands use."""

    starts_again = True  # `--requeue`

    def __init__(self, config: SlurmConfig, settings: Settings) -> None:
        self._config, self._settings = config, settings

    def capacity(self) -> int:
        """Return how many jobs of this lab may exist at once."""
        return self._config.jobs

    def submit(self, job: Job) -> str:
        """Submit a batch script and return the job's number; if the job already exists, only return its number."""
        found = self._run("squeue", "--me", "--noheader", f"--name={job.id}", "--format=%i").split()
        if found:
            return found[0]
        log = self._log(job.id)
        make_folder(log.parent, mode=0o700)
        output = str(log).replace("%", "%%")  # escaped, because % starts a filename pattern of Slurm
        words = ["--parsable", f"--output={output}", *self._config.options]
        answer = self._run("sbatch", *words, stdin=self.script(job), environment=job.environment)
        number = answer.strip().partition(";")[0]  # with several clusters, the cluster's name follows
        if not number.isdecimal():
            raise ExecutorError(f"sbatch printed {answer.strip()[:80]!r} instead of a job number.")
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
        """Return the states of these jobs: one request for all, and one more for each that has left the queue."""
        if not handles:
            return {}
        listed = self._run("squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r")
        found = dict(line.split("|", 1) for line in listed.splitlines() if line.count("|") == 2)
        return {
            handle: _status(*found[handle].split("|", 1)) if handle in found else self._look_up(handle)
            for handle in handles
        }

    def _look_up(self, handle: str) -> JobStatus:
        """Look up a job that is not in the queue: the controller keeps it for minutes, the accounting permanently."""
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
        """Ask a job to end; Slurm ignores jobs that it does not know."""
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
            how = remedy(error, "check the file")
            raise ExecutorError(f"The log of job {handle} cannot be read ({reason(error)}): {how}.") from error

    def _log(self, job: str) -> Path:
        return self._settings.home / "logs" / "jobs" / f"{job}.log"

    def _run(self, program: str, *words: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
        """Return the output of a command. Raises `ExecutorError` with its error message."""
        # If the lab itself runs inside a Slurm job, the variables of that job must not affect this one.
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
                f"{program} is not on this machine: start the lab where Slurm's commands are installed."
            ) from None
        except subprocess.TimeoutExpired:
            raise ExecutorError(f"{program} did not respond within {COMMAND_S:.0f} s.") from None
        except OSError as error:
            how = remedy(error, "check that it can be run on this machine")
            raise ExecutorError(f"{program} cannot be started ({reason(error)}): {how}.") from error
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise ExecutorError(f"{program} refused: {said}")
        return done.stdout

    def _try(self, program: str, *words: str) -> str:
        """Return the output of a command, or "" if the job is unknown or sacct fails. Raises `ExecutorError`."""
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
