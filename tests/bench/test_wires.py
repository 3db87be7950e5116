"""The wires of `make hosts`, in real namespaces where this machine allows them."""

from __future__ import annotations

import subprocess
import textwrap

import pytest

from bench.live_node import PROJECT
from bench.wires import confined, missing

SCRIPT = """
import subprocess, sys
from bench.wires import Wires

LISTEN = "import socket; s = socket.socket(2, 2); s.bind(('0.0.0.0', 9)); print('up', flush=True)" \\
    "\\nwhile 1: print(s.recv(9).decode(), flush=True)"
SPEAK = "import socket, sys; s = socket.socket(2, 2)" \\
    "\\nfor host in sys.argv[2:]: s.sendto(sys.argv[1].encode(), (host, 9))"
wires = Wires(["a", "b"])
(host_a, _), (host_b, _) = (wires.spots[name].listen.split(":") for name in "ab")
ears = {}
for name in "ab":
    ears[name] = subprocess.Popen([*wires.spots[name].command, "-c", LISTEN], stdout=subprocess.PIPE, text=True)
    assert ears[name].stdout.readline() == "up\\n"

def heard(word):
    '''Both say a word to each other, and then we say the end to both; who hears what before the end?'''
    for name, other in (("a", host_b), ("b", host_a)):
        command = [*wires.spots[name].command, "-c", SPEAK, word, other]
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)  # it fails where the wire is cut at its end
    subprocess.run([sys.executable, "-c", SPEAK, "end", host_a, host_b], check=True)
    lines = {name: list(iter(ears[name].stdout.readline, "end\\n")) for name in "ab"}
    return "".join(name for name in "ab" if word + "\\n" in lines[name])

print("whole:", heard("one"))
wires.cut("a", "b")
print("one way:", heard("two"))
wires.mend()
wires.part(["a"], ["b"])
print("parted:", heard("three"))
wires.mend()
print("mended:", heard("four"))
wires.roughen()
wires.smooth()
wires.mend()
print("smooth:", heard("five"))
"""


def test_a_wire_can_be_cut_one_way_and_both_and_mended_and_nothing_stays_behind() -> None:
    lacking = missing()
    if lacking:
        pytest.skip("; ".join(lacking))
    probe = subprocess.run(confined("-c", ""), capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no namespaces here: {probe.stderr.strip()}")
    done = subprocess.run(
        confined("-c", textwrap.dedent(SCRIPT)), capture_output=True, text=True, cwd=PROJECT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["whole: ab", "one way: a", "parted: ", "mended: ab", "smooth: ab", ""]
