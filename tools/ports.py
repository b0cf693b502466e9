"""TCP ports: is one free, who has it, which one is."""

import os
import socket
from pathlib import Path

from tools import process
from tools.errors import SetupError

HOST = "127.0.0.1"
_LISTENING = "0A"  # state of a socket in /proc/net/tcp


def is_free(port):
    """Tell whether a server could listen on a TCP port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port():
    """Return a TCP port that nothing listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def next_free(port):
    """Return the next free port above one, for a suggestion."""
    return next((one for one in range(port + 1, 65536) if is_free(one)), free_port())


def listener(port, proc=Path("/proc")):
    """Return the id of the process that listens on a port, or None when unknown.

    Another user's processes do not show who they are, except to root.
    """
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if (
                fields[3] == _LISTENING
                and int(fields[1].rpartition(":")[2], 16) == port
            ):
                inodes.add(f"socket:[{fields[9]}]")
    for folder in proc.glob("[0-9]*/fd") if inodes else ():
        try:
            if any(os.readlink(entry) in inodes for entry in folder.iterdir()):
                return int(folder.parent.name)
        except OSError:
            continue
    return None


def taken(port, command):
    """Say that a port is taken, by whom if that can be known.

    :param int port: the port
    :param str command: what was called, e.g. "make demo"
    :return: a SetupError
    """
    pid = listener(port)
    by = "another program"
    if pid:
        line = process.command_line(pid)
        name = os.path.basename(line.split(" ")[0]) if line else "a program"
        by = f"{name} (process {pid})"
        if "/.qms/conf/" in line:
            checkout = line.partition("/.qms/conf/")[0].rpartition(" ")[2]
            by = f"the Odoo of {checkout} (process {pid})"
    return SetupError(
        f"Port {port} is taken by {by}.", f"PORT={next_free(port)} {command}"
    )
