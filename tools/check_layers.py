#!/usr/bin/env python3
"""Check the #include lines of autodist/.

Those of "autodist/..." against LAYERS: a folder may include itself and the folders its line names. And that x.cc
includes x.h before anything else, which shows that x.h compiles alone.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIRST_INCLUDE = re.compile(r'^\s*#\s*include\s+[<"](.*?)[>"]', re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"autodist/([a-z]+)/', re.MULTILINE)


def read_layers():
    layers = {}
    for line in (ROOT / "LAYERS").read_text().splitlines():
        if line.strip():
            folder, _, below = line.partition(":")
            names = below.split()
            unknown = [name for name in names if name not in layers]
            if unknown:
                sys.exit(f"LAYERS: {folder} names {unknown}, which no earlier line defines")
            layers[folder.strip()] = set(names)
    return layers


def main():
    layers = read_layers()
    errors = []
    for path in sorted((ROOT / "autodist").rglob("*")):
        if path.suffix not in (".h", ".cc", ".cu", ".inc"):
            continue
        relative = path.relative_to(ROOT)
        folder = relative.parts[1]
        if len(relative.parts) < 3:
            errors.append(f"{relative}: lies in no folder of LAYERS")
            continue
        if folder not in layers:
            errors.append(f"{relative}: folder {folder} has no line in LAYERS")
            continue
        text = path.read_text()
        own = relative.with_suffix(".h")
        if path.suffix == ".cc" and (ROOT / own).exists():
            first = FIRST_INCLUDE.search(text)
            if first is None or first.group(1) != str(own):
                errors.append(f"{relative}: does not include {own} first")
        for used in INCLUDE.findall(text):
            if used != folder and used not in layers[folder]:
                errors.append(f"{relative}: includes autodist/{used}/, which LAYERS does not allow for {folder}")
    print("\n".join(errors) or f"{len(layers)} folders, no forbidden include, every own header first")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
