from __future__ import annotations

from pathlib import Path

import pytest

from fliswarm.errors import ConfigError
from fliswarm.site.passed import answered


class Person:
    """Answers questions, and remembers them."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, question: str) -> str:
        self.asked.append(question)
        return f"answer {len(self.asked)}"


def test_nothing_is_asked_without_need() -> None:
    person = Person()
    words = ["--limit", "gfa1", "-vv", "-e", "a=1", "--vault-id", "dev@file"]
    with answered(words, person) as passed:
        assert passed.read == ["-e", "a=1", "--vault-id", "dev@file"]
        assert passed.run == [*passed.read, "--limit", "gfa1", "-vv"]
    assert person.asked == []


@pytest.mark.parametrize(
    ("words", "option", "read"),
    [
        (["-K"], "--become-password-file", False),
        (["--ask-become-pass"], "--become-password-file", False),
        (["-k"], "--connection-password-file", False),
        (["-J"], "--vault-password-file", True),
        (["--ask-vault-pass"], "--vault-password-file", True),
        (["--vault-id", "dev@prompt"], "--vault-id", True),
    ],
)
def test_an_answer_is_in_a_file_of_the_users_own_and_goes(
    words: list[str], option: str, *, read: bool
) -> None:
    person = Person()
    with answered(words, person) as passed:
        given = list(passed.run)
        assert given[0] == option
        file = Path(given[1].removeprefix("dev@"))
        assert file.read_text("utf-8") == "answer 1\n"
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        assert (list(passed.read) == given) is read
    assert len(person.asked) == 1
    assert not file.parent.exists()


def test_each_question_has_its_answer() -> None:
    person = Person()
    with answered(["-KJ", "--check"], person) as passed:
        files = [Path(word) for word in passed.run if word.startswith("/")]
        texts = {file.read_text("utf-8") for file in files}
        assert texts == {"answer 1\n", "answer 2\n"}
        assert passed.run[-1] != "-KJ"


def test_an_option_without_its_value() -> None:
    with (
        pytest.raises(ConfigError, match=r"options for Ansible.*--vault-id"),
        answered(["--vault-id"], Person()),
    ):
        pass
