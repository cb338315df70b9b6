"""Hosts in network namespaces of their own, joined by a network with latency, loss and partitions.

Each host has a TUN device, and this process carries the packets between them. Kernels without netem can
do this too. It needs the rights of root, `ip` from iproute2, and /dev/net/tun.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_PREFIX = "10.77.0."
_TUNSETIFF = 0x400454CA
_IFF_TUN_WITHOUT_HEADERS = 0x0001 | 0x1000
_CLONE_NEWNET = 0x40000000
_LARGEST_PACKET = 2**16


def unavailable() -> str:
    """Why this machine cannot have such a network; empty if it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need the rights of root"
    if shutil.which("ip") is None:
        return "network namespaces need `ip` from iproute2"
    if not Path("/dev/net/tun").exists():
        return "this machine has no /dev/net/tun"
    name = f"probe-{os.getpid()}"
    if _ip("netns", "add", name, check=False):
        return "this machine cannot make network namespaces"
    _ip("netns", "del", name)
    return ""


class Network:
    """Hosts, each in a network namespace of its own.

    Args:
        hosts: Names of the hosts.
        latency: Seconds that a packet takes in one direction, at most. They are drawn uniformly from
            half of it on, so that packets overtake each other.
        loss: Probability that a packet is lost.
        seed: Seed of latency and loss.
    """

    def __init__(self, hosts: list[str], *, latency: float, loss: float, seed: int = 0) -> None:
        self.carried = self.lost = 0
        self._addresses = {host: f"{_PREFIX}{number}" for number, host in enumerate(hosts, start=1)}
        self._latency = latency
        self._loss = loss
        self._draw = random.Random(seed)
        self._devices: dict[int, int] = {}
        self._cut_off: set[int] = set()
        self._ended = threading.Event()
        self._carrier = threading.Thread(target=self._carry)

    def __enter__(self) -> Self:
        for number, (host, address) in enumerate(self._addresses.items(), start=1):
            namespace = self._namespace(host)
            _ip("netns", "add", namespace)
            self._devices[number] = _open_device(namespace)
            for command in (
                ["addr", "add", f"{address}/24", "dev", "tun0"],
                ["link", "set", "tun0", "up"],
                ["link", "set", "lo", "up"],
            ):
                _ip("-n", namespace, *command)
        self._carrier.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._carrier.join()
        for device in self._devices.values():
            os.close(device)
        for host in self._addresses:
            _ip("netns", "del", self._namespace(host))

    def address(self, host: str) -> str:
        """The IP address of a host."""
        return self._addresses[host]

    def on(self, host: str, *command: str) -> list[str]:
        """The command that runs another command on a host."""
        return ["ip", "netns", "exec", self._namespace(host), *command]

    def cut_off(self, host: str) -> None:
        """Lose all packets from and to a host."""
        self._cut_off.add(self._number(host))

    def heal(self, host: str) -> None:
        """Carry the packets of a host again."""
        self._cut_off.discard(self._number(host))

    def _number(self, host: str) -> int:
        return int(self._addresses[host].removeprefix(_PREFIX))

    @staticmethod
    def _namespace(host: str) -> str:
        return f"cnn-{os.getpid()}-{host}"

    def _carry(self) -> None:
        numbers = {device: number for number, device in self._devices.items()}
        # Due time, a counter that breaks ties, receiver, packet.
        under_way: list[tuple[float, int, int, bytes]] = []
        while not self._ended.is_set():
            until_due = under_way[0][0] - time.monotonic() if under_way else 0.05
            ready, _, _ = select.select([*numbers], [], [], min(0.05, max(0.0, until_due)))
            for device in ready:
                packet = os.read(device, _LARGEST_PACKET)
                sender, receiver = numbers[device], packet[19]
                is_ipv4 = packet[0] >> 4 == 4
                if not is_ipv4 or receiver not in self._devices:
                    continue
                if self._draw.random() < self._loss or self._cut_off & {sender, receiver}:
                    self.lost += 1
                    continue
                due = time.monotonic() + self._draw.uniform(0.5, 1) * self._latency
                self.carried += 1
                heapq.heappush(under_way, (due, self.carried, receiver, packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, receiver, packet = heapq.heappop(under_way)
                with suppress(OSError):
                    os.write(self._devices[receiver], packet)


def _ip(*arguments: str, check: bool = True) -> int:
    return subprocess.run(["ip", *arguments], capture_output=True, check=check).returncode


def _open_device(namespace: str) -> int:
    """Make the device tun0 in a namespace."""
    devices: list[int | OSError] = []

    def enter_and_open() -> None:
        # A namespace belongs to a thread. This one ends.
        with Path("/run/netns", namespace).open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                devices.append(OSError(ctypes.get_errno(), "setns"))
                return
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", b"tun0", _IFF_TUN_WITHOUT_HEADERS))
        devices.append(device)

    thread = threading.Thread(target=enter_and_open)
    thread.start()
    thread.join()
    (device,) = devices
    if isinstance(device, OSError):
        raise device
    return device
