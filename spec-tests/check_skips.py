#!/usr/bin/env python3
"""Checks spec-tests/expected_skips.txt against a validator that is not ours.

Each listed command must have a reason: its own module is refused by `wasm-tools validate` with the features the engine
has, or the module it acts on is, or one that this module imports from. Prints what has none and exits with 1.

    spec-tests/check_skips.py --suite SPEC_SUITE --wasm-tools WASM_TOOLS [--verbose] [FILE_PREFIX]
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What the engine has (wasm/features.def), as wasm-tools calls it.
SUPPORTED = "wasm2,-simd,threads,extended-const"


def read_list(path):
    """{file: [(first line, last line, feature)]}"""
    entries = {}
    for text in path.read_text().splitlines():
        if not text.strip() or text.startswith("#"):
            continue
        place, feature = text.rsplit(" ", 1)
        file, first, last = re.fullmatch(r"(.*?)(?::(\d+)(?:-(\d+))?)?", place).groups()
        lines = (int(first), int(last or first)) if first else (1, sys.maxsize)
        entries.setdefault(file, []).append((*lines, feature))
    return entries


class Script:
    """One .wast, through the bridge, and why each of its modules can't be run."""

    def __init__(self, tools, source, folder):
        self.tools, self.folder = tools, folder
        out = folder / "script.json"
        subprocess.run([tools, "json-from-wast", source, "-o", out, "--wasm-dir", folder], check=True)
        self.commands = json.loads(out.read_text())["commands"]
        self.named, self.definitions, self.registered, self.known = {}, {}, {}, {}
        self.unwritten = {}  # modules that a refused one would have written to
        self.current = None  # the file of the last module

    def refused(self, file, features):
        run = subprocess.run([self.tools, "validate", "--features", features, self.folder / file], capture_output=True,
                             text=True)
        return run.stderr.strip().replace("\n", " ") if run.returncode else None

    def reason_of_module(self, file):
        """Why a module can't be instantiated; None: nothing is known against it."""
        if file is None:
            return None
        if file not in self.known:
            self.known[file] = None  # for cycles
            self.known[file] = self.find_reason(file)
        return self.known[file]

    def find_reason(self, file):
        text = subprocess.run([self.tools, "print", self.folder / file], capture_output=True, text=True).stdout
        imported = {name: self.registered.get(name) for name in re.findall(r'\(import "((?:[^"\\]|\\.)*)" ', text)}
        error = self.refused(file, SUPPORTED)
        # One that is invalid anyway is no reason, unless it is another thing that is wrong with it then.
        if error and error != self.refused(file, "all"):
            for name, other in imported.items():
                self.unwritten.setdefault(other, f"a module that imports it is not run: {error}")
            return error
        for name, other in imported.items():
            if reason := self.reason_of_module(other):
                return f'imports "{name}": {reason}'
        return None

    def walk(self):
        """Yields (line, command, the module file that the command needs)."""
        for command in self.commands:
            kind, file = command["type"], command.get("filename")
            if kind == "module":
                self.current = file
                self.named[command.get("name")] = file
            elif kind == "module_definition":
                self.definitions[command.get("name")] = file
            elif kind == "module_instance":
                file = self.current = self.definitions.get(command.get("module"))
                self.named[command.get("instance")] = file
            elif kind == "register":
                file = self.named[command["name"]] if command.get("name") else self.current
                self.registered[command["as"]] = file
            elif "action" in command:
                name = command["action"].get("module")
                file = self.named.get(name) if name else self.current
            yield command["line"], kind, file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=Path, required=True, help="what ROTOR_SPEC_SUITE names")
    parser.add_argument("--wasm-tools", required=True)
    parser.add_argument("--verbose", action="store_true", help="a line a command")
    parser.add_argument("prefix", nargs="?", default="")
    args = parser.parse_args()
    listed = unfounded = 0
    for file, ranges in read_list(HERE / "expected_skips.txt").items():
        if not file.startswith(args.prefix):
            continue
        roots = (args.suite / "spec", args.suite / "spec" / "custom", args.suite)
        source = next((root / file for root in roots if (root / file).exists()), None)
        if source is None:
            sys.exit(f"{file}: not in {args.suite}")
        with tempfile.TemporaryDirectory() as folder:
            script = Script(args.wasm_tools, source, Path(folder))
            for line, kind, module in script.walk():
                feature = next((f for first, last, f in ranges if first <= line <= last), None)
                if module and module.endswith(".wat"):
                    continue  # text modules are skipped as such
                reason = script.reason_of_module(module) or script.unwritten.get(module)
                if feature is None or (reason is None and ranges[0][1] == sys.maxsize):
                    continue  # of a file that is listed as a whole, some commands need nothing
                listed += 1
                if reason is None and f"/{feature}/" in file:
                    reason = "it is about how the feature is encoded"
                unfounded += reason is None
                if args.verbose or reason is None:
                    print(f"{file}:{line}: {kind}: {feature}: {reason or 'NO REASON FOUND'}")
    print(f"{listed} listed commands, {unfounded} without a reason")
    return 1 if unfounded or not listed else 0


if __name__ == "__main__":
    sys.exit(main())
