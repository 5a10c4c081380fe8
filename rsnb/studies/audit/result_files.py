"""The committed result files of the audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rsnb.base import paths
from rsnb.base.files import write_text
from rsnb.errors import RsnbError
from rsnb.studies.runs import result_head


# --- result files and the command --------------------------------------------------------------------------------
def read_audit(name: str) -> dict[str, Any] | None:
    """A committed result file, "audit" or "best-epoch"; None where there is none."""
    path = paths.results_dir() / f"{name}.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["sets" if name == "audit" else "trainings"]
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise RsnbError(f"{path} is not a result file of rsnb audit ({error!r}); remove or renew it") from None


def install_audit(name: str, what: str, command: str, stamp: str, numbers: Mapping[str, Any]) -> None:
    """Write a result file with all that says where it comes from."""

    text = _compact({**result_head(what, command, stamp), **numbers})
    write_text(paths.results_dir() / f"{name}.json", text)


def _compact(found: Mapping[str, Any]) -> str:
    """JSON with one line a field, and one per run."""
    lines = []
    for key, value in found.items():
        body = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list):
            body = "[\n  " + ",\n  ".join(json.dumps(_short(item), ensure_ascii=False) for item in value) + "\n ]"
        lines.append(f" {json.dumps(key)}: {body}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _short(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value
