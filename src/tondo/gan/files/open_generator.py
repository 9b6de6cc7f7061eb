"""Finding a generator by what a person calls it: a run, a file, or the name of a shipped one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from tondo.errors import InputError
from tondo.gan.files.adapters import is_adapter, merged, read_adapter_card, with_adapter
from tondo.gan.files.generator_file import Trained, load_generator
from tondo.runs.run_directory import RunDirectory, is_run, open_run, read_config

FILE = "generator.safetensors"


@dataclass(frozen=True)
class Opened:
    """A generator that was found.

    Attributes:
        trained: the generator.
        path: its file. Companions (directions, encoder) lie beside it.
        run: the run that it is the result of, or None for a file on its own or a shipped one.
        name: its short name.
    """

    trained: Trained
    path: Path
    run: RunDirectory | None
    name: str

    def companion(self, what: str) -> Path:
        """The path of a file that belongs to this generator, such as "directions"."""
        stem = what if self.run is not None else f"{self.path.stem}.{what}"
        return self.path.parent / f"{stem}.safetensors"


def shipped_folder() -> Path:
    """The folder of the generators that are installed with the program."""
    return Path(str(files("tondo").joinpath("generators")))


def shipped_names() -> list[str]:
    """Names of the installed generators, sorted."""
    found = shipped_folder().glob("*.safetensors")
    return sorted(path.stem for path in found if "." not in path.stem)


def open_generator(text: str | Path) -> Opened:
    """The generator called `text`: a run's folder, the file of a generator or adapter, or the name
    of an installed generator, also beside a folder of that name that is no run, such as one of its
    models.

    Raises:
        InputError: there is none, it is not finished, damaged or of another kind.
    """
    path, shipped = Path(text), str(text) in shipped_names()
    if path.is_dir() and (is_run(path) or not shipped):
        return _of_run(path)
    if path.is_file():
        trained = _adapted(path) if is_adapter(path) else load_generator(path)
        return Opened(trained, path, None, path.stem)
    if shipped:
        file = shipped_folder() / f"{text}.safetensors"
        return Opened(load_generator(file), file, None, str(text))
    raise InputError(_nothing(str(text)))


def _adapted(path: Path) -> Trained:
    """The generator that an adapter's file names as its base, with the adapter added in."""
    card = read_adapter_card(path)
    beside = path.parent / card.base  # a base may be named relative to the adapter
    base_file = Path(card.base)
    if is_adapter(base_file) or is_adapter(beside):
        raise InputError(
            f"{path} is an adapter of an adapter ({card.base}), which is not supported"
        )
    place = card.base if base_file.exists() or card.base in shipped_names() else beside
    try:
        base = open_generator(place).trained
    except InputError as error:
        raise InputError(
            f"{path} is an adapter of {card.base}, which cannot be opened: {error}"
        ) from None
    about = replace(base.card, kimg=card.kimg, source=card.source, licence="", metrics={})
    return Trained(merged(with_adapter(base.generator, path)), base.priors, about)


def _of_run(path: Path) -> Opened:
    run = open_run(path)
    command = read_config(run).get("command")
    if command != "train":
        raise InputError(
            f"{path} is a run of `tondo {command or '?'}`, not of `tondo train`: "
            "it has no generator"
        )
    file = path / FILE
    if not file.is_file():
        raise InputError(
            f"the run {path} has no {FILE} yet: go on with it by `tondo train ... --resume`"
        )
    return Opened(load_generator(file), file, run, path.resolve().name)


def _nothing(text: str) -> str:
    names = shipped_names()
    if not names:
        return (
            f"there is no run, file or generator called {text!r}, and no generator is installed "
            "with this version: train one with `tondo train PICTURES -o RUN`"
        )
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.6)
    guess = f": did you mean {close[0]!r}?" if close else ""
    return (
        f"there is no run, file or generator called {text!r}{guess} "
        f"(installed generators: {', '.join(names)})"
    )
