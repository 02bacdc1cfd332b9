"""What programs ask of a server: verdicts to the last bit, whoever else is asking, and refusals that say what to do."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tools.cli import main
from tools.serving.running import open_socket

from .conftest import TRAIN, form, layer, png, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .conftest import Answered, Running

OTHERS = ".ses"  # that ONNX Runtime leaves there: no image
SAID = (
    "verdict",
    "score",
    "threshold",
    "probability",
    "rank_among_good",
    "unusual",
    "kind",
    "defects",
    "regions",
    "facts",
)


def predicted(out: Path, judge: str, sources: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """What ``loupe predict`` says of images, by name."""
    listed = ",".join(f"'{source}'" for source in sources)
    assert main(["predict", judge, f"source=[{listed}]", f"out={out}", "overlay=none"]) == 0
    lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {Path(row["image_path"]).name: row for row in rows}


def said(row: dict[str, Any]) -> dict[str, Any]:
    """What is told of an image; of facts five digits: the batch that an image lies in may change the last bits."""
    facts = row["facts"] and {name: value and round(value, 4) for name, value in row["facts"].items()}
    return {name: row[name] for name in SAID} | {"facts": facts}


def huge_png(width: int, height: int) -> bytes:
    """A valid head of an image that nobody could hold, with a body that unpacks without end."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_verdicts_are_those_of_predict_to_the_bit(
    server: Running, layers: list[Path], bundle: Path, tmp_path: Path
) -> None:
    wanted = predicted(tmp_path / "told", f"bundle={bundle}", layers)
    together = server.predict([(path.name, path.read_bytes()) for path in layers])
    assert together.status == 200
    assert [row["image"] for row in together.json] == [path.name for path in layers]
    assert {row["verdict"] for row in together.json} == {"good", "defective"}
    assert any(row["defects"] for row in together.json)
    for row in together.json:
        assert said(row) == said(wanted[row["image"]])
    (alone,) = server.predict([(layers[7].name, layers[7].read_bytes())]).json
    assert said(alone) == said(wanted[layers[7].name])


def test_runs_and_bundles_are_served_together(made: Path, bundle: Path, layers: list[Path], tmp_path: Path) -> None:
    run = made / "runs" / "ae" / "one"
    wanted = predicted(tmp_path / "told", f"run={run}", layers)
    with serving(tmp_path / "both", f"run={{checkpoint: {run}}}", f"bundle={bundle}") as server:
        names = [model["name"] for model in server.get("/models").json]
        assert names == ["folder-conv_ae_small", "checkpoint"]
        found = server.predict([(path.name, path.read_bytes()) for path in layers], "?model=checkpoint").json
        assert {row["model"] for row in found} == {"checkpoint"}
        for row in found:
            assert said(row) == said(wanted[row["image"]])
        refused = server.predict([("a.png", png(layer(1)))], "?model=nobody")
        assert refused.status == 404
        assert (
            refused.json["error"] == "Expected model to be one of folder-conv_ae_small, checkpoint, but found 'nobody'."
        )


def test_images_that_keep_their_proportions_are_served_as_predicted(
    made: Path, layers: list[Path], tmp_path: Path
) -> None:
    keys = ("model=conv_ae_small", "model.widths=[16,16]", "trainer.max_epochs=1", "data.fit=letterbox")
    assert main(["train", *TRAIN, *keys, f"data.root={made}/seen", f"out={tmp_path}", "name=boxed", "id=one"]) == 0
    run = tmp_path / "boxed" / "one"
    wanted = predicted(tmp_path / "told", f"run={run}", layers[:12])
    assert any(row["defects"] for row in wanted.values())
    with serving(tmp_path / "served", f"run={{boxed: {run}}}") as server:
        for row in server.predict([(path.name, path.read_bytes()) for path in layers[:12]]).json:
            assert said(row) == said(wanted[row["image"]])


def test_two_hundred_at_once_are_neither_lost_nor_mixed_up(server: Running, bundle: Path, tmp_path: Path) -> None:
    images = {f"{seed:03}.png": png(layer(1000 + seed)) for seed in range(200)}
    folder = tmp_path / "images"
    folder.mkdir()
    for name, data in images.items():
        (folder / name).write_bytes(data)
    wanted = predicted(tmp_path / "told", f"bundle={bundle}", [folder])
    before = resident(server)
    start = threading.Barrier(200)

    def send(entry: tuple[str, bytes]) -> Answered:
        start.wait()
        return server.predict([entry])

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(send, images.items()))
    for name, answer in zip(images, answers, strict=True):
        assert answer.status == 200
        (row,) = answer.json
        assert row["image"] == name
        assert said(row) == said(wanted[name])
    assert len({answer.headers["x-request-id"] for answer in answers}) == 200
    assert resident(server) - before < 200e6
    judged = [line for line in server.logged() if line["request_id"] == answers[0].headers["x-request-id"]]
    assert [(line["status"], line["images"], line["path"]) for line in judged] == [(200, 1, "/predict")]


def resident(server: Running) -> float:
    (line,) = [text for text in server.get("/metrics").body.decode().splitlines() if text.startswith("process_res")]
    return float(line.split()[1])


def test_what_cannot_be_judged_says_why_and_holds_nobody_up(server: Running) -> None:
    good = png(layer(3))
    files = [
        ("good.png", good),
        ("broken.png", good[: len(good) // 2]),
        ("text.png", b"no image at all"),
        ("empty.png", b""),
        ("bomb.png", huge_png(40_000, 25_000)),
        ("large.png", huge_png(11_000, 11_000)),
        ("../../etc/passwd", b"root"),
        ("grey.png", png(np.full((40, 40), 7, np.uint8))),
    ]
    answer = server.predict(files)
    assert answer.status == 200
    rows = answer.json
    assert [row["verdict"] != "" for row in rows] == [True, *[False] * 7]
    errors = {row["image"]: row["error"] for row in rows}
    assert errors["empty.png"] == "is empty (0 bytes); send it again"
    assert errors["bomb.png"] == "has 1000 megapixels, more than the 100 that are allowed; cut it into tiles"
    assert errors["large.png"].startswith("has 121 megapixels")
    assert "every pixel is 7" in errors["grey.png"]
    assert "passwd" in errors  # the name of a file, without its folders
    assert all(row["error"] for row in rows[1:])


def named(**fields: str) -> tuple[bytes, dict[str, str]]:
    """Write a form with an image and further fields, and the header that names its type."""
    body, sort = form([("a.png", png(layer(1)))])
    mark = sort.partition("boundary=")[2]
    more = "".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()
    )
    return more.encode() + body, {"Content-Type": sort}


def test_requests_that_mean_nothing_are_refused_in_a_sentence(server: Running) -> None:
    for answer, status, text in (
        (server.ask("POST", "/predict"), 422, "Expected a form with images"),
        (
            server.ask("POST", "/predict", b"x", {"Content-Type": "multipart/form-data; boundary=y"}),
            400,
            "Expected a multipart form",
        ),
        (server.predict([("a.png", png(layer(1)))], "?kind=other"), 404, "Expected kind to be empty"),
        (
            server.ask("POST", "/predict", b"{}", {"Content-Type": "application/json"}),
            422,
            "Expected a form with images",
        ),
        (server.ask("POST", "/predict?model=one", *named(model="two")), 409, "Expected one model, but found 'one' in"),
        (server.ask("POST", "/predict", *named(model="two")), 404, "Expected model to be one of"),
        (server.ask("POST", "/predict", *named(kind="two")), 404, "Expected kind to be empty"),
        (server.get("/predict"), 405, "Expected another method at /predict, but found GET"),
        (server.get("/nothing"), 404, "Expected a path of this server"),
        (server.get("/health", Host="evil.example"), 403, "Expected a request to this machine by its own name"),
        (server.get("/health", Origin="https://evil.example"), 403, "Expected a request from this page itself"),
    ):
        assert answer.status == status, answer.body
        assert answer.json["error"].startswith(text)
        assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_every_answer_forbids_other_hosts(server: Running) -> None:
    for path in ("/health", "/models", "/metrics", "/openapi.json", "/nothing"):
        headers = server.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
    assert server.get("/docs").status == 404


def test_limits_hold(bundle: Path, tmp_path: Path) -> None:
    small = ("max_files=3", "max_file_mb=0.01", "max_request_mb=0.05", "timeout=1.5")
    with serving(tmp_path / "small", f"bundle={bundle}", *small) as server:
        image = png(layer(1))
        assert len(image) < 10_000
        four = server.predict([("a.png", image)] * 4)
        assert (four.status, four.json["error"][:24]) == (413, "Expected at most 3 files")
        (row,) = server.predict([("a.png", image + bytes(9_000))]).json
        assert row["error"] == "has more than 0.01 MB; send a smaller file"
        assert server.predict([("a.png", bytes(60_000))]).status == 413
        unsaid = drip(server, form([("a.png", bytes(60_000))])[0], pause=0.0, said=False)  # says nothing of its length
        assert unsaid.startswith(b"HTTP/1.1 413")
        slow = drip(server, form([("a.png", image)])[0], pause=0.05)
        assert slow.startswith(b"HTTP/1.1 408")
        assert server.get("/health").json["status"] == "ok"
        assert [path for path in server.temporary.iterdir() if path.name != OTHERS] == []


def drip(server: Running, body: bytes, pause: float, *, said: bool = True) -> bytes:
    """Send a body in small pieces; return what comes back."""
    mark = body.split(b"\r\n", 1)[0][2:].decode()
    length = f"Content-Length: {len(body)}" if said else "Transfer-Encoding: chunked"
    sort = f"Content-Type: multipart/form-data; boundary={mark}"
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n{sort}\r\n{length}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        step = 100 if pause else 10_000
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            try:
                connection.sendall(piece if said else b"%x\r\n%s\r\n" % (len(piece), piece))
            except OSError:
                break
            time.sleep(pause)
            if start > 2 * step and _answered(connection):
                break
        connection.settimeout(20)
        try:
            return connection.recv(4096)
        except ConnectionResetError:
            return b""


def _answered(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        connection.setblocking(True)


def test_more_than_may_wait_is_refused_with_429(bundle: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "narrow", f"bundle={bundle}", "waiting=4") as server:
        start = threading.Barrier(40)

        def send(seed: int) -> Answered:
            start.wait()
            return server.predict([(f"{seed}.png", png(layer(seed)))])

        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(send, range(40)))
        refused = [answer for answer in answers if answer.status == 429]
        assert refused
        assert all(answer.headers["retry-after"] == "1" for answer in refused)
        assert all(answer.status in {200, 429} for answer in answers)
        assert any(answer.status == 200 for answer in answers)
        assert server.predict([("a.png", png(layer(1)))]).status == 200  # and then there is room again


def test_others_are_asked_for_a_token(bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", f"bundle={bundle}", "host=0.0.0.0"]) == 2
    assert "Expected a token, since host=0.0.0.0 lets other machines in" in capfd.readouterr().err
    with serving(tmp_path / "open", f"bundle={bundle}", "host=0.0.0.0", "token=open-sesame") as server:
        image = [("a.png", png(layer(1)))]
        assert server.get("/health", Host="loupe.example").status == 200
        for path in ("/models", "/metrics", "/openapi.json"):
            assert server.get(path).status == 401
        assert server.predict(image).status == 401
        assert server.predict(image, Authorization="Bearer open-sesam").status == 401
        assert server.predict(image, Authorization="Bearer open-sesame").status == 200
        assert "open-sesame" not in server.log.read_text()


def test_images_are_kept_only_where_that_was_asked_for(
    server: Running, bundle: Path, layers: list[Path], tmp_path: Path
) -> None:
    files = [(path.name, path.read_bytes()) for path in layers[:3]] + [("large.bmp", bytes(3 << 20))]
    server.predict(files)
    assert [path for path in server.temporary.rglob("*") if path.name != OTHERS] == []
    kept = tmp_path / "kept"
    with serving(tmp_path / "keeping", f"bundle={bundle}", f"keep={kept}") as keeping:
        answer = keeping.predict(files)
    lines = [json.loads(line) for line in (kept / "verdicts.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == [name for name, _ in files]
    assert [line["score"] for line in lines] == [row["score"] for row in answer.json]
    assert [bool(line["file"]) for line in lines] == [True, True, True, False]
    assert kept.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in kept.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ending_under_load_gives_no_half_answers(bundle: Path, tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "ending", f"bundle={bundle}") as server:
        whole, lost, wrong = [0], [0], [0]
        going = threading.Event()

        def send(first: int) -> None:
            for seed in range(first, first + 10_000):
                try:
                    answer = server.predict([(f"{seed}.png", png(layer(seed)))] * 3)
                except (OSError, http.client.HTTPException):  # refused, or broken off where the client can tell
                    lost[0] += 1
                    return
                if answer.status == 200:
                    whole[0] += len(answer.json) == 3
                    wrong[0] += len(answer.json) != 3
                if whole[0] > 20:
                    going.set()

        threads = [threading.Thread(target=send, args=(10_000 * index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        assert going.wait(60)
        server.process.send_signal(number)
        for thread in threads:
            thread.join(60)
        status = server.process.wait(60)
        assert wrong == [0]
        assert lost == [8]
        if number == signal.SIGTERM:
            assert status == 0
            assert server.process.stdout is not None
            assert "everything that was taken has been answered" in server.process.stdout.read()
            began = [line for line in server.logged() if line["path"] == "/predict"]
            assert {line["status"] for line in began} <= {200, 499, 503}
            assert sum(line["status"] == 200 for line in began) == whole[0]
    with serving(tmp_path / "again", f"bundle={bundle}") as again:
        assert again.predict([("a.png", png(layer(1)))]).status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="reads what a process has mapped from /proc")
def test_bundles_are_served_without_torch(server: Running) -> None:
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "libtorch" not in mapped
    assert "onnxruntime" in mapped


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ((), "Expected run= or bundle=, but found neither"),
        (("run=x", "port=70000"), "Expected port to be from 0 to 65535"),
        (("run=x", "batch_size=0"), "Expected batch_size to be above 0"),
        (("run=x", "token=short"), "Expected token to have at least 8 characters"),
        (("run=x", "prot=1"), "did you mean 'port'?"),
        (("bundle=nowhere",), "nowhere"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    keys: tuple[str, ...], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *keys]) == 2
    assert text in capfd.readouterr().err


def test_an_address_that_is_taken_is_named(server: Running, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", f"bundle={bundle}", f"port={server.port}"]) == 2
    assert f"127.0.0.1:{server.port}" in capfd.readouterr().err


def test_small_answers_do_not_wait_for_acknowledgements() -> None:
    with open_socket("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP  # by which asyncio tells that it may send at once
