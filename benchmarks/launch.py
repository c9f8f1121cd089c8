"""Runs a command and writes down what it cost: CPU and wall seconds, and its peak memory.

    python -I -S launch.py FIGURES COMMAND ...

It imports next to nothing on purpose: a process begins with the peak memory of the one that starts
it, so that no command could seem smaller than what measures it.
"""

import os
import sys
import time


def main() -> int:
    """Run the command; its exit status is ours."""
    figures, *command = sys.argv[1:]
    begun = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)  # of the process and of all it has waited for
    wall = time.monotonic() - begun
    with open(figures, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib weighs
        file.write(f"{usage.ru_utime + usage.ru_stime} {wall} {usage.ru_maxrss}")
    return abs(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    sys.exit(main())
