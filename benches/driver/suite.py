"""What is measured beside the echo: a suite has entries that alternate, and columns of its own."""

import contextlib
import dataclasses
import os
import shutil
import typing


@dataclasses.dataclass(frozen=True)
class Entry:
    """One of the entries that alternate. `run` takes the value of the suite's `environment` and the
    settings, and returns the figures of one round."""

    name: str
    title: str
    run: typing.Callable
    programs: tuple  # what it needs, by path

    @property
    def missing(self):
        return [program for program in self.programs
                if not program or not os.access(program, os.X_OK)]


@dataclasses.dataclass(frozen=True)
class Column:
    heading: str
    key: str
    digits: int = 0


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A figure as a multiple of the reference's, round by round."""

    heading: str
    key: str
    reference: str


@dataclasses.dataclass(frozen=True)
class Suite:
    """Identified by its name alone: "http, hello" belongs to the group "http"."""

    name: str
    entries: tuple = dataclasses.field(default=(), compare=False)
    columns: tuple = dataclasses.field(default=(), compare=False)
    ratios: tuple = dataclasses.field(default=(), compare=False)
    chart: Column = dataclasses.field(default=None, compare=False)
    # A context manager made from the settings: for example servers that run during all rounds.
    environment: typing.Callable = dataclasses.field(default=contextlib.nullcontext, compare=False)
    # Programs without which there is nothing to compare, by name.
    needs: tuple = dataclasses.field(default=(), compare=False)
    # Of one round, to estimate how long all will take.
    seconds: float = dataclasses.field(default=0, compare=False)

    @property
    def shape(self):
        return self.name

    @property
    def facts(self):
        return {"suite": self.name}

    @property
    def slug(self):
        return self.name.replace(",", "").replace(" ", "-")

    def __str__(self):
        return self.name

    def matches(self, terms):
        """`http`, or `hooks,redis,1 connection`: all of them must be parts of the name."""
        return set(terms) <= {part.strip() for part in self.name.split(",")}

    @property
    def missing(self):
        return [need for need in self.needs if find_program(need) is None]

    @property
    def present(self):
        return [entry for entry in self.entries if not entry.missing]


def find_program(name):
    """Servers are not on everybody's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
