#!/usr/bin/env python3
"""Runs every command of README.md, word for word, and compares what it prints with what the README shows.

usage: readme_test.py SOURCE_DIRECTORY BUILD_DIRECTORY

Each ```sh block is one bash script, run with -e in a directory that looks like the repository with BUILD_DIRECTORY as
build/release. A ```text block right behind it is what the script prints: its lines must appear in this order. Numbers
may differ (times, sizes, speeds), and so may the amount of white space; a line `...` stands for any number of lines.
scripts/test.sh is not run: it is what runs this test. Every relative link of the README and of docs/*.md must lead to
a file or a directory.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

NOT_RUN = {"scripts/test.sh"}


def blocks(readme):
    """Yields (line number, script, expected output or None)."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = list(fence.finditer(readme))
    for index, block in enumerate(found):
        if block[1] != "sh":
            continue
        expected = None
        if index + 1 < len(found) and found[index + 1][1] == "text":
            if not readme[block.end():found[index + 1].start()].strip():
                expected = found[index + 1][2]
        yield readme.count("\n", 0, block.start()) + 2, block[2], expected


def normalised(line):
    return " ".join(re.sub(r"\d+(\.\d+)?", "0", line).split())


def first_missing(expected, output):
    """The first line of `expected` that does not follow the ones before it in `output`, or None."""
    rest = iter([normalised(line) for line in output.splitlines()])
    for line in expected.splitlines():
        if line.strip() in ("", "..."):
            continue
        if not any(normalised(line) == candidate for candidate in rest):
            return line
    return None


def broken_links(source):
    """Prints and counts the relative links that lead nowhere."""
    count = 0
    for document in [source / "README.md", source / "CONTRIBUTING.md", *sorted((source / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
            if "://" not in target and not (document.parent / target).exists():
                print(f"{document.relative_to(source)}: the link to {target} leads nowhere")
                count += 1
    return count


def environment(scratch):
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "USER") if name in os.environ}
    return kept | {
        "HOME": str(scratch / "home"),
        # Open MPI refuses root without both.
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }


def run(line, script, expected, root, env):
    result = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=root, env=env, text=True,
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    problem = None
    if result.returncode != 0:
        problem = f"exit status {result.returncode}"
    elif expected is not None:
        missing = first_missing(expected, result.stdout + result.stderr)
        if missing is not None:
            problem = f"the README shows a line that was not printed: {missing}"
    if problem:
        print(f"README.md:{line}: {problem}\n$ {script}{result.stdout}{result.stderr}")
    return problem is None


def main():
    source, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    ran, failed = 0, broken_links(source)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        root = scratch / "autodist"
        (root / "build").mkdir(parents=True)
        (scratch / "home").mkdir()
        for entry in source.iterdir():
            if entry.name not in ("build", ".git"):
                (root / entry.name).symlink_to(entry)
        (root / "build" / "release").symlink_to(build)
        env = environment(scratch)
        for line, script, expected in blocks((source / "README.md").read_text()):
            if script.strip() in NOT_RUN:
                continue
            ran += 1
            failed += not run(line, script, expected, root, env)
    if ran < 5:
        print(f"only {ran} blocks of commands found in README.md")
        return 1
    print(f"{ran} blocks of commands ran, {failed} faults")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
