"""Artifacts on the real Storage: what is declared is kept, what is outside is refused, secrets are masked."""

from __future__ import annotations

import hashlib

import pytest

from tests.worker.room import Room


@pytest.mark.parametrize("transport", ["postgres", "https"])
async def test_artifacts_are_found_by_glob_and_stored_by_content(served_room: Room, transport: str) -> None:
    room = served_room
    script = "mkdir -p out/deep; echo '# Hi' > out/a.md; echo '{}' > out/deep/b.json; head -c 300000 /dev/urandom > c.bin; echo no > other"
    artifacts = [{"path": "out/**/*.*"}, {"path": "c.bin"}, {"path": "absent*", "required": False}]
    slug = await room.template([{"with": {"script": script}, "artifacts": artifacts}])
    run_id = await room.launch(slug)
    async with room.worker(transport):
        run = await room.until(run_id)
    assert (run["status"], run["message"]) == ("succeeded", None)
    found = await room.artifacts(run_id)
    assert {name: row["kind"] for name, row in found.items()} == {
        "out/a.md": "markdown", "out/deep/b.json": "json", "c.bin": "file",
    }  # fmt: skip
    for name, row in found.items():
        content = await room.stored(run_id, name)
        assert row["object_path"] == f"{run_id}/{hashlib.sha256(content).hexdigest()}"
        assert (row["size_bytes"], row["step"]) == (len(content), "s1")
    assert "artifact.added" in [event["type"] for event in await room.events(run_id)]


async def test_two_files_of_the_same_content_are_one_object_and_two_artifacts(served_room: Room) -> None:
    room = served_room
    slug = await room.template(
        [{"with": {"script": "echo same | tee a.txt > b.txt"}, "artifacts": [{"path": "*.txt"}]}]
    )
    run_id = await room.launch(slug)
    async with room.worker():
        assert (await room.until(run_id))["status"] == "succeeded"
    found = await room.artifacts(run_id)
    assert found["a.txt"]["object_path"] == found["b.txt"]["object_path"]


async def test_a_failed_step_still_leaves_its_artifacts(served_room: Room) -> None:
    room = served_room
    slug = await room.template(
        [{"with": {"script": "echo x > log.txt; exit 4"}, "artifacts": [{"path": "log.txt"}, {"path": "never.txt"}]}]
    )
    run_id = await room.launch(slug)
    async with room.worker():
        run = await room.until(run_id)
    assert (run["status"], run["exit_code"]) == ("failed", 4)
    assert list(await room.artifacts(run_id)) == ["log.txt"]


@pytest.mark.parametrize(
    ("script", "path", "said"),
    [
        (":", "report.json", "left no such file behind"),
        ("ln -s /etc/passwd p", "p", "a link to a place outside"),
        ("ln -s / root", "root/etc/passwd", "a link to a place outside"),
        (":", "../*", "must stay inside"),
        (":", "/etc/passwd", "must stay inside"),
        ("mkfifo p", "p", "only ordinary files"),
        ("ln -s nowhere p", "p", "No such file"),
        ("head -c 2000 /dev/zero > p", "p", "more than the limit of 1024"),
    ],
)
async def test_what_may_not_be_taken_fails_the_step(served_room: Room, script: str, path: str, said: str) -> None:
    room = served_room
    run_id = await room.launch(await room.template([{"with": {"script": script}, "artifacts": [{"path": path}]}]))
    async with room.worker(OPSROOM_ARTIFACT_LIMIT_BYTES="1024"):
        run = await room.until(run_id)
    assert (run["status"], run["reason"]) == ("failed", "step_failed")
    assert said in run["message"]
    assert not await room.artifacts(run_id)


async def test_secrets_are_masked_in_text_artifacts(served_room: Room) -> None:
    room = served_room
    room.secrets["TOKEN"] = "a-token-to-be-hidden"
    slug = await room.template(
        [
            {
                "with": {"env": {"T": "{{ secrets.TOKEN }}"}, "script": 'echo "{\\"token\\": \\"$T\\"}" > r.json'},
                "artifacts": [{"path": "r.json"}],
            }
        ],
        secrets=["TOKEN"],
    )
    run_id = await room.launch(slug)
    async with room.worker():
        await room.until(run_id)
    assert await room.stored(run_id, "r.json") == '{"token": "•••"}\n'.encode()
