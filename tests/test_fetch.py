"""Downloads against a server on this machine that breaks off, refuses, lies, or cannot go on in the middle."""

from __future__ import annotations

import argparse
import errno
import hashlib
import io
import json
import re
import shutil
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import rsnb
from rsnb.data import fetch
from rsnb.data.fetch import fetch_arguments, fetch_command
from rsnb.errors import RsnbError

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
SUM = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if server.answers:
            return self.send_error(server.answers.pop(0))
        path = self.path
        if "/resolve/" in path:  # as the hub does: the sum, and the storage behind it
            self.send_response(302)
            self.send_header("Location", "/" + path.rsplit("/", 1)[1])
            self.send_header("X-Repo-Commit", path.split("/resolve/")[1].split("/")[0])
            self.send_header("X-Linked-Etag", f'"{server.stated}"')
            return self.end_headers()
        if path not in server.files:
            return self.send_error(404)
        content = server.files[path]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "") if server.ranges else None
        start = int(asked[1]) if asked else 0
        self.send_response(200 if not asked else 206 if start < len(content) else 416)
        if asked:
            span = f"{start}-{len(content) - 1}" if start < len(content) else "*"
            self.send_header("Content-Range", f"bytes {span}/{len(content)}")
        if server.lengths:
            self.send_header("Content-Length", str(max(len(content) - start, 0)))
        self.end_headers()
        self.wfile.write(content[start : start + server.cuts.pop(0) if server.cuts else None])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "WAIT", 0.0)
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.files, found.asked, found.cuts, found.answers = {"/file": CONTENT}, [], [], []
    found.ranges, found.lengths, found.stated = True, True, SUM
    found.url = f"http://127.0.0.1:{found.server_port}"
    threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def file(server) -> fetch.File:
    return fetch.File("file", 1.0, f"{server.url}/file", SUM)


def silent(line):
    pass


def test_a_file_arrives_whole_with_its_sum(server, file, tmp_path):
    folder = tmp_path / "new"
    assert fetch.download(file, folder, silent) == (SUM, "the pinned sum")
    assert (folder / "file").read_bytes() == CONTENT and [p.name for p in folder.iterdir()] == ["file"]
    assert fetch.download(file, folder, silent)[1] == "the pinned sum"
    assert len(server.asked) == 1, "a file that is there was fetched again"
    unpinned = replace(file, sha256=None)
    assert fetch.download(unpinned, tmp_path, silent) == (SUM, "nothing (no sum is known)")


def test_goes_on_where_the_connection_broke(server, file, tmp_path):
    server.cuts = [300_000, 1, 400_000]
    said = []
    fetch.download(file, tmp_path, said.append)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=300001-", "bytes=700001-"]
    assert "ended at 0.3 of 1.0 MB" in said[0] and len(said) == 3


@pytest.mark.parametrize(
    "part, asked",
    [
        (CONTENT[:500_000], ["bytes=500000-"]),
        (CONTENT, ["bytes=1024000-"]),  # complete already
        (CONTENT + b"more", ["bytes=1024004-", None]),
    ],
)
def test_goes_on_in_another_run(server, file, tmp_path, part, asked):
    (tmp_path / "file.part").write_bytes(part)
    assert fetch.download(file, tmp_path, silent)[0] == SUM
    assert server.asked == asked and (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_cannot_go_on_in_the_middle(server, file, tmp_path):
    server.ranges = False
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    said = []
    fetch.download(file, tmp_path, said.append)
    assert (tmp_path / "file").read_bytes() == CONTENT and "starting anew" in said[0]


def test_busy_servers_are_asked_again_and_broken_ones_given_up(server, file, tmp_path):
    server.answers = [503, 429]
    fetch.download(file, tmp_path, silent)
    assert len(server.asked) == 3
    server.answers = [500] * 9
    with pytest.raises(RsnbError, match="answered 500, 5 times without progress"):
        fetch.download(file, tmp_path / "other", silent)
    server.answers, server.cuts = [], [10, 0, 0, 0, 0, 0]
    with pytest.raises(RsnbError, match="start the same command again later, it goes on at 0.0 MB"):
        fetch.download(file, tmp_path / "third", silent)
    assert (tmp_path / "third" / "file.part").read_bytes() == CONTENT[:10]


def test_another_sum_is_no_file(server, file, tmp_path):
    with pytest.raises(RsnbError, match="it was deleted"):
        fetch.download(replace(file, sha256="0" * 64), tmp_path, silent)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(RsnbError, match="move it away"):
        fetch.download(file, tmp_path, silent)
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("lengths", [True, False])
def test_a_stream_without_end_is_left(server, file, tmp_path, lengths):
    server.files["/file"], server.lengths = CONTENT * 10, lengths
    with pytest.raises(RsnbError, match="more than the 1.0 MB"):
        fetch.download(file, tmp_path, silent)
    assert list(tmp_path.iterdir()) == []


def test_never_from_https_to_http():
    request = fetch.urllib.request.Request("https://example.org/file")
    with pytest.raises(RsnbError, match="not encrypted"):
        fetch._Redirects().redirect_request(request, None, 302, "", {}, "http://example.org/file")


def test_a_full_disk(server, file, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(RsnbError, match=r"is full \(1 MB are to come, 0 MB are free\).*--out"):
        fetch.download(file, tmp_path, silent)
    monkeypatch.undo()

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "_length", full)
    with pytest.raises(RsnbError, match="Make room"):
        fetch.download(file, tmp_path, silent)


def test_what_cannot_be_had(server, file, tmp_path):
    with pytest.raises(RsnbError, match="answered 404.*data/README.md"):
        fetch.download(replace(file, url=f"{server.url}/gone"), tmp_path, silent)
    server.answers = [401]
    with pytest.raises(RsnbError, match="answered 401.*log in with a browser.*put it at .*file"):
        fetch.download(file, tmp_path, silent)
    with pytest.raises(RsnbError, match="nowhere.invalid cannot be reached.*put it at .*file"):
        fetch.download(replace(file, url="https://nowhere.invalid/file"), tmp_path, silent)
    (tmp_path / "busy").write_text("a file, no folder")
    with pytest.raises(RsnbError, match="take another folder with --out"):
        fetch.download(file, tmp_path / "busy", silent)


# --- the table --------------------------------------------------------------------------------------------------
def command(*words):
    parser = argparse.ArgumentParser()
    fetch_arguments(parser)
    return fetch_command(parser.parse_args(list(words)))


def test_every_source_says_where_how_large_and_under_which_terms():
    assert {"vit-b-32", "rsicd", "rsitmd", "ucm"} <= set(fetch.SOURCES)
    for name, source in fetch.SOURCES.items():
        assert source.place.startswith("https://") and len(source.terms) > 20 and source.then.startswith("rsnb "), name
        assert source.files or len(source.by_hand) > 200, name
        for file in source.files:
            assert file.url.startswith("https://") and file.megabytes > 0 and "/" not in file.name
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.sha256 or file.url.startswith(fetch.HUB), "no sum, and no hub to state one"
            assert "/main/" not in file.url, "not pinned to a revision"


def test_what_open_clip_would_load_is_what_is_pinned():
    from open_clip import pretrained

    known = pretrained.get_pretrained_cfg("ViT-B-32-quickgelu", "openai")
    hub, own = fetch.SOURCES["vit-b-32"].files[0], fetch.SOURCES["vit-b-32-pt"].files[0]
    assert known["hf_hub"].strip("/") in hub.url and hub.url.endswith(".safetensors")
    assert known["url"] == own.url and own.sha256 == own.url.split("/")[-2]
    assert hub.megabytes * 1e6 == pytest.approx(4 * 151_277_313, rel=0.001)  # fp32, no more than the numbers


def test_the_captions_of_ucm_are_those_that_the_tests_run_on(shared_data):
    for file in fetch.SOURCES["ucm"].files[1:]:
        assert fetch.sha256_of(shared_data / "ucm_precomp" / file.name) == file.sha256


def test_the_list(tmp_path, capsys):
    assert command("--out", str(tmp_path)) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in fetch.SOURCES) and "by hand" in said and str(tmp_path) in said
    assert command("--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["rsitmd"]["how"] == "by hand" and rows["vit-b-32"]["checksum"] == "pinned"
    assert rows["rsicd"]["checksum"] == "the hub's word" and not rows["ucm"]["here"]


def test_names(tmp_path, capsys):
    with pytest.raises(RsnbError, match="nothing to fetch is called 'coco'; there are vit-b-32"):
        command("coco", "--out", str(tmp_path))
    assert command("rsitmd", "--out", str(tmp_path)) == 1, "nothing came by itself"
    said = capsys.readouterr().out
    assert "drive.google.com" in said and f"rsnb data rsitmd --root {tmp_path.as_posix()}/rsitmd" in said


def test_rsicd_through_a_mirror_of_the_hub(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
    monkeypatch.setitem(
        fetch.SOURCES, "rsicd", replace(fetch.SOURCES["rsicd"], files=fetch.SOURCES["rsicd"].files[1:2])
    )
    (server.files["/valid-00000-of-00001.parquet"],) = server.files.values()
    server.cuts = [300_000]
    assert command("rsicd", "--out", str(tmp_path), "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["files"]
    assert found["sha256"] == SUM and found["checked"] == "the sum that the hub states"
    assert server.asked == [None, None, "bytes=300000-", "bytes=300000-"]  # hub and storage, twice
    server.stated = "0" * 64  # the storage behind the hub gives something else
    with pytest.raises(RsnbError, match="it was deleted"):
        command("rsicd", "--out", str(tmp_path / "other"))
    assert list((tmp_path / "other" / "rsicd").iterdir()) == []


def test_ucm_from_the_command_to_the_data_set(server, tmp_path, monkeypatch, capsys):
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (10, 90, 30)).save(picture, "TIFF")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("agricultural/agricultural00", "agricultural/agricultural80", "airplane/airplane00"):
            file.writestr(f"UCMerced_LandUse/Images/{name}.tif", picture.getvalue())
        file.writestr("../outside.tif", picture.getvalue())
        file.writestr("UCMerced_LandUse/readme.txt", "hello")
    contents = {
        "UCMerced_LandUse.zip": archive.getvalue(),
        "train_filename.txt": b"1.tif\n101.tif\n",
        "train_caps.txt": b"a field .\na farm .\na plane .\na jet .\n",
        "test_filename.txt": b"81.tif\n81.tif\n",
        "test_caps.txt": b"green land .\na meadow .\n",
    }
    real, files = fetch.SOURCES["ucm"], []
    for file in real.files:
        content = contents[file.name]
        server.files[f"/{file.name}"] = content
        sha256 = hashlib.sha256(content).hexdigest()
        files.append(replace(file, url=f"{server.url}/{file.name}", sha256=sha256))
    monkeypatch.setitem(fetch.SOURCES, "ucm", replace(real, files=tuple(files)))
    assert command("ucm", "--out", str(tmp_path / "sets")) == 0
    root = tmp_path / "sets" / "ucm"
    assert f"next: rsnb data ucm --root {root.as_posix()}" in capsys.readouterr().out
    found = rsnb.load_dataset("ucm", "all", root=root)
    assert found.layout == "ucm_folders" and found.labels == ["agricultural", "airplane", "agricultural"]
    assert not (tmp_path / "sets" / "outside.tif").exists() and not (tmp_path / "outside.tif").exists()
    assert command("ucm", "--out", str(tmp_path / "sets"), "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert len(server.asked) == 5 and {f["checked"] for f in again["files"]} == {"the pinned sum"}


def test_an_archive_that_is_none(tmp_path):
    (tmp_path / "set.zip").write_bytes(b"no zip")
    with pytest.raises(RsnbError, match="cannot be unpacked.*delete it and fetch it again"):
        fetch.unpack(tmp_path / "set.zip", tmp_path, silent)
    assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]
