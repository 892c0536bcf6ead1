"""Ports that a stack picks for itself."""

import socket
from pathlib import Path

import pytest

from opsroom.local.paths import FREE_PORTS, LOOPBACK, free_port

KERNELS = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not KERNELS.exists(), reason="Linux says it there")
def test_no_outgoing_connection_takes_a_port_between_its_choice_and_its_use() -> None:
    first, last = map(int, KERNELS.read_text().split())
    assert not set(FREE_PORTS) & set(range(first, last + 1))


def test_ports_differ_and_nobody_listens_on_them() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert set(ports) <= set(FREE_PORTS)
    with socket.socket() as server:
        server.bind((LOOPBACK, ports[0]))
        server.listen()
        assert ports[0] not in {free_port() for _ in range(len(FREE_PORTS) - 50)}
