"""What a camera's container sees: one short program in it, and what it prints."""

from __future__ import annotations

from collections.abc import Sequence

from fliswarm.model.signs import Inside, Place, Space, UsbDevice

USB_DEVICES = "/sys/bus/usb/devices"
"""Where the kernel lists the devices on the bus, in a container too."""

USB_FILES = "/dev/bus/usb"

FLI_VENDOR = "0f18"
"""The number of Finger Lakes Instrumentation among the makers of USB devices."""

SHARE = 0.6
"""Part of the time for the program in which a folder has to say how full it is. A dead
server of one that is mounted `hard` holds whoever asks for ever, but for a kill."""

KILLED = (124, 137, 143)
"""How ``timeout`` says, from one system to another, that it had to kill."""

LACKING = (125, 126, 127)
"""How a shell says that there is no such program, or ``timeout`` that it cannot."""

PROGRAM = r"""
patience=$1 devices=$2 files=$3 vendor=$4
shift 4
look() {
  said=$(timeout -s KILL "$patience" stat -f -c '%a %S %d %c' "$2" 2>&1)
  echo "place $1 $? $said"
}
number=0
for place in "$@"; do
  look $number "$place" &
  number=$((number + 1))
done
if [ -d "$devices" ]; then
  echo bus
  for device in "$devices"/*; do
    [ -r "$device/idVendor" ] && read -r maker <"$device/idVendor" || continue
    [ "$maker" = "$vendor" ] || continue
    read -r product <"$device/idProduct"
    read -r bus <"$device/busnum"
    read -r number <"$device/devnum"
    file=$(printf '%s/%03d/%03d' "$files" "$bus" "$number")
    access=closed
    if [ ! -e "$file" ]; then
      access=missing
    elif (: <>"$file") 2>/dev/null; then
      access=open
    fi
    echo "usb $product $file $access"
  done
fi
wait
echo end
"""
"""Prints a line a place and a device; changes nothing. For any POSIX shell, with the
programs ``stat`` and ``timeout`` of GNU or of busybox."""


def words(volumes: Sequence[str], patience: float) -> list[str]:
    """Return the program and its words.

    Parameters
    ----------
    volumes
        The mount points of the volumes.
    patience
        Seconds for each of them to answer.
    """
    settings = [f"{patience:g}", USB_DEVICES, USB_FILES, FLI_VENDOR]
    return ["sh", "-c", PROGRAM, "sh", *settings, "/", *volumes]


def read(printed: str, volumes: Sequence[str]) -> Inside | None:
    """Return what the program has seen; ``None`` when it did not come to its end."""
    lines = [line.split(" ", 3) for line in printed.splitlines()]
    if ["end"] not in lines:
        return None
    said = {
        int(line[1]): line[2:]
        for line in lines
        if line[0] == "place" and line[1:] and line[1].isdecimal()
    }
    places = [
        _place(path, said.get(number, []))
        for number, path in enumerate(["/", *volumes])
    ]
    devices = [UsbDevice(*line[1:]) for line in lines if line[0] == "usb" and line[3:]]
    return Inside(places[0], tuple(places[1:]), ["bus"] in lines, tuple(devices))


def _place(path: str, said: Sequence[str]) -> Place:
    if not said or not said[0].isdecimal() or int(said[0]) in LACKING:
        return Place(path)
    code, text = int(said[0]), said[1] if said[1:] else ""
    if code in KILLED:
        return Place(path, silent=True, problem="it does not answer")
    if code:
        return Place(path, problem=text.rpartition(": ")[2] or f"status {code}")
    try:
        blocks, size, left, files = map(int, text.split())
    except ValueError:
        return Place(path)
    # A file system that makes its inodes as it goes tells none, or zero of zero.
    return Place(path, Space(blocks * size, left if files > 0 else None))
