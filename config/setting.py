"""What one setting may be: its meaning, its limits, and the sentence that refuses anything else.

A setting stands in the metadata of its dataclass field (`config.schema`), so a key, its default, its limits and its
meaning are written once, side by side.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, fields
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config.errors import ConfigError
from config.units import number_meant, unit_of

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping
    from dataclasses import Field

METADATA_KEY: Final = "setting"
_WRITTEN_LENGTH_MAX: Final = 60
_WRITTEN_BITS_MAX: Final = 256

_KINDS: Final[Mapping[type, str]] = {
    bool: "a switch",
    int: "a whole number",
    float: "a fraction",
    str: "a text",
    list: "a list",
    dict: "a table",
    datetime: "a date",
    date: "a date",
    time: "a time",
}


@dataclass(frozen=True, slots=True)
class Setting(ABC):
    """One key of the settings file.

    Args:
        meaning: what the setting does, in a sentence for the operator.
    """

    meaning: str

    @abstractmethod
    def read(self, key: str, value: object) -> object:
        """Check a value from the file and give it the type that the program uses.

        Args:
            key: the setting as `section.key`.
            value: as TOML gave it.

        Raises:
            ConfigError: the value has the wrong type or unit or lies outside its limits.
        """

    @property
    @abstractmethod
    def allowed(self) -> str:
        """What the value may be, in a few words."""

    def metadata(self) -> dict[str, Any]:
        """This setting as the metadata of its dataclass field."""
        return {METADATA_KEY: self}


def setting_of(field: Field[Any]) -> Setting:
    """The setting that a field of a section carries."""
    setting = field.metadata[METADATA_KEY]
    assert isinstance(setting, Setting)
    return setting


def written(value: object) -> str:
    """A value as TOML writes it, shortened where it is long."""
    match value:
        case bool():
            return str(value).lower()
        case int() if value.bit_length() > _WRITTEN_BITS_MAX:
            return "a number beyond all measure"
        case int():
            return shortened(f"{value:_}" if abs(value) >= 100_000 else str(value))
        case str() | Path():
            text = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{shortened(text)}"'
        case list() | dict():
            return _KINDS[type(value)]
        case _:
            return str(value)


def shortened(text: str) -> str:
    """A text of the file, cut where it is too long for a sentence."""
    return text if len(text) <= _WRITTEN_LENGTH_MAX else f"{text[:_WRITTEN_LENGTH_MAX]}..."


def _kind_of(value: object) -> str:
    return _KINDS.get(type(value), "a value of another kind")


def _is(value: object) -> str:
    kind = _kind_of(value)
    return f"is {kind}" if isinstance(value, list | dict) else f"is {written(value)}, {kind}"


@dataclass(frozen=True, slots=True)
class Whole(Setting):
    """A whole number within limits, both allowed."""

    minimum: int
    maximum: int

    def read(self, key: str, value: object) -> int:
        """See `Setting.read`."""
        if type(value) is not int:
            raise ConfigError(key, _is(value), _number_fix(key, value, self, whole=True))
        _check_range(key, value, self)
        return value

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return f"{written(self.minimum)} to {written(self.maximum)}"


@dataclass(frozen=True, slots=True)
class Number(Setting):
    """A number within limits, both allowed; a fraction may be given."""

    minimum: float
    maximum: float

    def read(self, key: str, value: object) -> float:
        """See `Setting.read`."""
        endless = isinstance(value, float) and not math.isfinite(value)
        if not isinstance(value, int | float) or isinstance(value, bool) or endless:
            raise ConfigError(key, _is(value), _number_fix(key, value, self, whole=False))
        _check_range(key, value, self)
        return float(value)

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return f"{self.minimum:g} to {self.maximum:g}"


def _check_range(key: str, value: float, setting: Whole | Number) -> None:
    if setting.minimum <= value <= setting.maximum:
        return
    unit = unit_of(key)
    problem = f"is {written(value)}, too {'small' if value < setting.minimum else 'large'}"
    raise ConfigError(key, problem, f"give a number from {setting.allowed}{f' {unit.name}' if unit else ''}")


def _number_fix(key: str, value: object, setting: Whole | Number, *, whole: bool) -> str:
    """Ask for the unit by name, and write the line out where it is clear which number is meant."""
    unit = unit_of(key)
    number = "a whole number" if whole else "a number"
    fix = f"give {unit.name} as {number}" if unit else f"give {number}"
    meant = number_meant(key, value) if isinstance(value, str) else value if type(value) is float else None
    if meant is None or not setting.minimum <= meant <= setting.maximum or (whole and meant != int(meant)):
        return f"{fix} from {setting.allowed}"
    return f"{fix}: {key.rpartition('.')[2]} = {int(meant) if meant == int(meant) else meant}"


@dataclass(frozen=True, slots=True)
class Switch(Setting):
    """True or false."""

    def read(self, key: str, value: object) -> bool:
        """See `Setting.read`."""
        if isinstance(value, bool):
            return value
        raise ConfigError(key, _is(value), "write true or false, without quotes")

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return "true or false"


@dataclass(frozen=True, slots=True)
class Text(Setting):
    """A text of a given form.

    Args:
        meaning: see `Setting`.
        form: the regular expression that the whole text matches.
        form_in_words: the same for the operator, with an example.
    """

    form: re.Pattern[str]
    form_in_words: str

    def read(self, key: str, value: object) -> str:
        """See `Setting.read`."""
        if not isinstance(value, str):
            raise ConfigError(key, _is(value), f"write {self.form_in_words}, in quotes")
        if self.form.fullmatch(value) is None:
            raise ConfigError(key, f"is {written(value)}", f"write {self.form_in_words}")
        return value

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return self.form_in_words


@dataclass(frozen=True, slots=True)
class Choice(Setting):
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, key: str, value: object) -> str:
        """See `Setting.read`."""
        if isinstance(value, str) and value in self.words:
            return value
        raise ConfigError(key, f"is {written(value)}", f"write one of {self.allowed}")

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return ", ".join(written(word) for word in self.words)


@dataclass(frozen=True, slots=True)
class Folder(Setting):
    """A folder, made on first use."""

    def read(self, key: str, value: object) -> Path:
        """See `Setting.read`."""
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise ConfigError(key, _is(value), 'write the path of a folder in quotes, such as "data"')
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise ConfigError(key, f"is {written(value)}, whose home is unknown", "write the path in full") from error

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return "the path of a folder"


@dataclass(frozen=True, slots=True)
class Tables(Setting):
    """A list of tables, one `[[section.key]]` each, read into a tuple of dataclasses whose fields carry settings.

    Args:
        meaning: see `Setting`.
        kind: the dataclass of one table; its first field names it, and what has no default must be there.
        count_max: how many there may be.
        example: one table as TOML, for the documents.
    """

    kind: type
    count_max: int
    example: str

    def read(self, key: str, value: object) -> tuple[object, ...]:
        """See `Setting.read`; all that is wrong in all tables is in one error."""
        if not isinstance(value, list | tuple) or not all(isinstance(table, dict | self.kind) for table in value):
            raise ConfigError(key, _is(value), f"write each as a table of its own, below a line [[{key}]]")
        if len(value) > self.count_max:
            raise ConfigError(key, f"are {len(value)}, too many", f"give at most {self.count_max}")
        errors: list[ConfigError] = []
        tables = [self._table(key, number, table, errors) for number, table in enumerate(value, 1)]
        if errors:
            first, *others = errors
            first.others = tuple(others)
            raise first
        return tuple(tables)

    @property
    def settings(self) -> Mapping[str, Setting]:
        """What a table may hold, by key."""
        return {field.name: setting_of(field) for field in fields(self.kind)}

    def _table(self, key: str, number: int, table: Any, errors: list[ConfigError]) -> object:
        """One table; what is wrong goes to `errors`."""
        if isinstance(table, self.kind):
            return table
        settings = self.settings
        named = table.get(next(iter(settings)))
        place = f"{key}[{written(named) if isinstance(named, str) else number}]"
        values: dict[str, object] = {}
        before = len(errors)
        for name, value in table.items():
            if name not in settings:
                fix = f"remove it; a table has {', '.join(settings)}"
                errors.append(ConfigError(f"{place}.{shortened(name)}", "is unknown", fix))
                continue
            try:
                values[name] = settings[name].read(f"{place}.{name}", value)
            except ConfigError as error:
                errors.append(error)
        for field in fields(self.kind):
            if field.name not in table and field.default is MISSING:
                fix = f"add {field.name}: {settings[field.name].allowed}"
                errors.append(ConfigError(f"{place}.{field.name}", "is missing", fix))
        return self.kind(**values) if len(errors) == before else None

    @property
    def allowed(self) -> str:
        """See `Setting.allowed`."""
        return f"up to {self.count_max} tables"
