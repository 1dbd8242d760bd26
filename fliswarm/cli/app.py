"""The ``fliswarm`` command group, and how errors reach its user."""

from __future__ import annotations

import importlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from fliswarm import __version__
from fliswarm.cli.examples import examples
from fliswarm.errors import EXIT_FAILED, FliswarmError, NotRunningError, UsageError

COMMANDS = {
    "start": "daemon",
    "stop": "daemon",
    "restart": "daemon",
    "actor": "daemon",
    "dial-stdio": "daemon",
    "status": "fleet",
    "talk": "fleet",
    "reconnect": "fleet",
    "update": "fleet",
    "rollback": "fleet",
    "releases": "releases",
    "remove": "fleet",
    "enable": "fleet",
    "disable": "fleet",
    "logs": "follow",
    "doctor": "doctor",
    "reload": "fleet",
    "reboot": "fleet",
    "events": "follow",
    "exec": "follow",
    "send": "fleet",
    "audit": "audit",
    "lock": "lock",
    "provision": "site",
    "up": "site",
    "down": "site",
    "plan": "plan",
    "apply": "plan",
    "completion": "complete",
    "import": "importing",
    "image": "image",
}
"""Which module of this package has which command; read only when it is used."""


EXIT_CUT_OFF = 141
"""As of a program that a shell's pipe ended: 128 and the number of the signal."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the group's own options said."""

    config: Path | None
    host: str | None
    nodes: list[str] | None

    def socket(self) -> Path:
        """Return the control socket's path on this computer."""
        from fliswarm import config
        from fliswarm.faces.control.address import default_socket

        if self.host is not None and self.host.startswith("unix:"):
            from fliswarm.faces.control.client import controller

            return Path(controller(self.host).path)
        return config.socket(config.find(self.config)) or default_socket()

    def here(self, verb: str) -> None:
        """Refuse to start or stop a controller here when another one is meant."""
        if self.host is None:
            return
        import shlex

        from fliswarm.faces.control.client import controller
        from fliswarm.net import ssh

        address = controller(self.host)
        if address.scheme == "ssh":
            there = [*ssh.command(), *ssh.target(address)]
            remedy = shlex.join([*there, "sudo", "systemctl", verb, "fliswarm"])
            raise UsageError(
                f"{verb} is for a controller on this computer, and -H or $FLISWARM_HOST"
                f" says {self.host}. Remedy: {remedy}"
            )
        if verb != "stop":
            raise UsageError(
                f"{verb} takes its socket from the configuration, and -H or"
                f" $FLISWARM_HOST says {self.host}. Remedy: control.socket in the"
                " configuration, and neither of these"
            )


class _Group(click.Group):
    """Finds commands by name and imports only the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if name not in ("actor", "dial-stdio")]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"fliswarm.cli.{COMMANDS[name]}")
        # Python has some of our words for itself.
        for python in (name.replace("-", "_"), f"{name}_"):
            if isinstance(command := getattr(module, python, None), click.Command):
                break
        assert isinstance(command, click.Command)
        if shown := examples(name):
            command.epilog = f"\b\n{shown}"
        return command

    def format_commands(
        self,
        ctx: click.Context,
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(HELP.items()))


HELP = {
    "up": "Provision the site, start the controller, launch all cameras.",
    "down": "Remove the camera containers and stop the controller.",
    "plan": "Say what the inventory would change, on hosts and nodes.",
    "apply": "Carry out what plan says, or a plan that was saved.",
    "provision": "Run the playbooks over the site.",
    "import": "Write an inventory from a configuration of sdss-fliswarm.",
    "status": "Show the fleet; exits with 1 when fliswarm is not running.",
    "doctor": "Find what is wrong with the fleet, and tell the remedy.",
    "talk": "Send a command to selected or all cameras.",
    "reconnect": "Make containers as they should be and reconnect the cameras.",
    "update": "Bring nodes to another image, canary first, and back if one fails.",
    "rollback": "Bring nodes back to the release before, or to a given one.",
    "releases": "List the releases, and which node has which.",
    "remove": "Stop and remove camera containers.",
    "enable": "Let commands reach a node.",
    "disable": "Leave a node out of all commands.",
    "reboot": "Start camera computers anew, and wait for their cameras.",
    "events": "Tell what happens in the fleet, until interrupted.",
    "logs": "Show what the cameras' programs printed; -f goes on with it.",
    "exec": "Run a program in the cameras' containers.",
    "lock": "Keep changes of others away, until interrupted or during a program.",
    "audit": "Show who changed what, when, and how it ended.",
    "image": "List images, and bring them to nodes and registry by archives.",
    "send": "Send any actor command, as telescope software does.",
    "reload": "Let the controller read its configuration again.",
    "start": "Start the controller on this computer.",
    "stop": "Stop the controller on this computer.",
    "restart": "Stop the controller, then start it.",
    "completion": "Print what completes commands and nodes in your shell.",
}

EXIT_CODES = """\b
Exit codes:
  0  done
  1  fliswarm is not running, a command failed, or faults of several kinds
  2  the command is wrong, or names a node that is none
  3  the configuration or the inventory is wrong
  4  the controller, a node, its engine or its camera cannot be reached
  5  a playbook failed
  130  interrupted; exec: the greatest code of the program

\b
Environment: FLISWARM_HOST, FLISWARM_CONFIG, FLISWARM_INVENTORY,
FLISWARM_SSH_COMMAND, NO_COLOR. Examples: fliswarm COMMAND --help.
"""


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="fliswarm")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help="The controller's configuration. Default: $FLISWARM_CONFIG, "
    "/etc/fliswarm/fliswarm.yaml, the packaged SDSS sites.",
)
@click.option(
    "-H",
    "--host",
    envvar="FLISWARM_HOST",
    help="Where the controller is: ssh://user@manager. Default: $FLISWARM_HOST, here.",
)
@click.option("--nodes", help="Comma-separated nodes to enable, for start.")
@click.pass_context
def fliswarm(
    context: click.Context, config: Path | None, host: str | None, nodes: str | None
) -> None:
    """Run a fleet of camera computers as one."""
    context.obj = Options(config, host, split(nodes))


def split(names: str | None) -> list[str] | None:
    """Return the names of a comma-separated list, ``None`` when there is no list."""
    if names is None:
        return None
    return [name.strip() for name in names.split(",") if name.strip()]


def main() -> None:
    """Run the command line; errors become one message and an exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a sign shows another one.
        sys.stdout.reconfigure(errors="replace")
    try:
        # Without standalone mode, click returns the code of a command that exits early.
        code = fliswarm.main(standalone_mode=False, prog_name="fliswarm")
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("fliswarm: interrupted", err=True)
        sys.exit(130)
    except NotRunningError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except FliswarmError as error:
        click.echo(f"fliswarm: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has had enough of it.
        os._exit(EXIT_CUT_OFF)
    except OSError as error:
        # What the system refuses, such as a disk that is full, is no fault of ours.
        click.echo(f"fliswarm: {error}", err=True)
        sys.stderr.flush()
        # What could not be written would be tried once more.
        os._exit(EXIT_FAILED)
