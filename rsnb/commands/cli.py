"""The ``rsnb`` command. Nothing heavy is imported before a command runs, so ``--help`` answers at once."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import json
import os
import sys
import textwrap
import warnings

from rsnb import __version__, studies
from rsnb.base import offline
from rsnb.base.terminal import stream_of, width_of, wrapped
from rsnb.base.text import plain
from rsnb.errors import RsnbError, RsnbWarning

#: command: (what it does, its module, examples). The module of `rsnb train` has train_arguments(parser) and
#: train_command(args), which returns the exit status if that is not 0.
COMMANDS = {
    "run": (
        "execute the notebooks and collect their results",
        "rsnb.commands.run",
        "rsnb run\n"
        "rsnb run --only 3,4 --seed 1\n"
        "rsnb run --data ucm --root ../ucm_precomp\n"
        "rsnb run --data rsitmd --root ../rsitmd --backbone ViT-B-32-quickgelu --pretrained openai",
    ),
    "doctor": ("check this machine, and say what to repair", "rsnb.commands.doctor", "rsnb doctor\nrsnb doctor --json"),
    "fetch": (
        "get the pretrained weights and the real data sets, resumable, with checksums",
        "rsnb.data.fetch",
        "rsnb fetch\nrsnb fetch vit-b-32\nrsnb fetch rsicd --out ../data",
    ),
    "data": (
        "count a data set and list its defects",
        "rsnb.commands.data",
        "rsnb data\nrsnb data ucm --root ../ucm_precomp\nrsnb data ../my_captions.csv --no-images --json",
    ),
    "train": (
        "train one method on one data set",
        "rsnb.commands.model",
        "rsnb train\n"
        "rsnb train --method mrs --set bottleneck=32 --epochs 10\n"
        "rsnb train --data ucm --root ../ucm_precomp --backbone ViT-B-32-quickgelu --pretrained openai",
    ),
    "evaluate": (
        "retrieval figures of an adapter, or of CLIP as it is",
        "rsnb.commands.model",
        "rsnb evaluate\nrsnb evaluate --adapter runs/toy-mini-mrs-seed0/adapter.safetensors --json",
    ),
    "search": (
        "find images or tiles for a sentence, or captions for an image",
        "rsnb.commands.search",
        'rsnb search "two white boats in a harbor" --adapter toy\n'
        "rsnb search --image photo.jpg --k 3\n"
        'rsnb search --index tiles.index "a long runway" --out hits.html\n'
        'rsnb search "a long runway" --data ucm --root ../ucm_precomp --json',
    ),
    "index": (
        "index a folder of your own tiles, to be searched; only what is new or changed is encoded",
        "rsnb.commands.tiles",
        "rsnb index ../tiles --out tiles.index --adapter toy\n"
        "rsnb index ../scene.tif --tile 256 --overlap 32\nrsnb index ../items.json --asset visual",
    ),
    "label": (
        "the most probable of some classes for every tile of an index, by words alone",
        "rsnb.commands.tiles",
        "rsnb label --index tiles.index --classes classes.txt --out labels.csv",
    ),
    "dedupe": (
        "pairs of tiles of an index that are nearly equal",
        "rsnb.commands.tiles",
        "rsnb dedupe --index tiles.index --least 0.99",
    ),
    "exercises": (
        "the exercises, and what their checkers say to right and wrong answers",
        "rsnb.classroom.exercises.table",
        "rsnb exercises --lesson 3\nrsnb exercises --check",
    ),
    "grade": (
        "judge a folder of students' notebooks: a table of verdicts",
        "rsnb.publishing.grading",
        "rsnb grade handed_in\nrsnb grade handed_in --out verdicts --seed 1",
    ),
    "lab": (
        "open JupyterLab on a working copy of the lessons, at a page that shows what comes next",
        "rsnb.publishing.start",
        "rsnb lab\nrsnb lab --dir ../course --flavour homework\nrsnb lab -- --no-browser --port=9999",
    ),
    "notebooks": (
        "copy the notebooks out of the package, to work in",
        "rsnb.publishing.handout",
        "rsnb notebooks ../course\nrsnb notebooks ../solved --flavour solutions",
    ),
    "figures": (
        "run the notebooks and keep their figures in high resolution, for slides",
        "rsnb.publishing.slides",
        "rsnb figures\nrsnb figures --only 2,4 --out ../slides --dpi 300",
    ),
    "pack": (
        "fill a USB stick: rsnb, everything it needs, and the notebooks, to install without a network",
        "rsnb.publishing.stick",
        "rsnb pack ../stick\nrsnb pack ../stick --systems windows,macos,linux --python 3.12\n"
        "rsnb pack ../stick --dry-run",
    ),
    "site": (
        "the notebooks as a book of HTML pages, with search, and a check of its links",
        "rsnb.publishing.site",
        "rsnb site\nrsnb site --notebooks outputs --out outputs/site\nrsnb site --check",
    ),
    "benchmark": (
        "train and compare the methods over several seeds",
        studies.COMMANDS["benchmark"],
        "rsnb benchmark --methods mrs,full --seeds 1 --dry-run\nrsnb benchmark --data ucm --root ../ucm_precomp",
    ),
    "ablate": (
        "vary any field of a run over seeds, and say what the differences are worth",
        studies.COMMANDS["ablate"],
        "rsnb ablate --vary adapter.bottleneck=8,16,32,64 --vary loss.intra_image=0,1 --seeds 3\n"
        "rsnb ablate --study loss,margin --seeds 3\nrsnb ablate --study all --dry-run",
    ),
    "reproduce": (
        "rows of the paper's table with its settings: ours, the paper's, the difference",
        studies.COMMANDS["reproduce"],
        "rsnb reproduce --data ucm --root ../ucm_precomp --pretrained openai --methods zero_shot,mrs --dry-run\n"
        "rsnb reproduce --data ucm --root ../ucm_precomp --pretrained openai --methods zero_shot,mrs --seeds 3",
    ),
    "audit": (
        "check the paper's printed numbers, and say what could explain those that do not add up",
        studies.COMMANDS["audit"],
        "rsnb audit\nrsnb audit --root ../data\nrsnb audit --part best-epoch --seeds 3",
    ),
    "composed": (
        "an image plus a few words as the query: recall against the weight of the words",
        studies.COMMANDS["composed"],
        "rsnb composed\nrsnb composed --data ucm --root ../ucm_precomp",
    ),
    "beyond": (
        "a better recipe within the paper's budget: each part of it tried, and what it is worth",
        studies.COMMANDS["beyond"],
        "rsnb beyond --study added\nrsnb beyond --dry-run",
    ),
    "precision": (
        "search in a folder of real images, by words and by images: how many of the first ten are right",
        studies.COMMANDS["precision"],
        "rsnb precision\nrsnb precision --root ../ucm_precomp",
    ),
    "results": (
        "every committed result: did this code make it, and with which command; remake one and compare",
        "rsnb.publishing.listed",
        "rsnb results\nrsnb results --stale\nrsnb results --verify ablations/loss --confirm\nrsnb results --check",
    ),
    "bench": (
        "time and memory against the method as published, measured in turn",
        studies.COMMANDS["bench"],
        "rsnb bench --parts step,memory\nrsnb bench --captions ../captions.txt --out outputs/speed.json",
    ),
    "pretrain": ("pre-train the mini CLIP on the drawn web world", "rsnb.worlds.pretrain", "rsnb pretrain --install"),
    "toy": (
        "redraw the toy world, or check the copy that is there",
        "rsnb.commands.data",
        "rsnb toy --check\nrsnb toy --workers 2\nrsnb toy --seed 7 --out ../another_world",
    ),
    "completion": (
        "a script that completes commands and options in a shell",
        "rsnb.commands.completion",
        "rsnb completion bash >> ~/.bashrc\nrsnb completion zsh",
    ),
}
GROUPS = {
    "Start here": ("doctor", "run", "lab", "notebooks"),
    "Data and weights": ("data", "fetch", "toy", "pretrain"),
    "Train and look": ("train", "evaluate", "search"),
    "Your own tiles": ("index", "label", "dedupe"),
    "Studies": ("ablate", "benchmark", "beyond", "composed", "precision", "reproduce", "audit", "bench"),
    "The classroom": ("exercises", "grade", "figures", "pack", "site"),
    "Results and the shell": ("results", "completion"),
}


EVERY = "every command"  # in the place of a chosen one


def example(line: str) -> str:
    """A command, indented; a long one goes on in the next line as a shell takes it."""
    found = textwrap.wrap(line, 62, break_long_words=False, break_on_hyphens=False)
    return " \\\n".join(("  " if not n else "      ") + part for n, part in enumerate(found))


def grouped() -> str:
    """All commands by what they are for, each with its first example."""
    lines = ["`rsnb COMMAND --help` explains a command and shows more examples."]
    for title, names in GROUPS.items():
        lines += ["", f"{title}:"]
        for name in names:
            what, _, examples = COMMANDS[name]
            lines += textwrap.wrap(f"{name:11} {what}", 78, initial_indent="  ", subsequent_indent=" " * 14)
            lines.append(textwrap.indent(example(examples.splitlines()[0]), " " * 12))
    return "\n".join(lines)


def functions_of(name: str, module: str):
    """The two functions of a command: for its arguments, and to run it."""
    found = importlib.import_module(module)
    return getattr(found, f"{name}_arguments"), getattr(found, f"{name}_command")


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser. Only the chosen command is filled in, so that only its module is imported."""
    parser = argparse.ArgumentParser(
        prog="rsnb",
        usage="rsnb COMMAND [options]",
        description="Parameter-efficient transfer learning for remote sensing image-text\nretrieval, as notebooks.",
        epilog=grouped(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rsnb {__version__}")
    subs = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, help=None if chosen == EVERY else argparse.SUPPRESS
    )
    for name, (what, module, examples) in COMMANDS.items():
        sub = subs.add_parser(
            name,
            prog=f"rsnb {name}",
            description=textwrap.fill(what[0].upper() + what[1:] + ".", 78),
            **({"help": what} if chosen == EVERY else {}),  # else they are listed by group
            epilog="examples:\n" + "\n".join(map(example, examples.splitlines())),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if chosen in (name, EVERY):
            add_arguments, action = functions_of(name, module)
            add_arguments(sub)
            sub.set_defaults(action=action)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns 0, 1 (it ran and found or met a failure), 2 (bad input), or 130 (interrupted)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    offline.block_if_asked()
    out, shown = sys.stdout, warnings.showwarning
    for stream in (sys.stdout, sys.stderr):  # a Windows console of another code page must not stop a command
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        if _working_folder() is None:  # before libraries stumble over it
            raise RsnbError("the folder in which this was started is gone; change to another one")
        chosen = next((word for word in argv if not word.startswith("-")), None)
        try:
            parser = build_parser(chosen)
            args, left = parser.parse_known_args(argv)
            if left:
                words = "" if any(word.startswith("-") for word in left) else "; several words need quotes around them"
                parser.error(f"unrecognized arguments: {' '.join(left)}{words}")
        except SystemExit:  # --help and --version have printed
            if out is not None:
                out.flush()
            raise
        warnings.showwarning = _one_line(shown)
        sys.stdout = stream_of(out or open(os.devnull, "w"), as_it_is="--json" in argv)  # noqa: SIM115  (None: closed)
        code = args.action(args)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except RsnbError as error:
        if "--json" in argv:
            print(json.dumps({"error": str(error)}))
        return _failed(str(error))
    except KeyboardInterrupt:
        print("\nrsnb: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return 0
    except OSError as error:
        about = f"{error.filename}: " if error.filename is not None else ""
        if error.errno == errno.ENOSPC and error.filename is None:  # nor can what is left in the buffer
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            about = "the output cannot be written: "
        return _failed(f"{about}{error.strerror or error}", 1)
    except Exception as error:
        if error.__class__.__name__ not in ("OutOfMemoryError",) and "not enough memory" not in str(error):
            raise
        return _failed("out of memory; try --batch-size 16, --limit 500 or --device cpu", 1)
    finally:
        sys.stdout, warnings.showwarning = out, shown


def _failed(reason: str, code: int = 2) -> int:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        print(_shown(f"rsnb: {plain(reason)}"), file=sys.stderr)
    return code


def _shown(line: str) -> str:
    """A line for the error stream, as wide as the window."""
    width = width_of(sys.stderr)
    return line if width is None else "\n".join(wrapped(part, width) for part in line.split("\n"))


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _one_line(otherwise):
    def show(message, category, filename, lineno, file=None, line=None):
        if issubclass(category, RsnbWarning):
            print(_shown(f"rsnb: warning: {plain(str(message))}"), file=sys.stderr)
        else:
            otherwise(message, category, filename, lineno, file, line)

    return show


if __name__ == "__main__":
    sys.exit(main())
