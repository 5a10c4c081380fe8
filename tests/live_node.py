"""The live parts of the site under Node: their sources joined as on the site, and a program that uses them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from rsnb.publishing.live.pages import script

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed: the live parts are not run")


def run_node(program: str, given: Any = None, seconds: int = 600) -> Any:
    """What ``program``, the body of an async function of ``rsnb`` and ``given``, returns; both ways as JSON."""
    whole = (
        f"const rsnb = (() => {{ {script()}\nreturn rsnb; }})();\n"
        f"(async (given) => {{ {program} }})(JSON.parse(require('fs').readFileSync(0, 'utf-8')))"
        ".then((value) => console.log(JSON.stringify(value ?? null)));"
    )
    done = subprocess.run(
        [NODE, "-e", whole], input=json.dumps(given), capture_output=True, text=True, encoding="utf-8", timeout=seconds
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
