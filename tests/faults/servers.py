"""Servers that `rsnb fetch` talks to, and the archives that come from them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .box import Box, Case, Seen, orderly, refused

ANSWERS, ARCHIVES = "a server's answer is checked before it is kept", "a damaged archive is named, and leads nowhere"
PLACES = "nothing is written through a link"
Answer = Callable[[BaseHTTPRequestHandler], None]
PARQUET = "rsicd/train-00000-of-00001.parquet"


@contextlib.contextmanager
def served(answer: Answer) -> Iterator[str]:
    """The address of a server on this machine that answers every question so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):  # the client has gone
                answer(self)
            self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, *given):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def impatient() -> None:
    """No waiting between attempts."""
    from rsnb.data import fetch

    fetch.WAIT, fetch.TIMEOUT = 0.0, 2.0


def fetched(answer: Answer, prepare: Callable[[Box], None] | None = None) -> Callable[[Box], Seen]:
    def run(box: Box) -> Seen:
        if prepare:
            prepare(box)
        with served(answer) as address:
            return box.command("fetch", "rsicd", "--out", "{out}", env={"HF_ENDPOINT": address}, before=impatient)

    return run


def says(code: int, body: bytes = b"", reason: str | None = None, **headers: str) -> Answer:
    """One answer; underscores of a header's name are hyphens, and its length is right unless it is given."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code, reason)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A body without an end and without a length."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(5000):
        handler.wfile.write(bytes(1 << 20))


def endless_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    for n in range(100_000):
        handler.send_header(f"X-{n}", "y" * 100)
        handler.flush_headers()


def silent(handler: BaseHTTPRequestHandler) -> None:
    threading.Event().wait(8)


def raw(text: bytes) -> Answer:
    return lambda handler: handler.wfile.write(text)


HTML = b"<!DOCTYPE html><html><body>Sign in to go on</body></html>"
SUM = hashlib.sha256(b"another file").hexdigest()
SAID: dict[str, Answer] = {
    "a page of HTML": says(200, HTML, Content_Type="text/html"),
    "a page of HTML of 10 MB": says(200, HTML * 200_000),
    "parquet by name, noise by content": says(200, os.urandom(5000)),
    "an empty body": says(200, b""),
    "204": says(204),
    "404": says(404, HTML),
    "401": says(401, HTML),
    "416": says(416),
    "500, again and again": says(500),
    "less than it said": says(200, b"PAR1" + bytes(1000), Content_Length="400000000"),
    "Content-Length: abc": says(200, b"PAR1" + bytes(1000), Content_Length="abc"),
    "Content-Length: -5": says(200, b"PAR1" + bytes(1000), Content_Length="-5"),
    "Content-Length: 10^30": says(200, b"PAR1" + bytes(1000), Content_Length="1" + "0" * 30),
    "another sum than it states": says(200, b"PAR1" + bytes(1000) + b"PAR1", X_Linked_Etag=f'"{SUM}"'),
    "gzip": says(200, b"\x1f\x8b" + bytes(1000), Content_Encoding="gzip"),
    "to file:///etc/passwd": says(302, Location="file:///etc/passwd"),
    "to another host": says(302, Location="http://192.0.2.1/x"),
    "to itself, for ever": says(302, Location="/again"),
    "to nothing": says(302),
    "a reason that a terminal obeys": says(403, b"", "\x1b[2Jowned"),
    "a Location that a terminal obeys": says(302, Location="gopher://x/\x1b[2J"),
    "no end": endless,
    "headers without end": endless_headers,
    "silence": silent,
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "half a line": raw(b"HTTP/1.1 2"),
    "a wrong range": says(206, b"PAR1" + bytes(100), Content_Range="bytes 7-8/9"),
}  # fmt: skip


def nothing_kept(box: Box, seen: Seen) -> None:
    """It is refused, and no file has its own name."""
    refused()(box, seen)
    assert not (box.out / PARQUET).exists(), "what came was kept under the file's own name"


# --- links ------------------------------------------------------------------------------------------------------
def linked(name: str) -> Callable[[Box], None]:
    """A link to the user's file lies where the file, or its part, is to be written."""

    def prepare(box: Box) -> None:
        place = box.out / f"{PARQUET}{name}"
        place.parent.mkdir(parents=True)
        place.symlink_to(box.data / "mine.txt")

    return prepare


def a_folder(name: str) -> Callable[[Box], None]:
    return lambda box: (box.out / f"{PARQUET}{name}").mkdir(parents=True)


def mine(box: Box) -> None:
    (box.data / "mine.txt").write_text("mine", encoding="utf-8")


# --- archives ---------------------------------------------------------------------------------------------------
def archive(write: Callable[[Box], bytes]) -> Callable[[Box], None]:
    return lambda box: (box.data / "images.zip").write_bytes(write(box))


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as sink:
        for name, body in entries.items():
            sink.writestr(name, body)
    return file.getvalue()


def patched(body: bytes, local: int, central: int, value: int) -> bytes:
    """Another 16-bit field in every header of a zip."""
    found = bytearray(body)
    for mark, at in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        place = found.find(mark)
        while place >= 0:
            found[place + at : place + at + 2] = struct.pack("<H", value)
            place = found.find(mark, place + 4)
    return bytes(found)


def zip_link(target: str) -> bytes:
    """An entry that is a symbolic link, as Unix writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as sink:
        info = zipfile.ZipInfo("link.tif")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        sink.writestr(info, target)
    return file.getvalue()


def unpacked(box: Box) -> Seen:
    def unpack() -> str:
        from rsnb.data import fetch

        return str(fetch.unpack(box.data / "images.zip", box.out, say=lambda line: None))

    box.out.mkdir()
    return box.call(unpack)


def inside(box: Box, seen: Seen) -> None:
    """Whatever it took out lies in its folder, is no link, and no file outside is written."""
    wild = [p for p in box.out.rglob("*") if p.is_symlink()]
    assert not wild, f"links were made: {wild}"
    around = {p.name for p in box.folder.iterdir()} | {p.name for p in box.work.iterdir()}
    assert not around & {"out.tif", "evil.tif"}, "a file was written outside"
    orderly(box, seen)


GOOD = {f"a{n}.tif": bytes(2000) for n in range(5)}
DAMAGED: dict[str, Callable[[Box], bytes]] = {
    "a page of HTML": lambda box: HTML,
    "an empty file": lambda box: b"",
    "cut off": lambda box: zipped(GOOD)[: box.rng.randrange(10, 300)],
    "encrypted": lambda box: patched(zipped(GOOD), 6, 8, 1),
    "an unknown method": lambda box: patched(zipped(GOOD), 8, 10, 97),
    "a wrong sum": lambda box: patched(zipped(GOOD), 14, 16, 9),
    "a bomb": lambda box: zipped({"a.tif": bytes(400 << 20)}),
    "no image": lambda box: zipped({"a.txt": b"x"}),
    "a file and a folder of one name": lambda box: zipped({"a.tif": b"x", "a.tif/b.tif": b"y"}),
}
LEADING = {
    "out by ..": lambda box: zipped({"../../out.tif": b"x", **GOOD}),
    "out by /": lambda box: zipped({f"{box.folder}/evil.tif": b"x", **GOOD}),
    "out by a backslash": lambda box: zipped({"..\\..\\out.tif": b"x", **GOOD}),
    "a link": lambda box: zip_link("/etc/passwd"),
}

CASES = [
    *(
        Case(ANSWERS, name, None, fetched(answer), nothing_kept, seconds=40, megabytes=900, slow=True)
        for name, answer in SAID.items()
    ),
    *(
        Case(
            PLACES,
            f"a link at the file{name}",
            mine,
            fetched(SAID["less than it said"], linked(name)),
            refused(),
            seconds=40,
        )
        for name in ("", ".part")
    ),
    *(
        Case(
            PLACES,
            f"a folder at the file{name}",
            None,
            fetched(SAID["less than it said"], a_folder(name)),
            refused(),
            seconds=40,
        )
        for name in ("", ".part")
    ),
    *(
        Case(ARCHIVES, name, archive(write), unpacked, refused(), megabytes=900, slow=name == "a bomb")
        for name, write in DAMAGED.items()
    ),
    *(Case(ARCHIVES, name, archive(write), unpacked, inside) for name, write in LEADING.items()),
]
