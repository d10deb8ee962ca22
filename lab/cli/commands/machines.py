"""`machines`: hosts, their slots and what they train; and why the other runs wait."""

import click

from lab.cli.output import echo, json_flag, print_json, print_table
from lab.service.lab import Lab
from lab.service.machines import MachinesView


@click.command()
@json_flag
@click.pass_obj
def machines(lab: Lab, as_json: bool) -> None:
    """Show which hosts train, in which slots and what, and why the other runs wait."""
    view = lab.machines.show()
    if as_json:
        print_json(_as_dict(view))
        return
    rows = [
        (host.host, "yes" if slot.alive else "no", slot.slot, slot.device, slot.run)
        for host in view.hosts
        for slot in host.slots
    ]
    print_table(("host", "worker", "slot", "device", "run"), rows)
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
                "slots": [{"slot": slot.slot, "device": slot.device, "run": slot.run} for slot in host.slots],
            }
            for host in view.hosts
        ],
        "waiting": [{"run": entry.run.id, "why": entry.why} for entry in view.waiting],
    }
