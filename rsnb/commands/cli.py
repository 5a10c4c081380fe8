"""The ``rsnb`` command. Nothing heavy is imported before a command runs, so ``--help`` answers at once."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import warnings

from rsnb import __version__
from rsnb.base import offline
from rsnb.commands.data import data, data_arguments, toy, toy_arguments
from rsnb.commands.doctor import doctor, doctor_arguments
from rsnb.commands.model import evaluate, evaluate_arguments, search, search_arguments, train, train_arguments
from rsnb.commands.run import run, run_arguments
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.publishing.handout import notebooks, notebooks_arguments
from rsnb.publishing.slides import figures, figures_arguments
from rsnb.publishing.stick import pack, pack_arguments

#: command: (what it does, function or module, examples). A module brings add_arguments(parser) and run(args).
COMMANDS = {
    "run": (
        "execute the notebooks and collect their results",
        run,
        "rsnb run\n"
        "rsnb run --only 3,4 --seed 1\n"
        "rsnb run --data ucm --root ../ucm_precomp\n"
        "rsnb run --data rsitmd --root ../rsitmd --backbone ViT-B-32-quickgelu --pretrained openai",
    ),
    "doctor": ("check this machine, and say what to repair", doctor, "rsnb doctor\nrsnb doctor --json"),
    "fetch": (
        "get the pretrained weights and the real data sets, resumable, with checksums",
        "rsnb.data.fetch",
        "rsnb fetch\nrsnb fetch vit-b-32\nrsnb fetch rsicd --out ../data",
    ),
    "data": (
        "count a data set and list its defects",
        data,
        "rsnb data\nrsnb data ucm --root ../ucm_precomp\nrsnb data ../my_captions.csv --no-images --json",
    ),
    "train": (
        "train one method on one data set",
        train,
        "rsnb train\n"
        "rsnb train --method mrs --set bottleneck=32 --epochs 10\n"
        "rsnb train --data ucm --root ../ucm_precomp --backbone ViT-B-32-quickgelu --pretrained openai",
    ),
    "evaluate": (
        "retrieval figures of an adapter, or of CLIP as it is",
        evaluate,
        "rsnb evaluate\nrsnb evaluate --adapter runs/toy-mini-mrs-seed0/adapter.safetensors --json",
    ),
    "search": (
        "find images for a sentence, or captions for an image",
        search,
        'rsnb search "two white boats in a harbor"\n'
        "rsnb search --image photo.jpg --k 3\n"
        'rsnb search "a long runway" --data ucm --root ../ucm_precomp --json',
    ),
    "exercises": (
        "the exercises, and what their checkers say to right and wrong answers",
        "rsnb.classroom.exercises.table",
        "rsnb exercises\nrsnb exercises --lesson 3",
    ),
    "notebooks": (
        "copy the notebooks out of the package, to work in",
        notebooks,
        "rsnb notebooks ../course\nrsnb notebooks ../solved --flavour solutions",
    ),
    "figures": (
        "run the notebooks and keep their figures in high resolution, for slides",
        figures,
        "rsnb figures\nrsnb figures --only 2,4 --out ../slides --dpi 300",
    ),
    "pack": (
        "fill a USB stick: rsnb, all it needs, and the notebooks, to install without a network",
        pack,
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
        "rsnb.studies.benchmark.grid",
        "rsnb benchmark --help",
    ),
    "ablate": (
        "vary any field of a run over seeds, and say what the differences are worth",
        "rsnb.studies.ablation.command",
        "rsnb ablate --vary adapter.bottleneck=8,16,32,64 --vary loss.intra_image=0,1 --seeds 3\n"
        "rsnb ablate --study loss,margin --seeds 3\nrsnb ablate --study all --dry-run",
    ),
    "reproduce": (
        "rows of the paper's table with its settings: ours, the paper's, the difference",
        "rsnb.studies.reproduction.cells",
        "rsnb reproduce --data ucm --root ../ucm_precomp --pretrained openai --methods zero_shot,mrs --dry-run\n"
        "rsnb reproduce --data ucm --root ../ucm_precomp --pretrained openai --methods zero_shot,mrs --seeds 3",
    ),
    "audit": (
        "check the paper's printed numbers, and say what can explain what does not add up",
        "rsnb.studies.audit.printed",
        "rsnb audit\nrsnb audit --root ../data\nrsnb audit --part best-epoch --seeds 3",
    ),
    "composed": (
        "an image plus a few words as the query: recall against the weight of the words",
        "rsnb.studies.composed.study",
        "rsnb composed\nrsnb composed --data ucm --root ../ucm_precomp",
    ),
    "results": (
        "list every committed result with its command; make one again and compare",
        "rsnb.publishing.results",
        "rsnb results\nrsnb results --verify ablations/loss --seeds 1\nrsnb results --check",
    ),
    "bench": (
        "time and memory against the method as published, in turn",
        "rsnb.studies.speed.measurements",
        "rsnb bench --parts step,memory\nrsnb bench --captions ../captions.txt --out benchmarks/results.json",
    ),
    "pretrain": ("pre-train the mini CLIP on the drawn web world", "rsnb.worlds.pretrain", "rsnb pretrain --install"),
    "toy": (
        "draw the toy world again, or check the copy that is there",
        toy,
        "rsnb toy --check\nrsnb toy --workers 2\nrsnb toy --seed 7 --out ../another_world",
    ),
}

ARGUMENTS = {
    "run": run_arguments,
    "doctor": doctor_arguments,
    "data": data_arguments,
    "train": train_arguments,
    "evaluate": evaluate_arguments,
    "search": search_arguments,
    "toy": toy_arguments,
    "notebooks": notebooks_arguments,
    "figures": figures_arguments,
    "pack": pack_arguments,
}


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser. A command that lives in another module is filled in only if it is the chosen one."""
    parser = argparse.ArgumentParser(
        prog="rsnb",
        description="Parameter-efficient transfer learning for remote sensing image-text retrieval, as notebooks.",
        epilog="Start with `rsnb doctor`, then `rsnb run`. `rsnb COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"rsnb {__version__}")
    subs = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (what, action, examples) in COMMANDS.items():
        sub = subs.add_parser(
            name,
            help=what,
            description=what[0].upper() + what[1:] + ".",
            epilog="examples:\n" + "".join(f"  {line}\n" for line in examples.splitlines()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if not isinstance(action, str):
            ARGUMENTS[name](sub)
        elif name == chosen:
            module = importlib.import_module(action)
            module.add_arguments(sub)
            action = module.run
        sub.set_defaults(action=action)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run a command. Returns 0, 1 (it ran and found or met a failure), 2 (bad input), or 130 (interrupted)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    offline.block_if_asked()
    for stream in (sys.stdout, sys.stderr):  # a Windows console of another code page must not stop a command
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    shown = warnings.showwarning
    try:
        chosen = next((word for word in argv if not word.startswith("-")), None)
        args = build_parser(chosen).parse_args(argv)
        warnings.showwarning = _one_line(shown)
        code = args.action(args)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except RsnbError as error:
        if "--json" in argv:
            print(json.dumps({"error": str(error)}))
        print(f"rsnb: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrsnb: interrupted; start again with the same command to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if error.__class__.__name__ not in ("OutOfMemoryError",) and "not enough memory" not in str(error):
            raise
        print("rsnb: out of memory; try --batch-size 16, --limit 500 or --device cpu", file=sys.stderr)
        return 1
    finally:
        warnings.showwarning = shown


def _one_line(otherwise):
    def show(message, category, filename, lineno, file=None, line=None):
        if issubclass(category, RsnbWarning):
            print(f"rsnb: warning: {message}", file=sys.stderr)
        else:
            otherwise(message, category, filename, lineno, file, line)

    return show


if __name__ == "__main__":
    sys.exit(main())
