"""cluster.toml is read whole or refused whole, and every refusal names the key and the fix."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import ClusterConfig, ConfigError, load, parse

SECTIONS = {section.name: section for section in dataclasses.fields(ClusterConfig)}


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value


def outcome(text: str) -> ClusterConfig | ConfigError:
    try:
        return parse(text)
    except ConfigError as error:
        return error


def all_keys() -> list[str]:
    defaults = ClusterConfig()
    return [f"{section}.{key.name}" for section in SECTIONS for key in dataclasses.fields(getattr(defaults, section))]


def test_without_a_file_the_defaults_hold() -> None:
    assert load() == load(None) == parse("") == ClusterConfig()


def test_an_absent_file_means_the_defaults_unless_it_is_required(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    assert load(path).limits == ClusterConfig().limits
    with pytest.raises(ConfigError, match="is not there") as caught:
        load(path, required=True)
    assert caught.value.file == path


def test_what_the_file_says_replaces_that_default_only(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('[node]\nlisten = "[::1]:0"\n[journal]\ncommit_patience_ms = 2\n')
    config = load(path)
    assert (config.node.listen_host, config.node.listen_port) == ("::1", 0)
    assert config.journal.commit_patience_ms == 2.0
    assert isinstance(config.journal.commit_patience_ms, float)
    assert config.limits == ClusterConfig().limits


def test_a_relative_data_folder_starts_at_the_folder_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('[node]\ndata_folder = "store"\n')
    assert load(path).node.data_folder == tmp_path / "store"
    path.write_text('[node]\ndata_folder = "/srv/roost"\n')
    assert load(path).node.data_folder == Path("/srv/roost")


def test_settings_never_change() -> None:
    config = ClusterConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.limits.send_window = 1  # type: ignore[misc]
    assert not hasattr(config, "__dict__")
    assert not any(hasattr(getattr(config, section), "__dict__") for section in SECTIONS)


@pytest.mark.parametrize(
    ("text", "key", "sentence"),
    [
        ("[limits]\nsend_windw = 1", "limits.send_windw", "is unknown: did you mean limits.send_window"),
        ("[node]\ndrain_timeout = 5", "node.drain_timeout", "is unknown: did you mean node.drain_timeout_s"),
        ('[node]\nlevel = "info"', "node.level", "is unknown: did you mean log.level, below [log]"),
        ("[log]\ncolour = true", "log.colour", "is unknown: remove it; [log] has level, format"),
        ("[limit]\nsend_window = 1", "limit", "is unknown: did you mean [limits]"),
        ("[zebra]", "zebra", "is unknown: the sections are [node], [cluster], [limits]"),
        ('listen = "127.0.0.1:1"', "listen", "stands outside its section: move it below [node]"),
        ("limits = 5", "limits", "is not a section: write [limits] on a line of its own"),
        ("[[limits]]", "limits", "is not a section"),
    ],
)
def test_an_unknown_key_or_section_is_refused_with_the_nearest_known_one(text: str, key: str, sentence: str) -> None:
    error = refusal(text)
    assert error.key == key
    assert f"{key} {sentence}" in str(error)


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ('node.drain_timeout_s = "30s"', "give seconds as a whole number: drain_timeout_s = 30"),
        ('node.drain_timeout_s = "2 min"', "give seconds as a whole number: drain_timeout_s = 120"),
        ('node.drain_timeout_s = "30"', "give seconds as a whole number: drain_timeout_s = 30"),
        ('node.drain_timeout_s = "30 KiB"', "give seconds as a whole number from 0 to 3600"),
        ('node.drain_timeout_s = "500 ms"', "give seconds as a whole number from 0 to 3600"),
        ("node.drain_timeout_s = 30.0", "give seconds as a whole number: drain_timeout_s = 30"),
        ("node.drain_timeout_s = 2.5", "give seconds as a whole number from 0 to 3600"),
        ("node.drain_timeout_s = true", "give seconds as a whole number from 0 to 3600"),
        ('limits.payload_size_bytes_max = "64 KiB"', "give bytes as a whole number: payload_size_bytes_max = 65536"),
        ('limits.payload_size_bytes_max = "64kb"', "give bytes as a whole number: payload_size_bytes_max = 64000"),
        ('queue.ttl_s_default = "2 weeks"', "give seconds as a whole number: ttl_s_default = 1209600"),
        ('journal.commit_patience_ms = "1.5ms"', "give milliseconds as a number: commit_patience_ms = 1.5"),
        ('journal.commit_patience_ms = "0.002 s"', "give milliseconds as a number: commit_patience_ms = 2"),
        ("journal.commit_patience_ms = nan", "give milliseconds as a number from 0 to 1000"),
        ("journal.commit_patience_ms = inf", "give milliseconds as a number from 0 to 1000"),
        ('rates.sends_per_minute = "5s"', "give times a minute as a whole number from 1 to 10_000_000"),
        ("limits.send_window = []", "give a whole number from 1 to 32"),
        ("limits.send_window = {}", "give a whole number from 1 to 32"),
        ("limits.send_window = 1979-05-27", "give a whole number from 1 to 32"),
    ],
)
def test_a_wrong_type_or_unit_is_refused_with_the_line_to_write_where_that_is_clear(line: str, fix: str) -> None:
    error = refusal(line)
    assert error.key == line.partition(" ")[0]
    assert error.fix == fix


@pytest.mark.parametrize(
    ("line", "problem", "fix"),
    [
        ("limits.send_window = 0", "is 0, too small", "give a number from 1 to 32"),
        ("limits.send_window = 33", "is 33, too large", "give a number from 1 to 32"),
        ("node.drain_timeout_s = -1", "is -1, too small", "give a number from 0 to 3600 seconds"),
        ("journal.commit_patience_ms = 1000.5", "is 1000.5, too large", "give a number from 0 to 1000 milliseconds"),
        ('log.level = "INFO"', 'is "INFO"', 'write one of "debug", "info", "warning", "error"'),
        ("log.level = 1", "is 1", 'write one of "debug", "info", "warning", "error"'),
        ('presence.enabled = "yes"', 'is "yes", a text', "write true or false, without quotes"),
        (
            "node.name = 5",
            "is 5, a whole number",
            'write up to 64 of a-z, 0-9, ".", "_" and "-", such as "local", in quotes',
        ),
        ("node.data_folder = ''", 'is "", a text', 'write the path of a folder in quotes, such as "data"'),
    ],
)
def test_a_value_outside_its_limits_is_refused_with_the_limits(line: str, problem: str, fix: str) -> None:
    error = refusal(line)
    assert (error.problem, error.fix) == (problem, fix)


@pytest.mark.parametrize(
    "listen",
    ["127.0.0.1", "127.0.0.1:", ":7667", "127.0.0.1:65536", "127.0.0.1:-1", "a b:1", "::1:7667", "[::1]", "x:٣"],
)
def test_a_place_to_listen_is_a_host_and_a_port(listen: str) -> None:
    assert refusal(f'node.listen = "{listen}"').fix.startswith('write host:port, such as "127.0.0.1:7667"')


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "localhost:65535", "[::]:7667", "roost.example.org:443"])
def test_every_usual_place_to_listen_is_taken(listen: str) -> None:
    node = parse(f'node.listen = "{listen}"').node
    assert listen.replace("[", "").replace("]", "") == f"{node.listen_host}:{node.listen_port}"


@pytest.mark.parametrize("sender", ["log", "our_house.codes:send_text"])
def test_a_code_sender_is_the_log_or_names_ones_own(sender: str) -> None:
    assert parse(f'registration.code_sender = "{sender}"').registration.code_sender == sender


def test_an_unknown_code_sender_is_refused() -> None:
    assert '"package.module:name"' in refusal('registration.code_sender = "sms"').fix


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("limits.connections_unauthenticated_max = 20000", "limits.connections_unauthenticated_max"),
        ("limits.heartbeat_s_min = 1000", "limits.heartbeat_s_min"),
        ("limits.delivery_window_bytes = 2048", "limits.payload_size_bytes_max"),
        ("limits.outbound_buffer_bytes_max = 4096", "limits.delivery_window_bytes"),
        ("queue.size_bytes_max = 1024", "limits.payload_size_bytes_max"),
        ("queue.ttl_s_max = 60", "queue.ttl_s_default"),
        ("journal.store_size_bytes_max = 1048576", "journal.hot_window_bytes_max"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_both_names(text: str, key: str) -> None:
    error = refusal(text)
    assert error.key == key
    assert text.partition(" ")[0] in f"{error.key} {error.problem}"
    assert error.fix.startswith("lower the one or raise the other, for ")


def test_every_wrong_key_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('[node]\nnickname = "a"\n[limits]\nsend_window = 0\n[log]\nlevel = "loud"\n')
    with pytest.raises(ConfigError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert [line.split()[1] for line in lines] == ["node.nickname", "limits.send_window", "log.level"]
    assert all(line.startswith(f"{path}: ") for line in lines)


@pytest.mark.parametrize(
    "text", ["[node", "a = ", "[node]\nname = 'a'\nname = 'b'", "x = " + "9" * 5000, "x = " + "[" * 100_000]
)
def test_what_is_no_toml_is_refused(text: str) -> None:
    error = refusal(text)
    assert error.key == ""
    assert error.problem.startswith("is not TOML: ")


def test_a_huge_value_does_not_make_a_huge_sentence() -> None:
    assert len(str(refusal(f'node.name = "{"x" * 10_000}"'))) < 300
    assert len(str(refusal(f"limits.send_window = {'9' * 4000}"))) < 300


def test_a_file_that_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_bytes(b"[node]\nname = '\xff'\n")
    with pytest.raises(ConfigError, match="is not UTF-8 text at byte 15: save it as UTF-8"):
        load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_bytes('\ufeff[node]\r\nname = "hen-house"\r\n'.encode())
    assert load(path).node.name == "hen-house"


TOML_VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Z"], exclude_characters="'"), max_size=20).map(
        lambda text: f"'{text}'"
    ),
    st.just("1979-05-27"),
    st.just("[1]"),
    st.just("{ a = 1 }"),
)


@given(key=st.sampled_from(all_keys()), value=TOML_VALUES)
def test_any_value_of_any_key_is_taken_or_refused_by_that_keys_name(key: str, value: str) -> None:
    section, _, name = key.partition(".")
    result = outcome(f"[{section}]\n{name} = {value}\n")
    if isinstance(result, ConfigError):
        # Of two settings that disagree, either may be the one named first.
        assert key in f"{result.key} {result.problem}"
        assert result.fix
    else:
        read = getattr(getattr(result, section), name)
        default = getattr(getattr(ClusterConfig(), section), name)
        assert type(read) is type(default) or isinstance(read, Path)


@given(text=st.text(max_size=200))
def test_any_text_gives_settings_or_a_config_error(text: str) -> None:
    result = outcome(text)
    assert isinstance(result, ClusterConfig) or str(result)
