#!/bin/sh
# What makes a root file system a bare host of the lab. Called by mmdebstrap with the root's path.
set -eu
root=$1

chroot "$root" useradd --create-home --shell /bin/bash lab
install -d -m 0700 "$root/home/lab/.ssh"
chroot "$root" chown lab: /home/lab/.ssh
echo 'lab ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/lab"

# Every host makes its own identity when it first starts.
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_*
install -d "$root/etc/systemd/system/ssh.service.d"
cat >"$root/etc/systemd/system/ssh.service.d/lab.conf" <<'EOF'
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
EOF
cat >"$root/etc/ssh/sshd_config.d/lab.conf" <<'EOF'
PasswordAuthentication no
MaxStartups 100
EOF

# The kernel and its devices belong to the machine around: a host must not set them up anew,
# nor take its consoles. Timers of apt would hold apt's lock at times of their own choosing.
for unit in systemd-sysctl.service systemd-modules-load.service systemd-udev-trigger.service \
    systemd-udev-settle.service proc-sys-fs-binfmt_misc.automount sys-kernel-debug.mount sys-kernel-tracing.mount \
    getty.target apt-daily.timer apt-daily-upgrade.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

# Camera computers have a USB bus, whether or not a camera is plugged in.
echo 'd /dev/bus/usb 0755 root root' >"$root/etc/tmpfiles.d/lab.conf"

# What the roles install is at hand, so that many hosts fetch it once. Nothing of it is installed.
chroot "$root" apt-get clean
chroot "$root" apt-get install --quiet --quiet --yes --download-only \
    docker.io docker-registry nfs-common python3-venv >/dev/null

# What the lab's own engine needs for privileged containers, the engines in its hosts need as well.
runtime=$(dirname "$0")/oci-runtime
if [ -n "$("$runtime" needed)" ]; then
    install -D -m 0755 "$runtime" "$root/usr/local/sbin/lab-oci-runtime"
    install -d "$root/etc/docker"
    cat >"$root/etc/docker/daemon.json" <<'EOF'
{
  "default-runtime": "lab",
  "runtimes": {
    "lab": {
      "path": "/usr/local/sbin/lab-oci-runtime"
    }
  }
}
EOF
fi
