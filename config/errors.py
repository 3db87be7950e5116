"""What the operator is told when a setting cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ConfigError(Exception):
    """A setting that cannot be used: the operator's to mend, before anything has started.

    Its text is one line for each wrong setting of the file, this one first.

    Args:
        key: the setting as `section.key`, the section alone, or "" when the file as a whole is meant.
        problem: what is wrong, as the rest of a sentence that starts with the key.
        fix: what to do about it. No full stop follows: it may end in the line to write.
        file: where the setting stands; None for text that came from no file.
        others: what else is wrong in the same file.
    """

    def __init__(
        self,
        key: str,
        problem: str,
        fix: str,
        *,
        file: Path | None = None,
        others: tuple[ConfigError, ...] = (),
    ) -> None:
        super().__init__(key, problem, fix)
        self.key = key
        self.problem = problem
        self.fix = fix
        self.file = file
        self.others = others

    def __str__(self) -> str:
        return "\n".join(error.sentence for error in (self, *self.others))

    @property
    def sentence(self) -> str:
        """This one problem in a line."""
        where = f"{self.file}: " if self.file else ""
        return f"{where}{self.key or 'the file'} {self.problem}: {self.fix}"
