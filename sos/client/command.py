"""How commands are declared: mc's flags that every command takes, its short forms, and its exit codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from .session import Session

F = TypeVar("F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": ["-h", "--help"]}
#: mc's other names of commands.
SYNONYMS = {"ls": "list", "rm": "remove", "i": "import", "e": "export", "list": "ls", "remove": "rm", "host": "alias"}


class Group(click.Group):
    """Commands with mc's synonyms."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or super().get_command(ctx, SYNONYMS.get(cmd_name, ""))


def group(above: click.Group, name: str) -> Callable[[Callable[[], None]], Group]:
    """A family of commands; its function does nothing but carry the help."""

    def declare(function: Callable[[], None]) -> Group:
        made = above.group(name, cls=Group, context_settings=SETTINGS)(common(function))
        assert isinstance(made, Group)
        return made

    return declare


def _switch(attribute: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def take(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        session = context.find_object(Session)
        if value and session is not None:
            setattr(session if attribute == "insecure" else session.console, attribute, True)

    return take


def _directory(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    session = context.find_object(Session)
    if value and session is not None:
        session.directory = Path(value)


def _nothing(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """A flag of mc that changes nothing here: there is no pager and no colour."""


_COMMON: list[Callable[[Any], Any]] = [
    click.option("--json", is_flag=True, expose_value=False, is_eager=True, envvar="MC_JSON",
                 callback=_switch("as_json"), help="JSON lines, with mc's names."),
    click.option("-q", "--quiet", is_flag=True, expose_value=False, is_eager=True, envvar="MC_QUIET",
                 callback=_switch("quiet"), help="No progress bar."),
    click.option("-C", "--config-dir", expose_value=False, is_eager=True, callback=_directory, metavar="DIR",
                 help="Where config.json is; also MC_CONFIG_DIR."),
    click.option("--insecure", is_flag=True, expose_value=False, is_eager=True, envvar="MC_INSECURE",
                 callback=_switch("insecure"), help="Take any TLS certificate."),
    click.option("--no-color", is_flag=True, expose_value=False, hidden=True, callback=_nothing),
    click.option("--disable-pager", "--dp", is_flag=True, expose_value=False, hidden=True, callback=_nothing),
]  # fmt: skip


def common(function: F) -> F:
    for option in reversed(_COMMON):
        function = option(function)
    return function


def command(group: click.Group, name: str, **named: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """A command with the common flags; its function takes the session first."""

    def declare(function: Callable[..., Any]) -> click.Command:
        made = common(click.pass_obj(function))
        return group.command(name, context_settings=SETTINGS, **named)(made)

    return declare


def switches(group: click.Group, *, enable: str, disable: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """``enable`` and ``disable``, both with ALIAS NAME; their function takes ``status`` too: ``enabled`` or ``disabled``.

    :param enable, disable: the help of each
    """

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        for name, text in (("enable", enable), ("disable", disable)):
            switch = partial(function, status=f"{name}d")
            command(group, name, help=text)(click.argument("alias")(click.argument("name")(switch)))
        return function

    return declare


def flag(*names: str, text: str = "", hidden: bool = False) -> Callable[[Any], Any]:
    return click.option(*names, is_flag=True, help=text, hidden=hidden)


def value(*names: str, text: str = "", default: str = "", many: bool = False) -> Callable[[Any], Any]:
    if many:
        return click.option(*names, multiple=True, help=text, metavar="VALUE")
    return click.option(*names, default=default, help=text, metavar="VALUE")


def targets(name: str = "targets", required: bool = True) -> Callable[[Any], Any]:
    return click.argument(name, nargs=-1, required=required)
