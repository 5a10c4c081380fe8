"""Refuse every connection that leaves this machine: proof that the lesson needs no network.

Used by the tests and, when ``RSNB_BLOCK_SOCKETS=1``, by the kernels that run the notebooks.
"""

from __future__ import annotations

import ipaddress
import os
import socket

SWITCH = "RSNB_BLOCK_SOCKETS"


class NetworkBlocked(OSError):
    """Something tried to reach the network while it is blocked."""


def is_local(host: object) -> bool:
    """True for this machine's own names and loopback addresses ('' and None mean 'any address here')."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", "localhost.localdomain", "<broadcast>"):
        return True
    try:
        address = ipaddress.ip_address(str(name).split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(host: object) -> None:
    raise NetworkBlocked(f"the network is blocked here ({SWITCH}=1), and something asked for {host!r}")


def block_network() -> None:
    """Patch ``socket`` in this process: only loopback addresses and local sockets stay reachable."""
    if getattr(socket, "_rsnb_blocked", False):
        return

    def guarded(name: str, host_of):
        original = getattr(socket.socket, name)

        def method(self, *args):
            if self.family in (socket.AF_INET, socket.AF_INET6):
                host = host_of(args)
                if not is_local(host):
                    _refuse(host)
            return original(self, *args)

        setattr(socket.socket, name, method)

    for name in ("connect", "connect_ex"):
        guarded(name, lambda args: args[0][0])
    guarded("sendto", lambda args: args[-1][0])

    def resolver(original):
        def function(host, *args, **kwargs):
            if not is_local(host):
                _refuse(host)
            return original(host, *args, **kwargs)

        return function

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        setattr(socket, name, resolver(getattr(socket, name)))
    socket._rsnb_blocked = True


def block_if_asked() -> None:
    """``block_network()`` when the switch is set in the environment."""
    if os.environ.get(SWITCH) == "1":
        block_network()
