"""What the Dockerfiles must keep: each check returns complaints, so that a test can show that it sees a breach."""

import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.command_lines import complaints_of

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = ("Dockerfile", "Dockerfile.gpu-worker")
_BASE = re.compile(r"docker\.io/library/python:3\.\d+\.\d+-slim-trixie@sha256:[0-9a-f]{64}")
_PIP_INSTALL = re.compile(r"-m pip (--python \S+ )?install ")
_BUILD_TOOLS = re.compile(r"\b(gcc|g\+\+|build-essential|make|git|curl|wget|pip install|uv)\b")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word in capitals, what follows, and the number of its stage."""

    word: str
    rest: str
    stage: int


def parse(text: str) -> list[Instruction]:
    """Return the instructions of a Dockerfile; comments are left out, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stage = -1
    instructions = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, rest = line.partition(" ")
        stage += word.upper() == "FROM"
        instructions.append(Instruction(word.upper(), rest.strip(), stage))
    return instructions


def final_stage(text: str) -> list[Instruction]:
    """Return the instructions of the image that is kept."""
    instructions = parse(text)
    return [one for one in instructions if one.stage == instructions[-1].stage]


def last(text: str, word: str) -> str | None:
    """Return what the last instruction of a kind says in the final stage."""
    found = [one.rest for one in final_stage(text) if one.word == word]
    return found[-1] if found else None


def loose_bases(text: str) -> list[str]:
    """Every stage begins with one and the same interpreter, by digest, or with an earlier stage."""
    complaints = []
    named: set[str] = set()
    bases: set[str] = set()
    for one in parse(text):
        if one.word != "FROM":
            continue
        base, _, name = one.rest.partition(" AS ")
        if base not in named:
            bases.add(base)
            if not _BASE.fullmatch(base):
                complaints.append(f"{base} is not pinned")
        named.add(name)
    if len(bases) > 1:
        complaints.append("stages begin with different interpreters")
    return complaints


def unchecked_packages(text: str) -> list[str]:
    """Packages come from locks, with hashes, as wheels."""
    installs = [one for one in parse(text) if one.word == "RUN" and _PIP_INSTALL.search(one.rest)]
    environment = " ".join(one.rest for one in parse(text) if one.word == "ENV")
    complaints = [
        f"without hashes: {one.rest}"
        for one in installs
        if "--require-hashes" not in one.rest and "--no-index" not in one.rest
    ]
    if "PIP_ONLY_BINARY=:all:" not in environment:
        complaints.append("something may be compiled")
    return complaints


def powers(text: str) -> list[str]:
    """What runs is nobody, and finds no tools."""
    complaints = []
    user = last(text, "USER")
    if user is None or not re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user):
        complaints.append("it runs as root, or as a user whose number is not known")
    for one in final_stage(text):
        if one.word == "RUN" and _BUILD_TOOLS.search(one.rest):
            complaints.append(f"tools in the final stage: {one.rest}")
        if one.word == "ADD":
            complaints.append("ADD fetches and unpacks what it likes")
        if one.word == "COPY" and "--from=" not in one.rest:
            complaints.append(f"the final stage takes from the context: {one.rest}")
        if one.word == "ENV" and "NVIDIA_VISIBLE_DEVICES" in one.rest:
            complaints.append("it takes every GPU of the machine")
    uninstalls = [one for one in final_stage(text) if "pip uninstall" in one.rest and "chmod a-s" in one.rest]
    if not uninstalls:
        complaints.append("pip or programs that run as root are left")
    return complaints


def bad_start(text: str) -> list[str]:
    """It is started and stopped by signals, and by a command that its parser understands."""
    complaints = []
    if last(text, "STOPSIGNAL") != "SIGTERM":
        complaints.append("it is not stopped by SIGTERM")
    if last(text, "ENTRYPOINT") != '["tini", "--"]':
        complaints.append("nobody reaps its children")
    for word in ("CMD", "HEALTHCHECK"):
        rest = last(text, word)
        if rest is None:
            if word == "CMD":
                complaints.append("no command")
            continue
        try:
            command = json.loads(rest[rest.index("[") :])
        except ValueError:
            complaints.append(f"{word} goes through a shell, which keeps the signal to itself")
            continue
        complaints += complaints_of(command)
    return complaints


def missing_sources(text: str) -> list[str]:
    """What is copied is there and is not kept from the builder."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    complaints = []
    for one in parse(text):
        if one.word != "COPY" or "--from=" in one.rest:
            continue
        for source in one.rest.split()[:-1]:
            if not (ROOT / source).exists():
                complaints.append(f"there is no {source}")
            if not any(source == name or source.startswith(name + "/") for name in admitted):
                complaints.append(f".dockerignore keeps {source} away")
    return complaints


def admitted_by_dockerignore(path: str, ignored: list[str]) -> bool:
    """Say whether a file reaches the builder: the last pattern that fits decides."""
    admitted = True
    for line in ignored:
        pattern = line.removeprefix("!")
        fits = pattern in {"*", path} or path.startswith(pattern + "/")
        fits = fits or (pattern.startswith("**/") and any(fnmatch.fnmatch(p, pattern[3:]) for p in path.split("/")))
        if fits:
            admitted = line.startswith("!")
    return admitted
