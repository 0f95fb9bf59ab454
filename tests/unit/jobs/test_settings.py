"""What `settings` promises: who wins, what is refused, and that the key stays unseen."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kling_nb.core.secret import Key
from kling_nb.errors import ConfigurationError
from kling_nb.jobs.keys import forget_key, read_keyring, save_key
from kling_nb.jobs.settings import (
    SessionArguments,
    Settings,
    find_folder,
    find_webhook_key,
    resolve,
)
from kling_nb.kie.urls import API_URL, UPLOAD_URL

SECRET = "s3cret-abcdef"


class FakeKeyring(ModuleType):
    """A keyring in memory, or one whose backend always fails."""

    def __init__(self, problem: Exception | None = None) -> None:
        super().__init__("keyring")
        self.entries: dict[tuple[str, str], str] = {}
        self.problem = problem

    def get_password(self, service: str, user: str) -> str | None:
        """The entry's text, as the package gives it."""
        if self.problem:
            raise self.problem
        return self.entries.get((service, user))

    def set_password(self, service: str, user: str, text: str) -> None:
        """Keep the entry in memory."""
        if self.problem:
            raise self.problem
        self.entries[service, user] = text

    def delete_password(self, service: str, user: str) -> None:
        """Drop the entry."""
        del self.entries[service, user]


@pytest.fixture(autouse=True)
def keyring(monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
    """A keyring of the test's own, in place of the system's."""
    fake = FakeKeyring()
    monkeypatch.setitem(sys.modules, "keyring", fake)
    return fake


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home directory of the test's own."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("USERPROFILE", str(place))
    return place


# --- the key -----------------------------------------------------------------------------------


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!s:>12}".format, "%s".__mod__])
def test_key_never_shows(show) -> None:
    """However a key is turned into text, the text is not the key."""
    shown = show(Key(SECRET))
    assert SECRET not in shown
    assert "Key(…)" in shown


def test_key_is_stripped() -> None:
    """White space around a pasted key is dropped."""
    assert Key(f" {SECRET}\n").reveal() == SECRET


@pytest.mark.parametrize(
    "text", ["", "  \n", "two words", "nul\0byte", "tab\tin", "schlüssel9", "a\x7fb"]
)
def test_impossible_keys_are_refused_without_quoting(text: str) -> None:
    """An empty, non-ASCII, control or inner-space key is refused, and the message hides it."""
    with pytest.raises(ConfigurationError) as caught:
        Key(text, name="KIE_API_KEY")
    assert str(caught.value).startswith("KIE_API_KEY: ")
    assert not text.strip() or text.strip() not in str(caught.value)


@pytest.mark.parametrize("take_out", [pickle.dumps, copy.copy, copy.deepcopy])
def test_key_cannot_be_pickled(take_out) -> None:
    """No cache, no process pool and no session dump can carry the key off."""
    with pytest.raises(TypeError, match="cannot be pickled"):
        take_out(Key(SECRET))


def test_keys_compare_by_text() -> None:
    """Equal keys are equal and hash alike; a key is no string."""
    assert Key(SECRET) == Key(SECRET)
    assert hash(Key(SECRET)) == hash(Key(SECRET))
    assert Key(SECRET) != Key("other")
    assert Key(SECRET) != SECRET


# --- argument, environment, keyring, default ---------------------------------------------------


def test_defaults(tmp_path: Path) -> None:
    """With nothing given: the emulator, the service's hosts, a folder in the working directory."""
    settings = resolve(environ={}, cwd=tmp_path)
    assert (settings.mode, settings.key) == ("emulator", None)
    assert settings.mode_reason == "no key: set KIE_API_KEY or use `%kling login`"
    assert settings.folder == tmp_path / "kling_clips"
    assert (settings.api_url, settings.upload_url) == (API_URL, UPLOAD_URL)
    assert settings.emulator_seconds == 8.0
    assert limits_of(settings) == (20, 10.0, 10, 1.0)


def limits_of(settings: Settings) -> tuple[float, ...]:
    """The four numbers of the rate limits."""
    tasks, questions = settings.rate_limits.new_tasks, settings.rate_limits.status_requests
    return tasks.limit, tasks.window_s, questions.limit, questions.window_s


def test_environment_gives_everything(tmp_path: Path) -> None:
    """Each setting has its environment variable."""
    settings = resolve(
        environ={
            "KIE_API_KEY": SECRET,
            "KLING_NB_MODE": "live",
            "KLING_NB_FOLDER": str(tmp_path / "clips"),
            "KLING_NB_API_URL": "http://127.0.0.1:8787/",
            "KLING_NB_UPLOAD_URL": "https://proxy.example/upload",
            "KLING_NB_EMULATOR_SECONDS": "0.5",
            "KLING_NB_RATE_LIMITS": "create=100/10,status=30/1",
        }
    )
    assert settings.key == Key(SECRET)
    assert settings.mode == "live"
    assert settings.mode_reason == "set by KLING_NB_MODE"
    assert settings.folder == tmp_path / "clips"
    assert settings.api_url == "http://127.0.0.1:8787"
    assert settings.upload_url == "https://proxy.example/upload"
    assert settings.emulator_seconds == 0.5
    assert limits_of(settings) == (100, 10.0, 30, 1.0)


def test_argument_goes_before_environment(tmp_path: Path) -> None:
    """What is given in the call is what counts."""
    settings = resolve(
        api_key=SECRET,
        folder=tmp_path / "mine",
        emulator_seconds=1,
        environ={
            "KIE_API_KEY": "other",
            "KLING_NB_FOLDER": "/other",
            "KLING_NB_EMULATOR_SECONDS": "2",
        },
    )
    assert settings.key == Key(SECRET)
    assert settings.mode_reason == "api_key was given"
    assert (settings.folder, settings.emulator_seconds) == (tmp_path / "mine", 1.0)


def test_environment_goes_before_keyring(keyring: FakeKeyring) -> None:
    """The keyring is asked last."""
    save_key("from-keyring")
    assert resolve(environ={"KIE_API_KEY": SECRET}).key == Key(SECRET)
    settings = resolve(environ={"KIE_API_KEY": "  "})
    assert settings.key == Key("from-keyring")
    assert (settings.mode, settings.mode_reason) == ("live", "the keyring has a key")


def test_emulator_asked_for_holds_no_key(keyring: FakeKeyring) -> None:
    """A pinned emulator neither looks for a key nor stumbles over a bad one."""
    keyring.problem = AssertionError("asked")
    settings = resolve(mode="emulator", environ={"KIE_API_KEY": "bad key"})
    assert (settings.key, settings.mode) == (None, "emulator")
    assert settings.mode_reason == "as configured"


def test_live_without_a_key_is_an_error() -> None:
    """Live mode never falls back by itself."""
    with pytest.raises(ConfigurationError, match=r"needs a key.*KIE_API_KEY.*%kling login"):
        resolve(mode="live", environ={})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", ""),
        ("2 words", ""),
        (7, "of type int, not text"),
        (b"key", "of type bytes, not text"),
        (["key"], "of type list, not text"),
    ],
)
def test_bad_key_argument_is_an_error(value: object, words: str) -> None:
    """It does not quietly give the emulator; the error names a type, not the value."""
    with pytest.raises(ConfigurationError, match=f"^api_key: {words}") as caught:
        resolve(api_key=value, environ={})
    assert "key'" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("KLING_NB_MODE", "Live!", "'Live!' is not allowed; give live or emulator"),
        ("KLING_NB_EMULATOR_SECONDS", "soon", "'soon' is not allowed; give 0.05 to 3600 seconds"),
        ("KLING_NB_EMULATOR_SECONDS", "0", "'0' is not"),
        ("KLING_NB_EMULATOR_SECONDS", "nan", "'nan' is not"),
        ("KLING_NB_EMULATOR_SECONDS", "3601", "'3601' is not"),
        ("KLING_NB_RATE_LIMITS", "20/10", "'20/10' is not allowed; give create=COUNT/SECONDS"),
        ("KLING_NB_RATE_LIMITS", "create=0/10", "COUNT is 1 to 999999"),
        ("KLING_NB_RATE_LIMITS", "create=20/0", "SECONDS is 0.1 to 3600"),
        ("KLING_NB_RATE_LIMITS", "create=20/10,", "is not allowed"),
        ("KLING_NB_RATE_LIMITS", "create=20/10,create=30/10", "is not allowed"),
        ("KLING_NB_RATE_LIMITS", "tasks=20/10", "is not allowed"),
        ("KLING_NB_RATE_LIMITS", "create=1e3/10", "is not allowed"),
        ("KLING_NB_RATE_LIMITS", "create=-1/10", "is not allowed"),
        ("KLING_NB_RATE_LIMITS", "create=٣/10", "is not allowed"),
        ("KLING_NB_API_URL", "ftp://host", "'ftp://host' is not the URL of a service"),
        ("KLING_NB_API_URL", "api.kie.ai", "is not the URL of a service"),
        ("KLING_NB_API_URL", "https://host?x=1", "is not the URL of a service"),
        ("KLING_NB_API_URL", "http://[::1", "is not a URL"),
        ("KLING_NB_API_URL", "http://localhost:99999", "is not a URL"),
        ("KLING_NB_API_URL", "https://host/a b", "a character that URLs do not allow"),
        ("KLING_NB_API_URL", "https://host/\0", "a character that URLs do not allow"),
        ("KLING_NB_API_URL", "https://hÖst/", "a character that URLs do not allow"),
        ("KLING_NB_API_URL", f"https://host/{'a' * 3000}", "or is too long"),
        ("KLING_NB_UPLOAD_URL", "http://example.org", "would send the key unencrypted"),
        ("KLING_NB_UPLOAD_URL", "http://127.0.0.1.example.org", "would send the key unencrypted"),
    ],
)
def test_values_that_are_refused(variable: str, value: str, words: str) -> None:
    """The message names the setting, what was given and what is allowed."""
    with pytest.raises(ConfigurationError) as caught:
        resolve(environ={variable: value})
    assert str(caught.value).startswith(f"{variable}: ")
    assert words in str(caught.value)


def test_password_in_a_url_is_not_quoted() -> None:
    """A secret in the wrong setting does not end up in a message either."""
    with pytest.raises(ConfigurationError) as caught:
        resolve(api_url=f"https://me:{SECRET}@host", environ={})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.9.9.9:1", "http://localhost:8787", "http://[::1]:80"])
def test_plain_http_on_this_machine(url: str) -> None:
    """A served emulator needs no certificate."""
    assert resolve(api_url=url, environ={}).api_url == url


@pytest.mark.parametrize(
    "value",
    [10**400, 10**5000, -(10**400), [1], "1e999", True],
    ids=["400 digits", "5000 digits", "less", "list", "text", "flag"],
)
def test_seconds_that_are_no_number_of_any_kind(value: object) -> None:
    """One of our errors, short, whatever Python makes of it."""
    with pytest.raises(ConfigurationError, match=r"^emulator_seconds: ") as caught:
        resolve(emulator_seconds=value, environ={})
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("create=40/10", (40, 10.0, 10, 1.0)),
        ("status=5/0.5", (20, 10.0, 5, 0.5)),
        (" status = 5/2 , create = 1 / 60 ", (1, 60.0, 5, 2.0)),
    ],
)
def test_rate_limits_are_read(text: str, limits: tuple[float, ...]) -> None:
    """Each by its name, in any order; one that is not named stays as it is."""
    assert limits_of(resolve(rate_limits=text, environ={})) == limits


def test_rate_limits_are_text() -> None:
    """Any other object is refused as any other setting is, however long it is."""
    with pytest.raises(ConfigurationError, match=r"rate_limits: .* is not allowed") as caught:
        resolve(rate_limits={"create": 9} | dict.fromkeys(range(5000)), environ={})
    assert len(str(caught.value)) < 500


def test_unknown_setting_names_the_nearest() -> None:
    """A misspelt name is a mistake in the call."""
    with pytest.raises(TypeError, match=r"'api_kye'; did you mean api_key\?"):
        resolve(environ={}, **{"api_kye": SECRET})
    with pytest.raises(TypeError, match="allowed: api_key, mode, folder"):
        resolve(environ={}, **{"xyz": 1})


def test_every_setting_can_be_given() -> None:
    """The arguments and the environment variables are the same settings."""
    from kling_nb.jobs.settings import ENVIRONMENT

    assert set(SessionArguments.__annotations__) == set(ENVIRONMENT)


# --- the folder --------------------------------------------------------------------------------


def make_ledger(place: Path) -> Path:
    """A folder of clips with a ledger in it."""
    folder = place / "kling_clips"
    folder.mkdir(parents=True)
    (folder / "ledger.sqlite3").touch()
    return folder


def test_folder_above_is_found(home: Path) -> None:
    """A kernel started in a sub-folder knows what was paid for above it."""
    folder = make_ledger(home / "project")
    below = home / "project" / "notebooks" / "deep"
    below.mkdir(parents=True)
    assert resolve(environ={}, cwd=below).folder == folder


def test_nearest_folder_is_found(home: Path) -> None:
    """Of several the nearest one counts; one without a ledger is not taken for one."""
    (home / "kling_clips").mkdir()
    assert find_folder(home / "project") == home / "project" / "kling_clips"
    (home / "kling_clips").rmdir()
    make_ledger(home)
    assert find_folder(home / "project") == home / "kling_clips"
    near = make_ledger(home / "project")
    assert find_folder(home / "project") == near


def test_folder_above_home_is_not_ours(home: Path, tmp_path: Path) -> None:
    """The search ends at the home directory."""
    make_ledger(tmp_path)
    assert find_folder(home / "project") == home / "project" / "kling_clips"
    assert find_folder(tmp_path / "elsewhere") == tmp_path / "kling_clips"


def test_folder_is_absolute_and_expanded(home: Path, tmp_path: Path) -> None:
    """`~` is the home directory, and a relative folder starts at the working directory."""
    assert resolve(folder="~/clips", environ={}).folder == home / "clips"
    assert resolve(folder="a/../b", environ={}, cwd=tmp_path).folder == tmp_path / "b"


@pytest.mark.parametrize("folder", ["~nobody-of-that-name/clips", 7])
def test_folder_that_is_no_path(folder) -> None:
    """What cannot be a path is refused by name."""
    with pytest.raises(ConfigurationError, match=r"^folder: "):
        resolve(folder=folder, environ={})


def test_a_deleted_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says so; an absolute folder works without it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for given in ({}, {"folder": "clips"}):
        with pytest.raises(
            ConfigurationError, match=r"^folder: the working directory no longer exists"
        ):
            resolve(environ={}, **given)
    assert resolve(folder=tmp_path / "clips", environ={}).folder == tmp_path / "clips"


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("a\0b", "contains a NUL character"),
        ("a\ud800b", "cannot be used"),
        ("x" * 300, "cannot be used"),
        ("file", "is a file; give a folder"),
        ("file/clips/deep", "is a file; give a folder"),
        ("nowhere", "is a broken link"),
        ("nowhere/clips", "is a broken link"),
        ("loop/clips", "cannot be used"),
    ],
)
def test_a_folder_that_cannot_be_made(folder: str, words: str, tmp_path: Path) -> None:
    """Told at once, by argument and by variable, and not at the first write."""
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, given in (("folder", {"folder": folder}), ("KLING_NB_FOLDER", {})):
        environ = {} if given else {"KLING_NB_FOLDER": folder}
        with pytest.raises(ConfigurationError, match=f"^{name}: .*{words}"):
            resolve(environ=environ, cwd=tmp_path, **given)


def test_a_folder_in_a_place_that_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be made; one that is there already may be looked at."""
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigurationError, match=r"^folder: .* is not writable"):
        resolve(folder=tmp_path / "a" / "b", environ={})
    with pytest.raises(ConfigurationError, match=r"^folder: .* is not writable"):
        resolve(environ={}, cwd=tmp_path)
    assert resolve(folder=tmp_path, environ={}).folder == tmp_path


def test_the_environment_is_not_kept() -> None:
    """Settings are read once; nothing that is made from them leads to the key but the key."""
    environ = {"KIE_API_KEY": SECRET, "OTHER": "x"}
    settings = resolve(environ=environ)
    environ.clear()
    assert settings.key == Key(SECRET)
    assert SECRET not in repr(settings)


# --- the keyring -------------------------------------------------------------------------------


def test_login_and_logout(keyring: FakeKeyring) -> None:
    """A saved key is found, a forgotten one is gone."""
    save_key(f" {SECRET} ")
    assert keyring.entries == {("kling_nb", "kie.ai"): SECRET}
    assert read_keyring() == Key(SECRET)
    assert forget_key()
    assert not forget_key()
    assert read_keyring() is None


def test_bad_key_is_not_saved(keyring: FakeKeyring) -> None:
    """What cannot be a key does not reach the keyring."""
    with pytest.raises(ConfigurationError, match=r"^the key: "):
        save_key("two words")
    assert not keyring.entries


def test_failing_backend_is_no_key(keyring: FakeKeyring) -> None:
    """A locked or broken keyring counts as none when a key is looked for."""
    keyring.problem = RuntimeError("locked")
    assert resolve(environ={}).mode == "emulator"


@pytest.mark.parametrize("act", [lambda: save_key(SECRET), forget_key])
def test_failing_backend_is_told_at_login(keyring: FakeKeyring, act) -> None:
    """Who uses the keyring on purpose hears that it fails, and what to do, without the key."""
    keyring.problem = RuntimeError(f"cannot store {SECRET}")
    with pytest.raises(
        ConfigurationError, match=r"cannot be used \(RuntimeError\).*KIE_API_KEY"
    ) as caught:
        act()
    assert SECRET not in str(caught.value)


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra there is no key in it, and login says how to install it."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert resolve(environ={}).mode == "emulator"
    with pytest.raises(ConfigurationError, match=r"pip install 'kling_nb\[keyring\]'"):
        save_key(SECRET)


def test_a_served_emulator_takes_the_uploads_too(tmp_path: Path) -> None:
    """In emulator mode another API address is the upload address as well; live it is not."""
    served = resolve(mode="emulator", api_url="http://127.0.0.1:8787", environ={}, cwd=tmp_path)
    assert served.upload_url == "http://127.0.0.1:8787"
    proxied = resolve(
        mode="live", api_key="sk-test", api_url="http://127.0.0.1:8787", environ={}, cwd=tmp_path
    )
    assert proxied.upload_url == UPLOAD_URL


def test_the_webhook_key() -> None:
    """As given, else from the environment, else none; sealed, and never quoted."""
    environ = {"KIE_WEBHOOK_KEY": f" {SECRET} "}
    assert find_webhook_key(environ={}) is None
    assert find_webhook_key("  ", {}) is None
    assert find_webhook_key(environ=environ) == Key(SECRET)
    assert find_webhook_key("another", environ) == Key("another")
    assert find_webhook_key(Key("sealed"), environ) == Key("sealed")
    assert SECRET not in repr(find_webhook_key(environ=environ))
    with pytest.raises(ConfigurationError, match="KIE_WEBHOOK_KEY: ") as caught:
        find_webhook_key(environ={"KIE_WEBHOOK_KEY": "two words"})
    assert "two words" not in str(caught.value)
