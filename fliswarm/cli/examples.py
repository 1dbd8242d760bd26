"""Examples of each command, below its help."""

from __future__ import annotations

EXAMPLES = {
    "up": (
        ("up -i inventory/apo", "bring a site up"),
        ("up -i inventory/apo -- -K", "... and be asked for the password of sudo"),
    ),
    "down": (("down -i inventory/apo", "take a site down"),),
    "provision": (
        ("provision -i inventory/apo --check", "what would change on the hosts"),
        ("provision -i inventory/apo --limit gfa7", "... change it on one"),
    ),
    "import": (
        ("import old.yaml --site apo --dry-run", "what would be written"),
        ("import old.yaml --site apo -o inventory/apo", "... write it"),
    ),
    "image": (
        ("image list", "what there is, and which container uses it"),
        ("image save sdss/flicamera:latest flicamera.tar", "from a node that has it"),
        ("image load flicamera.tar -n gfa1..3", "to nodes"),
        ("image push flicamera.tar -i inventory/apo", "into the site's registry"),
        ("image prune --yes", "take away what nothing needs"),
    ),
    "status": (
        ("status", "the fleet as a table"),
        ("status -c gfa -x gfa3", "a category, without one of it"),
        ("status --json | jq .camera", "for programs"),
    ),
    "talk": (
        ("talk -n gfa1 status", "a command for one camera"),
        ("talk -c gfa expose 5", "an exposure on a category"),
        ("talk -c gfa -- expose -n 7 1.0", "a command with options of its own"),
        ("talk --strict --timeout 3 status", "fail when any camera does"),
    ),
    "reconnect": (
        ("reconnect", "make all nodes as they should be"),
        ("reconnect --dry-run", "say what that would be"),
        ("reconnect -n gfa2 --force", "replace the container of one"),
    ),
    "plan": (
        ("plan -i inventory/apo", "what the inventory would change"),
        ("plan -i inventory/apo -o night.plan", "... and keep it, for apply"),
    ),
    "apply": (
        ("apply -i inventory/apo", "say what would change, ask, and change it"),
        ("apply -i inventory/apo night.plan --yes", "what a saved plan says"),
    ),
    "update": (
        ("update --dry-run", "what the configuration's image would change"),
        ("update --image :2.1 --canary gfa1", "another tag, one camera first"),
        ("update --canary 10% --monitor 60 --all", "all or nothing"),
    ),
    "rollback": (
        ("rollback", "to the release before"),
        ("rollback 7 -n gfa1", "one node, to a certain one"),
    ),
    "releases": (("releases", "which there are, and which node has which"),),
    "doctor": (
        ("doctor", "what is wrong, and what to do about it"),
        ("doctor -n gfa3 --json", "of one node, for programs"),
    ),
    "audit": (
        ("audit", "who changed what"),
        ("audit --since 2h --json", "... in the last two hours, for programs"),
    ),
    "lock": (
        ("lock --reason 'new cables'", "keep others away until you interrupt it"),
        ("lock -n gfa1 --reason trial -- ./trial.sh", "... or as long as a program"),
        ("lock break --reason 'they went home'", "take another's lock away"),
    ),
    "remove": (
        ("remove -n gfa7", "take a node's container away"),
        ("remove --left", "... and what is left where no node is any more"),
    ),
    "enable": (
        ("enable gfa3", "let commands reach a node again"),
        ("enable --all", "... or all of them"),
    ),
    "disable": (
        ("disable gfa3 --reason 'its shutter is stuck'", "leave a node out"),
        ("disable gfa4..6", "... or some"),
    ),
    "reboot": (
        ("reboot -n gfa2", "start a computer anew"),
        ("reboot -n gfa2 --hard", "... by switching its power"),
    ),
    "events": (
        ("events", "what happens, from now on"),
        ("events --since 2h --grep gfa3", "... and in the last two hours, of one"),
        ("events --json", "for programs"),
    ),
    "logs": (
        ("logs gfa1", "the last lines of a camera's program"),
        ("logs -f", "all cameras, as it comes"),
        ("logs --since 22:30 --json gfa1", "for programs"),
        ("logs -n 1000 --grep 'error|timeout' gfa1 gfa2", "what looks bad"),
    ),
    "exec": (
        ("exec -- df -h /data", "run a program in all containers"),
        ("exec -n gfa1 --timeout 5 -- df -h /data", "in one, for five seconds"),
    ),
    "send": (
        ("send help", "all commands of the actor"),
        ("send 'talk -n gfa1 status'", "one word is the whole command"),
    ),
    "reload": (
        ("reload --check", "whether anything would change"),
        ("reload", "follow the configuration"),
    ),
    "start": (
        ("start", "as a service of its own"),
        ("start --debug", "in the foreground"),
    ),
    "stop": (("stop", "end the controller; the cameras go on"),),
    "restart": (("restart", "end it and start it"),),
    "actor": (("actor status", "tell whether the controller runs"),),
    "dial-stdio": (("dial-stdio", "join input and output with the controller"),),
    "completion": (
        ("completion bash > /etc/bash_completion.d/fliswarm", "for bash"),
        ("completion zsh > ~/.zfunc/_fliswarm", "for zsh, with ~/.zfunc in $fpath"),
        ("completion fish > ~/.config/fish/completions/fliswarm.fish", "for fish"),
    ),
}
"""Words after ``fliswarm``, and what they do, by command."""


def examples(name: str) -> str:
    """Return the examples of a command as lines; empty when it has none."""
    shown = EXAMPLES.get(name, ())
    if not shown:
        return ""
    lines = ["Examples:"]
    for words, meaning in shown:
        lines += [f"  # {meaning}", f"  fliswarm {words}"]
    return "\n".join(lines)
