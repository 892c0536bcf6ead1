"""Keys that sign bundles, and the trust root: the file that says whose signatures count, and when.

A key id is the SHA-256 of the key's SubjectPublicKeyInfo (RFC 8410), in hex, so that it follows from the key alone.
"""

import hashlib
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import BaseModel, ConfigDict, Field

from opsroom.domain.errors import OpsRoomError
from opsroom.domain.evidence.verify import TRUST_TYPE

MAKE_ONE: Final = "Make one with: opsroom keys new"


class UnusableKey(OpsRoomError):
    """A key or trust root that can not be read; the message says why."""

    code, status = "unusable_key", 422


class TrustedKey(BaseModel):
    """A key whose signatures count from `valid_from` to `valid_until`, times in UTC as `2026-11-24T00:00:00Z`. Nothing
    that a revoked key signed counts, whenever that was: who has the key can write any date.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keyid: str
    algorithm: Literal["ed25519"] = "ed25519"
    public_key: str
    owner: str
    valid_from: str
    valid_until: str | None = None
    revoked_at: str | None = None


class TrustRoot(BaseModel):
    """The trust root, as its JSON file holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind: Literal["urn:ops-control-room:trust-root:v1"] = Field(default=TRUST_TYPE, alias="type")
    keys: tuple[TrustedKey, ...] = ()

    def trusting(self, public: Ed25519PublicKey, owner: str, now: str) -> "TrustRoot":
        """With this key from `now` on; every other key that is valid ends `now`, which is a rotation."""
        keyid = keyid_of(public)
        if any(key.keyid == keyid for key in self.keys):
            raise UnusableKey(f"key {keyid[:16]} is in the trust root already", hint="Nothing is left to do.")
        ended = tuple(key if key.valid_until else key.model_copy(update={"valid_until": now}) for key in self.keys)
        added = TrustedKey(keyid=keyid, public_key=public_pem(public), owner=owner, valid_from=now)
        return self.model_copy(update={"keys": (*ended, added)})

    def revoking(self, keyid: str, now: str) -> "TrustRoot":
        """Without trust in a key any more. `keyid` may be its first characters."""
        found = [key for key in self.keys if key.keyid.startswith(keyid)] if keyid else []
        if len(found) != 1:
            raise UnusableKey(f"{len(found)} keys of the trust root begin with {keyid!r}", hint="Give the whole id.")
        keys = (key.model_copy(update={"revoked_at": now}) if key is found[0] else key for key in self.keys)
        return self.model_copy(update={"keys": tuple(keys)})

    def text(self) -> str:
        """The file's content."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def keyid_of(public: Ed25519PublicKey) -> str:
    """The id of a key."""
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def public_pem(public: Ed25519PublicKey) -> str:
    """The public key as PEM, as `cosign` and OpenSSL read it too."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(private: Ed25519PrivateKey) -> bytes:
    """The private key as PEM (PKCS #8), not encrypted: the file's mode and place protect it."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_private_key(data: bytes, where: str | Path) -> Ed25519PrivateKey:
    """The private key in a PEM file's `data`. Raises UnusableKey."""
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKey(f"{where} is not a private key in PEM: {error}", hint=MAKE_ONE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey(f"{where} is not an Ed25519 key", hint=MAKE_ONE)
    return key


def load_public_key(data: bytes, where: str | Path) -> Ed25519PublicKey:
    """The public key in a PEM file's `data`, which may hold the private one. Raises UnusableKey."""
    if b"PRIVATE KEY" in data:
        return load_private_key(data, where).public_key()
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnusableKey(f"{where} is not a key in PEM: {error}", hint=MAKE_ONE) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnusableKey(f"{where} is not an Ed25519 key", hint=MAKE_ONE)
    return key
