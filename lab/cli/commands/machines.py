"""`machines`: hosts, their slots and what they train, why other runs wait; join tokens, drain, remove, and logs."""

import click

from lab.cli.output import echo, json_flag, print_json, print_table
from lab.errors import InputError
from lab.service.lab import Lab
from lab.service.machines import MachinesView


@click.group(invoke_without_command=True)
@json_flag
@click.pass_context
def machines(context: click.Context, as_json: bool) -> None:
    """Show the hosts, their slots and what they train, and why other runs wait."""
    if context.invoked_subcommand is None:
        _show(context.obj.machines.show(), as_json)


@machines.command()
@click.option("--database", default="", help="Address of the store for other machines. [default: LAB_DATABASE]")
@click.option("--artifacts", default="", help="Address of the saved files, likewise. [default: LAB_ARTIFACTS]")
@json_flag
@click.pass_obj
def token(lab: Lab, database: str, artifacts: str, as_json: bool) -> None:
    """Print a token with which another machine can join by `convlab worker --join TOKEN`.

    The token contains the passwords in both addresses.
    """
    text = lab.machines.make_token(database=database, artifacts=artifacts)
    if as_json:
        print_json({"token": text})
    else:
        click.echo(text)


@machines.command()
@click.argument("host")
@click.option("--undo", is_flag=True, help="Let the host take runs again.")
@json_flag
@click.pass_obj
def drain(lab: Lab, host: str, undo: bool, as_json: bool) -> None:
    """Drain HOST: it saves its runs, returns them to the queue and takes no others."""
    (lab.machines.undrain if undo else lab.machines.drain)(host)
    _show(lab.machines.show(), as_json)


@machines.command()
@click.argument("host")
@json_flag
@click.pass_obj
def remove(lab: Lab, host: str, as_json: bool) -> None:
    """Remove HOST from the list; its runs return to the queue, and it must join again to come back."""
    lab.machines.remove(host)
    _show(lab.machines.show(), as_json)


@machines.command("log")
@click.argument("run")
@json_flag
@click.pass_obj
def log_(lab: Lab, run: str, as_json: bool) -> None:
    """Print the last log lines of the worker of RUN, whichever machine it is on."""
    found = lab.store.runs.resolve(run)
    log = lab.store.logs.read(found.id)
    lines = log.lines if log else ()
    if log is None and found.executor:  # its worker ended before it could claim the run
        lines = tuple(lab.machines.jobs.log(found).splitlines())
    if as_json:
        print_json({"run": found.id, "host": log.host if log else None, "lines": list(lines)})
        return
    if not lines:
        raise InputError(f"No worker has logged anything for run {found.id} yet: it is {found.status}.")
    echo("\n".join(lines))


def _show(view: MachinesView, as_json: bool) -> None:
    if as_json:
        print_json(_as_dict(view))
        return
    rows = [
        (host.host, host.state.value, "yes" if slot.alive else "no", slot.slot, slot.device, slot.run)
        for host in view.hosts
        for slot in host.slots
    ]
    print_table(("host", "state", "worker", "slot", "device", "run"), rows)
    for host in view.hosts:
        if host.reason:
            echo(f"{host.host}: {host.reason}")
    if view.waiting:
        echo("")
        print_table(
            ("waiting run", "name", "why"), [(entry.run.id, entry.run.name, entry.why) for entry in view.waiting]
        )


def _as_dict(view: MachinesView) -> dict[str, object]:
    return {
        "hosts": [
            {
                "host": host.host,
                "alive": host.alive,
                "engine": host.engine,
                "state": host.state.value,
                "reason": host.reason,
                "slots": [{"slot": slot.slot, "device": slot.device, "run": slot.run} for slot in host.slots],
            }
            for host in view.hosts
        ],
        "waiting": [{"run": entry.run.id, "why": entry.why} for entry in view.waiting],
    }
