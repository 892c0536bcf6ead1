"""The only module of Spec Kit that touches the disk: reads bundles, looks paths up, writes bundles."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from opsroom.domain.spec_kit.names import FILES, SLUG_RULE, BundleExistsError, SpecInputError, is_slug, printable

SIZE_MAX = 256 * 1024  # bytes; the parser is linear, but a reader is not

PathState = Literal["exists", "missing", "outside"]
PathLookup = Callable[[str], PathState]


class FileRead(NamedTuple):
    """A file's bytes, or the id of the rule that kept us from reading it."""

    content: bytes | None
    broken_rule: str | None = None


def read_bundle(repository: Path, slug: str) -> dict[str, FileRead]:
    """Reads the four files of spec/<slug>/; `slug` must have been checked."""
    root = repository.resolve()
    return {name: _read(root, root / "spec" / slug / name) for name in FILES}


def _read(root: Path, path: Path) -> FileRead:
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root) or not stat.S_ISREG(real.stat().st_mode):
            return FileRead(None, "SK003")
        with real.open("rb") as stream:
            content = stream.read(SIZE_MAX + 1)
    except FileNotFoundError:
        # A dangling link is there, so it is not missing: it is not a regular file.
        return FileRead(None, "SK003" if path.is_symlink() else "SK002")
    except (OSError, RuntimeError):  # not readable, a file where a folder is needed, a circle of links
        return FileRead(None, "SK003")
    return FileRead(None, "SK004") if len(content) > SIZE_MAX else FileRead(content)


def path_lookup(repository: Path) -> PathLookup:
    """A function telling whether a path named in a task exists in the repository, and never looks outside."""
    root = repository.resolve()

    def look(text: str) -> PathState:
        if text.startswith(("/", "~")) or ".." in text.replace("\\", "/").split("/") or "\0" in text:
            return "outside"
        try:
            real = (root / text).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return "missing"
        return "exists" if real.is_relative_to(root) else "outside"

    return look


def write_bundle(
    repository: Path, bundle: Mapping[str, str], overwrite: bool = False, slug: str | None = None
) -> list[Path]:
    """Writes the files of `bundle` to spec/<slug>/ and returns their paths; the slug is the bundle's own.

    Raises BundleExistsError before anything is written when a file is there and `overwrite` is false,
    SpecInputError when the bundle or the place is unfit, OSError when the disk refuses.
    """
    slug = slug or getattr(bundle, "slug", None)
    if slug is None or not is_slug(slug):
        raise SpecInputError(f"a bundle is written under a slug: {SLUG_RULE}")
    if strange := sorted(set(bundle) - set(FILES)):
        raise SpecInputError(f"a bundle has the files {', '.join(FILES)}; {printable(strange[0])} is none of them")
    root = repository.resolve()
    if not root.is_dir():
        raise SpecInputError(f"{printable(str(repository), 200)} is not a folder: give the repository's root")
    folder = root / "spec" / slug
    if not folder.resolve().is_relative_to(root):
        raise SpecInputError(f"spec/{slug} leads outside the repository by a link: remove the link")
    targets = {folder / name: text for name, text in bundle.items()}
    there = [path.name for path in targets if os.path.lexists(path)]
    if there and not overwrite:
        raise BundleExistsError(
            f"spec/{slug}/{there[0]} exists: choose another slug, or say that it may be overwritten"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in targets.items():
        # A new file renamed over the old one: a reader never sees half a file, and a link is replaced, not followed.
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    return list(targets)
