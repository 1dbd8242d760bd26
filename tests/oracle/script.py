"""The one script that both programs are given, and what it makes of their answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.oracle.user import HEADER, User
from tests.oracle.world import World
from tests.unit.support.wait import LIMIT

NOTHING = "nothing"
"""A line that nobody says: what is sent has no answer."""

Act = Callable[[World], Awaitable[None] | None]

_NODE = re.compile(r"\b(?:gfa\d|fvc|spare)\b")

_NUMBER = re.compile(r"(?:[a-z0-9]*\.[a-z0-9_.]+ +)?(\d+)(?: +\d+)? +\S", re.IGNORECASE)


_NEWS = re.compile(
    r'0 0 [iw] text="(?:(?P<subject>\w+): |(?=Tron ))'
    r'(?P<text>(?:camera (?:dis)?connected|Docker Engine|Tron).*)"'
)
"""What is told about links without a command."""

_CONTAINER = re.compile(r"\b0{6}[0-9a-f]{6}\b")

_VERSION = re.compile(r"( version='?)\d[\w.]*('?)$")


@dataclass(frozen=True)
class Step:
    """One command, or one thing that happens.

    Parameters
    ----------
    line
        The command, without its number; or what happens, in parentheses.
    by
        Whose command it is.
    whole
        Whether the line is sent as it stands, with its own number or none.
    act
        What happens first.
    until
        Pattern of the line that is waited for, instead of the command's end.
    theirs
        Pattern of the last line of the original, after the user's number, where it
        does not end what it was told or goes on afterwards.
    mixed
        Whether several cameras answer, in any order.
    limit
        Seconds to wait for what is not to come: an end of what the original does not
        end, anything after what happens.
    note
        Tells the step from others with the same line.
    """

    line: str
    by: str = "A"
    whole: bool = False
    act: Act | None = None
    until: str | None = None
    theirs: str | None = None
    mixed: bool = False
    limit: float = LIMIT
    note: str = ""

    @property
    def name(self) -> str:
        """How the step is known in the table of differences."""
        who = "" if self.by == "A" else f"{self.by}: "
        return f"{who}{self.line}{f' ({self.note})' if self.note else ''}"

    @property
    def is_command(self) -> bool:
        """Whether anything is sent."""
        return not self.line.startswith("(")


class Play:
    """One run of the script: two users who stay, and others who come and go."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._users: dict[str, User] = {}
        self._count = 0
        self.said: dict[str, list[str]] = {}
        self._news: dict[str, list[str]] = {}

    async def run(self, steps: list[Step]) -> dict[str, list[str]]:
        """Run all steps; return the lines that came, by step."""
        await self._settle()
        for name in "AB":
            self._users[name] = await User.connect(self._world.port)
            assert self._users[name].number == "AB".index(name) + 1
            await self._collect(Step("(connects)", by=name), name, None)
        for step in steps:
            await self._step(step)
        for user in self._users.values():
            await user.close()
        # When a link breaks or heals is nobody's choice, and so among no step's lines.
        self.said["(links)"] = [
            f"{subject}: {text}"
            for subject, texts in sorted(self._news.items())
            for text in texts
        ]
        return self.said

    async def _settle(self) -> None:
        """Wait until the cameras are connected and nobody is left."""
        probe = await User.connect(self._world.port)
        for number in range(1, 200):
            replies = await probe.command(f"{number} talk -n gfa1,gfa2,fvc quiet")
            if replies == ["> ", ": "]:
                break
            await asyncio.sleep(0.05)
        # The original keeps for ever a user who leaves with lines unread.
        await asyncio.sleep(0.5)
        await probe.fence()
        await probe.close()
        await asyncio.sleep(0.3)

    async def _step(self, step: Step) -> None:
        self._count += 1
        if "C" in self._users and step.by != "C":
            await self._users.pop("C").close()
        if step.by not in self._users:
            self._users[step.by] = await User.connect(self._world.port)
            for user in self._users.values():
                await user.fence()
                user.take()
        if step.act is not None and (done := step.act(self._world)) is not None:
            await done
        user = self._users[step.by]
        number: str | None = None
        if step.is_command:
            line = step.line if step.whole else f"{self._count} {step.line}"
            match = _NUMBER.match(line.strip())
            number = str(int(match[1])) if match else "0"
            user.send(line)
        if step.theirs and not self._world.ours:
            assert await user.seen(f"{user.number} {step.theirs}"), user.lines
            if step.is_command:
                user.lines.append("(no end)")
        elif step.until or step.is_command:
            pattern = step.until or rf"{user.number} {number} [:f]"
            never = not self._world.ours or step.until == NOTHING
            if await user.seen(pattern, step.limit if never else LIMIT) is None:
                user.lines.append("(connection ended)" if user.ended else "(no end)")
        else:
            await asyncio.sleep(step.limit)
        await self._collect(step, step.by, number)
        if user.ended:
            await self._users.pop(step.by).close()

    async def _collect(self, step: Step, by: str, number: str | None) -> None:
        lines: list[str] = []
        for name, user in self._users.items():
            if not user.ended:
                await user.fence()
            mark = "" if name == by else f"{name} sees: "
            heard = [
                self._line(line, number, mark)
                for line in user.take()
                if not self._is_news(line, name)
            ]
            lines += _ordered(heard) if step.mixed else heard
        assert step.name not in self.said, f"twice: {step.name}"
        self.said[step.name] = lines

    def _is_news(self, line: str, user: str) -> bool:
        match = _NEWS.fullmatch(self._world.neutral(line))
        if match is not None and user == "A":
            self._news.setdefault(match["subject"] or "hub", []).append(match["text"])
        return match is not None

    def _line(self, line: str, number: str | None, mark: str) -> str:
        """Return a line with what is its step's alone taken out."""
        line = self._world.neutral(line)
        line = _CONTAINER.sub("CONTAINER", line)
        line = _VERSION.sub(r"\1VERSION\2", line)
        match = HEADER.fullmatch(line)
        if match is None:
            return mark + line
        user, command, code, text = match.groups()
        name = next((n for n, u in self._users.items() if str(u.number) == user), user)
        command = {number: "N", "0": "0"}.get(command, "earlier")
        return f"{mark}{name} {command} {code} {text or ''}"


def _ordered(lines: list[str]) -> list[str]:
    """Sort what cameras said by camera; each one's own order stays."""
    first = [line for line in lines if HEADER_START.match(line)]
    last = [line for line in lines if HEADER_END.match(line)]
    rest = [line for line in lines if line not in first and line not in last]
    rest.sort(key=_camera)
    return [*first, *map(_bundle, rest), *last]


HEADER_START = re.compile(r"\S+ N > ")
HEADER_END = re.compile(r"\S+ N [:f] |\(")


def _camera(line: str) -> str:
    if "filename_bundle" in line:
        return "~"
    match = _NODE.search(line)
    return match[0] if match else "~"


def _bundle(line: str) -> str:
    head, equals, values = line.partition("filename_bundle=")
    return head + equals + ",".join(sorted(values.split(",")))
