"""Decode rates of programs that are alive at the same time and run in turn, half a second each.

The memory rate of a shared machine changes within seconds; ratios of whole runs, one after the other, carry that. Here all
programs load, and then all but one are stopped (SIGSTOP) at any time, so that a ratio compares half seconds that lie next to
each other.
"""
import math
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import time

START_S = 120  # at most: loading, and the prompt
SLICES = 10  # of each program
SETTLE_S = 0.1  # after a program goes on, before its tokens count
SLICE_S = 0.5


def order(sides, turn):
    """All sides, each first in every other turn."""
    return sides if turn % 2 == 0 else sides[::-1]


class Generation:
    """A command that streams token ids, `id,id,...`, on stdout; it may be several processes. Stopped when made, after
    `printed` ids."""

    def __init__(self, command, printed):
        self._errors = tempfile.TemporaryFile(mode="w+")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors)
        self._advance(START_S, printed)
        self._signal(signal.SIGSTOP)

    def seconds_per_token(self):
        """Of one slice, in which the program runs."""
        self._signal(signal.SIGCONT)
        self._advance(SETTLE_S)
        arrivals = self._advance(SLICE_S)
        self._signal(signal.SIGSTOP)
        if len(arrivals) < 2:
            raise SystemExit(f"{self._process.args}: fewer than two ids in {SLICE_S} s")
        return (arrivals[-1][0] - arrivals[0][0]) / sum(ids for _, ids in arrivals[1:])

    def end(self):
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _advance(self, seconds, ids=math.inf):
        """[(when, ids)] until `seconds` have passed or `ids` have come."""
        end = time.monotonic() + seconds
        arrivals = []
        while sum(count for _, count in arrivals) < ids:
            if not select.select([self._process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                break
            text = os.read(self._process.stdout.fileno(), 1 << 16)
            if not text:
                self._errors.seek(0)
                raise SystemExit(f"{self._process.args}: ended before it was measured\n{self._errors.read()}")
            arrivals.append((time.monotonic(), text.count(b",")))
        return arrivals

    def _signal(self, number):
        """To the processes that launchers started: mpirun hands on signals itself."""
        pids = [self._process.pid]
        for pid in pids:
            tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
            children = [int(child) for task in tasks for child in task.read_text().split()]
            if not children:
                os.kill(pid, number)
            pids += children


def seconds_per_token(commands, printed):
    """{name: mean seconds per token} of {name: command}, each started anew and measured after `printed` ids."""
    generations = {}
    try:
        for name, command in commands.items():
            generations[name] = Generation(command, printed)
        total = dict.fromkeys(commands, 0.0)
        for index in range(SLICES):
            for name in order(list(commands), index):
                total[name] += generations[name].seconds_per_token()
        return {name: seconds / SLICES for name, seconds in total.items()}
    finally:
        for generation in generations.values():
            generation.end()
