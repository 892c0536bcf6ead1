"""The key that the embedded stack's workers sign evidence with, and the trust root that trusts it; made once."""

from __future__ import annotations

import datetime as dt
import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsroom.domain.evidence.trust import TrustRoot, load_private_key, private_pem
from opsroom.local.paths import State


def ensure(state: State) -> None:
    """Make the key and the trust root if they are not there. Raises UnusableKey for a damaged key."""
    if not state.signing_key.exists():
        # Written aside and renamed: a start that is interrupted here leaves either no key or a whole one.
        draft = state.signing_key.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(private_pem(Ed25519PrivateKey.generate()))
        draft.rename(state.signing_key)
    if not state.trust_root.exists():
        public = load_private_key(state.signing_key.read_bytes(), state.signing_key).public_key()
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        state.trust_root.write_text(TrustRoot().trusting(public, "this installation", now).text())
