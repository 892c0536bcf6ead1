"""How to run Postgres when `opsroom up` is run by root: Postgres refuses to be root.

An ordinary user runs it as itself. Root hands it to an unprivileged account that exists already (`postgres`, else
`nobody`). When the clone lies where that account cannot walk (for instance /root with mode 700), the process
additionally keeps one capability, to read and search folders: it still owns nothing but its data folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from opsroom.local.errors import MissingTool, NoPermission
from opsroom.local.paths import passable_by_others

ACCOUNTS = ("postgres", "nobody")
# Numbers from linux/capability.h. READ_SEARCH is the smaller right; Docker's default set has only OVERRIDE.
_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}


@dataclass(frozen=True)
class Privileges:
    """`prefix` goes before the command line; `account` owns the data folder (None: the current user)."""

    prefix: tuple[str, ...] = ()
    account: pwd.struct_passwd | None = None

    def own(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)


def for_postgres(needed: Iterable[Path]) -> Privileges:
    """The way to run Postgres here so that it can reach every path of `needed`."""
    if os.geteuid() != 0:
        return Privileges()
    account = _account()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingTool(
            "Postgres cannot run as root and `setpriv` (package util-linux) is missing: install it, or run `make up` "
            "as an ordinary user."
        )
    prefix = [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    closed = [path for path in needed if not passable_by_others(path)]
    if not closed:
        return Privileges((*prefix, "--inh-caps=-all"), account)
    held = _permitted_capabilities()
    for name, bit in _CAPABILITIES.items():
        if held >> bit & 1:
            caps = (f"--inh-caps=-all,+{name}", f"--ambient-caps=-all,+{name}")
            # access(2) would ignore the capability otherwise, and Postgres asks it where its own programs are.
            return Privileges((*prefix, "--securebits=+no_setuid_fixup", *caps), account)
    raise NoPermission(
        f"Postgres cannot run as root, and the account {account.pw_name!r} cannot reach {closed[0]}: move the clone "
        "out of a private folder (for instance to /srv), or run `make up` as an ordinary user."
    )


def _account() -> pwd.struct_passwd:
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPermission(
        "Postgres cannot run as root and neither account 'postgres' nor 'nobody' exists: run `make up` as an "
        "ordinary user."
    )


def _permitted_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0
