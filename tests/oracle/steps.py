"""What is done to both programs: good commands, bad ones, and what happens to them."""

from __future__ import annotations

from tests.oracle.script import NOTHING, Step
from tests.oracle.world import World

COMMANDS = (
    "ping",
    "version",
    "help",
    "status",
    "reconnect",
    "reboot",
    "talk",
    "disable",
    "enable",
    "simulate",
    "keyword",
    "get_schema",
    "get-command-model",
    "tron-reconnect",
)


async def _hang_up_gfa2(world: World) -> None:
    world.cameras["gfa2"].hang_up()
    await world.printed("gfa2: camera connected", 2)


async def _fvc_is_back(world: World) -> None:
    await world.printed("fvc: camera connected", 2)


def _gfa1_speaks(world: World) -> None:
    world.cameras["gfa1"].say(temperature={"camera": "gfa1", "ccd_temp": -25.5})


def _gfa1_speaks_of_nothing(world: World) -> None:
    world.cameras["gfa1"].say()


def _gfa1_warns(world: World) -> None:
    camera = world.cameras["gfa1"]
    camera._actor.write("e", {"error": "cooler off"}, broadcast=True, validate=False)


async def _engine_goes(world: World) -> None:
    await world.engines["gfa2"].close()


async def _engine_comes(world: World) -> None:
    await world.engines["gfa2"].start()


async def _engine_is_noticed(world: World) -> None:
    await world.printed("gfa2: Docker Engine answers again")


def _gfa3_will_live(world: World) -> None:
    world.revived.add("gfa3")


def _power_fails(world: World) -> None:
    world.hub.fails.add("jaeger ieb switch --off nuc-gfa2")


def _power_works(world: World) -> None:
    world.hub.fails.clear()


STATUS_ENDS = r"\d+ d volume=fvc,"
"""The status of the last node, which the original tells when all has happened."""

HEADERS = [
    Step("ping"),
    Step("ping", whole=True, by="B"),
    Step("apo.user 2 ping", whole=True),
    Step("APO.Expert.Sub 8 ping", whole=True),
    Step(".user 7 ping", whole=True),
    Step("user 9 ping", whole=True),
    Step("3 4 version", whole=True),
    Step("3 4 5 version", whole=True, until="0 0 f"),
    Step("007 ping", whole=True),
    Step("0 ping", whole=True, until="1 0 :"),
    Step("99999999999 ping", whole=True),
    Step("5", whole=True, until="0 0 f"),
    Step("5 6", whole=True, until="0 0 f"),
    Step("18 !!", whole=True, until="0 0 f"),
    Step("11 -5 ping", whole=True, until="0 0 f"),
    Step("apo.user", whole=True),
    Step("apo.user 12", whole=True),
    Step("   ", whole=True, until=NOTHING, limit=0.3),
    Step("   21   ping   ", whole=True),
    Step("22 ping\r", whole=True),
    Step("_underscore"),
    Step("PING"),
    Step("ping -5"),
    Step("ping extra"),
    Step("ping --nope"),
    Step("version extra words"),
    Step("bogus"),
    Step("bogus --option value"),
    Step("stat"),
    Step("pin"),
    Step("Ñandú", until="0 0 f"),
]

MODEL = [
    Step("version"),
    Step("get_schema"),
    Step("get-schema"),
    Step("keyword text"),
    Step("keyword error"),
    Step("keyword filename"),
    Step("keyword"),
    Step("keyword text version"),
    Step("get-command-model ping", theirs=r"\d+ e error="),
    Step("get_command_model ping"),
    Step("get-command-model nope"),
]

HELP = [
    Step("--help"),
    Step("help"),
    Step("help --help"),
    *(Step(f"{name} --help") for name in COMMANDS if name != "help"),
    Step("help talk"),
    Step("help nope"),
    Step("help talk status"),
    Step('help "talk"'),
    Step("bogus --help"),
    Step("talk -n gfa1 --help"),
    Step("--help", whole=True, by="B"),
    Step("status --helpme"),
]

STATUS = [
    Step("status"),
    Step("status --nope"),
    Step("status extra"),
    Step("status -5"),
    Step("status", whole=True, by="B"),
]

TALK = [
    Step("talk status", mixed=True),
    Step("talk -n gfa1 status"),
    Step("talk --names gfa1,gfa2 status", mixed=True),
    Step("talk --names=gfa1 status"),
    Step('talk -n "gfa1, gfa2" quiet', mixed=True),
    Step("talk -c fvc status"),
    Step("talk --category fvc quiet"),
    Step("talk -c gfa quiet", mixed=True),
    Step("talk -c gfa,fvc quiet", mixed=True),
    Step("talk -c gf quiet"),
    Step("talk -n fvc -c gfa quiet", mixed=True),
    Step("talk -n nope quiet"),
    Step("talk -n gfa1,nope quiet"),
    Step("talk -n gfa4 quiet"),
    Step("talk -c nope quiet"),
    Step("talk -n"),
    Step("talk", limit=3, mixed=True),
    Step("talk -n gfa1", limit=3),
    Step("talk -n gfa3 quiet"),
    Step("talk -n gfa1 levels"),
    Step("talk -n gfa1 fail"),
    Step("talk -n gfa1,gfa2 fail gfa2", mixed=True),
    Step("talk -n gfa1,gfa2 fail", mixed=True),
    Step("talk -n gfa1 bogus"),
    Step("talk -n gfa1 help ping"),
    Step("talk -n gfa1 print-help"),
    Step("talk -n gfa1 ping"),
    Step("talk -n gfa1 version"),
    Step("talk -n gfa1 announce"),
    Step("talk -n gfa1 announce", whole=True, by="B"),
    Step("talk -n gfa1 nasty yes"),
    *(
        Step(f"talk -n gfa1 nasty {keyword}")
        for keyword in (
            "semicolon",
            "comma",
            "equals",
            "double",
            "single",
            "quoted",
            "half",
            "backslash",
            "tab",
            "empty",
            "blank",
            "nothing",
            "number",
            "no_values",
            "mixed",
            "mapping",
            "accent",
        )
    ),
    Step("talk -n gfa1 echo two words"),
    Step('talk -n gfa1 echo "two words"'),
    Step("talk -n gfa1 echo 'a' b"),
    Step("talk -n gfa1 echo -5"),
    Step("talk -n gfa1 echo --option value"),
    Step("talk -n gfa1 echo -x value"),
    Step("talk -n gfa1 echo -- -n 3"),
    Step("talk -n gfa1 -- echo -n 3"),
    Step("talk echo -n gfa1"),
    Step("talk -n gfa1 -- echo a;b"),
    Step("talk -n gfa1 -- echo --help"),
    Step("talk -n gfa1 echo a=b"),
    Step('talk -n gfa1 echo ""'),
    Step("talk -n gfa1 expose 0"),
    Step("talk -n gfa1 -- expose -n 31 0"),
    Step("talk -c gfa -- expose -n 32 0.05", mixed=True),
    Step("talk -n gfa1,gfa2,fvc -- expose --flavour dark 0.01", mixed=True),
    Step("talk -n gfa1 expose minus", by="B"),
    Step("talk -n gfa1 sleep 0.2"),
    Step('talk -n gfa1 echo "unbalanced', by="C"),
    Step("ping", note="after a wrong quote", by="C"),
]

EVENTS = [
    Step("(gfa1 speaks)", act=_gfa1_speaks, until=r"0 0 \S temperature=gfa1"),
    Step("(gfa1 speaks of nothing)", act=_gfa1_speaks_of_nothing, limit=0.4),
    Step("(gfa1 warns)", act=_gfa1_warns, until=r"0 0 \S error=gfa1"),
]

ABLE = [
    Step("disable gfa2"),
    Step("disable gfa2 gfa2"),
    Step("status", note="gfa2 is disabled"),
    Step("talk -c gfa levels", mixed=True),
    Step("talk -n gfa2 levels"),
    Step("talk -n gfa1,gfa2 levels", mixed=True),
    Step("disable zzz"),
    Step("disable gfa1 zzz fvc"),
    Step("disable"),
    Step("disable --nope"),
    Step("disable gfa4"),
    Step("enable"),
    Step("enable zzz"),
    Step("enable gfa1 zzz gfa2 fvc"),
    Step("enable --nope"),
    Step("status", note="all are enabled"),
    Step("disable -a"),
    Step("status", note="all are disabled"),
    Step("talk quiet"),
    Step("enable --all"),
    Step("status", note="all are enabled again"),
    Step("disable gfa4 spare"),
]

SIMULATE = [
    Step("simulate"),
    Step("simulate --stop"),
    Step("simulate nothing/*.fits"),
    Step("simulate --delay soon nothing/*"),
    Step("simulate --delay 30 FILES/*.fits", until=r"1 \d+ i filename=fvc"),
    Step("simulate --delay 1 FILES/*.fits"),
    Step("simulate --stop", note="it runs", until=r"1 \d+ f "),
    Step("simulate --stop", note="it has ended"),
    Step("disable gfa1", note="while it simulates"),
    Step("simulate --delay 31 FILES/*.fits", until=r"1 \d+ i filename=fvc"),
    Step("simulate --stop --random", until=r"1 \d+ f "),
    Step("enable gfa1"),
    Step("simulate --random --delay 30 FILES/b*", until=r"1 \d+ i filename=fvc"),
    Step("simulate FILES/* --stop", until=r"1 \d+ f "),
]

ENGINES = [
    Step("status", note="an engine is away", act=_engine_goes),
    Step("reconnect --names gfa2", note="its engine is away"),
    Step("status", note="it is back", act=_engine_comes),
    Step("(it is noticed)", act=_engine_is_noticed, limit=0.1),
]

RECONNECT = [
    Step("reconnect --names gfa1"),
    Step("reconnect -n gfa1 --force"),
    Step("talk -n gfa1 quiet", note="after reconnect"),
    Step("reconnect -n gfa3", act=_gfa3_will_live),
    Step("talk -n gfa3 levels"),
]

TRON = [
    Step("tron-reconnect"),
    Step("reboot -n gfa1", theirs=STATUS_ENDS),
    Step("reboot --hard -n gfa2", act=_power_fails),
    Step("(it goes on all the same)", theirs=STATUS_ENDS, limit=1.0),
    Step("reboot -n gfa1 -f", act=_power_works, theirs=STATUS_ENDS),
]

NODES = [
    Step("enable gfa4"),
    Step("status", note="gfa4 is enabled"),
    Step("talk -n gfa4 levels"),
    Step("disable gfa4", note="which was enabled"),
    Step("enable spare"),
    Step("talk -c gfa version", mixed=True),
    Step("disable spare"),
]

LOSS = [
    Step("(gfa2 hangs up)", act=_hang_up_gfa2, limit=1.0),
    Step("talk -n gfa2 quiet", note="after it hung up"),
    Step("talk -n fvc hangup", limit=2),
    Step("(fvc is back)", act=_fvc_is_back, limit=1.0),
]

STEPS = [
    *HEADERS,
    *MODEL,
    *HELP,
    *STATUS,
    *TALK,
    *EVENTS,
    *ABLE,
    *SIMULATE,
    *ENGINES,
    *RECONNECT,
    *TRON,
    *NODES,
    *LOSS,
]
