"""From the text of cluster.toml to one `ClusterConfig`, or to one error that names every wrong key."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from config.agreement import disagreements
from config.errors import ConfigError
from config.schema import ClusterConfig
from config.setting import setting_of, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from config.schema import NodeConfig

_DEFAULTS: Final = ClusterConfig()
_SECTIONS: Final = {section.name: getattr(_DEFAULTS, section.name) for section in fields(ClusterConfig)}
_KEYS: Final = {name: {key.name: setting_of(key) for key in fields(section)} for name, section in _SECTIONS.items()}


def load(path: Path | None = None, *, required: bool = False) -> ClusterConfig:
    """Read the settings of a node.

    Args:
        path: cluster.toml; a relative `node.data_folder` then starts at its folder. Without it, the defaults hold.
        required: whether a file that is not there is an error; else the defaults hold then, too.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or has settings that cannot be used; it names them all.
    """
    if path is None:
        return _DEFAULTS
    config = parse(_text_of(path, required=required), file=path)
    data_folder = path.parent / config.node.data_folder
    return replace(config, node=replace(config.node, data_folder=data_folder))


def load_node(path: Path, *, required: bool = False) -> NodeConfig:
    """Read the section [node] alone, whatever the others hold: for what an operator does before they are complete.

    Args:
        path: as for `load`.
        required: as for `load`.

    Raises:
        ConfigError: as `load`, for this section.
    """
    document = _document(_text_of(path, required=required), path)
    node = _config({"node": document.get("node", {})}, path).node
    return replace(node, data_folder=path.parent / node.data_folder)


def parse(text: str, *, file: Path | None = None) -> ClusterConfig:
    """Read settings from TOML text; what is absent keeps its default.

    Args:
        text: the content of cluster.toml.
        file: where it came from, for the errors only.

    Raises:
        ConfigError: as `load`.
    """
    return _config(_document(text, file), file)


def _document(text: str, file: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    # Not TOMLDecodeError alone: a number or a nesting beyond all measure raises the other two.
    except (ValueError, RecursionError) as error:
        raise ConfigError("", f"is not TOML: {error}", "mend that place", file=file) from error


def _config(document: Mapping[str, object], file: Path | None) -> ClusterConfig:
    sections: dict[str, Any] = {}
    errors: list[ConfigError] = []
    for name, content in document.items():
        if name not in _SECTIONS:
            errors.append(_unknown_section(shortened(name), content))
        elif not isinstance(content, dict):
            errors.append(ConfigError(name, "is not a section", f"write [{name}] on a line of its own above its keys"))
        else:
            values = dict(_settings(name, content, errors))
            sections[name] = replace(_SECTIONS[name], **values)
    config = replace(_DEFAULTS, **sections)
    errors += () if errors else disagreements(config)
    _raise_all(errors, file)
    return config


def _text_of(path: Path, *, required: bool) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if required:
            raise ConfigError(
                "", "is not there", "check its path, or start without one for the defaults", file=path
            ) from None
        return ""
    except UnicodeDecodeError as error:
        raise ConfigError("", f"is not UTF-8 text at byte {error.start}", "save it as UTF-8", file=path) from None
    except OSError as error:
        raise ConfigError(
            "", f"cannot be read ({error.strerror})", "check its path and its rights", file=path
        ) from error


def _settings(section: str, content: Mapping[str, object], errors: list[ConfigError]) -> Iterator[tuple[str, object]]:
    """The checked values of one section; what is wrong goes to `errors`."""
    settings = _KEYS[section]
    for name, value in content.items():
        key = f"{section}.{name}"
        if name not in settings:
            errors.append(_unknown_key(section, shortened(name)))
            continue
        try:
            yield name, settings[name].read(key, value)
        except ConfigError as error:
            errors += (error, *error.others)


def _unknown_section(name: str, content: object) -> ConfigError:
    homes = _homes(name)
    if not isinstance(content, dict) and homes:
        return ConfigError(name, "stands outside its section", f"move it below [{homes[0]}]")
    close = get_close_matches(name, _SECTIONS, n=1)
    known = ", ".join(f"[{section}]" for section in _SECTIONS)
    return ConfigError(name, "is unknown", f"did you mean [{close[0]}]" if close else f"the sections are {known}")


def _unknown_key(section: str, name: str) -> ConfigError:
    key = f"{section}.{name}"
    close = get_close_matches(name, _KEYS[section], n=1)
    if close:
        return ConfigError(key, "is unknown", f"did you mean {section}.{close[0]}")
    homes = _homes(name)
    if homes:
        return ConfigError(key, "is unknown", f"did you mean {homes[0]}.{name}, below [{homes[0]}]")
    return ConfigError(key, "is unknown", f"remove it; [{section}] has {', '.join(_KEYS[section])}")


def _homes(name: str) -> list[str]:
    """The sections that have a key of this name."""
    return [section for section, settings in _KEYS.items() if name in settings]


def _raise_all(errors: list[ConfigError], file: Path | None) -> None:
    if not errors:
        return
    for error in errors:
        error.file = file
    first, *others = errors
    first.others = tuple(others)
    raise first
