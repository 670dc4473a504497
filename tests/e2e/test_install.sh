#!/bin/bash
# `make install` under DESTDIR, as a package build does it: everything is in its place, an operator's configuration is
# never overwritten, the units are sound and hardened, and uninstall leaves nothing of ours but the configuration.
set -eu
cd "$(dirname "$0")/../.."
: "${TMPDIR:=/tmp}"
root=$(mktemp -d "$TMPDIR/install.XXXXXX")
trap 'rm -rf "$root"' EXIT

# The very flags that the runner built build/check with, so that nothing is compiled again.
make_it() {
	make --no-print-directory MODE="${MODE:-check}" CC=gcc WERROR=-Werror DESTDIR="$root" PREFIX=/usr "$@"
}
fail() {
	echo "FAILED: $*"
	exit 1
}

make_it install
for file in usr/bin/rolloutd usr/bin/rolloutctl usr/bin/rollout-localaws etc/rolloutd/rolloutd.yaml \
	usr/lib/systemd/system/rolloutd.service usr/lib/systemd/system/rolloutd.socket \
	usr/lib/sysusers.d/rolloutd.conf usr/lib/tmpfiles.d/rolloutd.conf \
	usr/share/man/man8/rolloutd.8 usr/share/man/man1/rolloutctl.1 \
	usr/share/bash-completion/completions/rolloutctl usr/share/zsh/site-functions/_rolloutctl; do
	[ -s "$root/$file" ] || fail "$file was not installed"
done
[ -d "$root/etc/rolloutd/plans.d" ] || fail "there is no plans.d"
if grep -rn '@[A-Z]*@' "$root/usr/lib" "$root/etc"; then
	fail "a place-holder was not filled in (above)"
fi
"$root/usr/bin/rolloutctl" version >/dev/null 2>&1 || [ $? -eq 6 ] || fail "rolloutctl does not run"

# The configuration that is shipped is one that the daemon takes.
"$root/usr/bin/rolloutd" --check --config "$root/etc/rolloutd/rolloutd.yaml" ||
	fail "the shipped rolloutd.yaml is refused"

# An operator's changes survive a second install.
echo '# mine' >>"$root/etc/rolloutd/rolloutd.yaml"
make_it install
grep -qx '# mine' "$root/etc/rolloutd/rolloutd.yaml" || fail "install overwrote the configuration"

# systemd's own view. The programs are looked up by their final paths, hence the root.
for unit in rolloutd.service rolloutd.socket; do
	sed -i "s|=/usr/bin/|=$root/usr/bin/|" "$root/usr/lib/systemd/system/$unit"
done
(
	cd "$root/usr/lib/systemd/system"
	systemd-analyze verify --man=no ./rolloutd.service ./rolloutd.socket 2>&1 | tee "$root/verify"
)
# Warnings leave verify's exit code at 0; about our own units there must be none.
if grep -q 'rolloutd' "$root/verify"; then
	fail "systemd-analyze verify (above)"
fi
systemd-analyze security --no-pager --offline=true --threshold=15 "$root/usr/lib/systemd/system/rolloutd.service" \
	>"$root/security" || { cat "$root/security"; fail "exposure above 1.5"; }
tail -n 1 "$root/security"
systemd-sysusers --root="$root" --dry-run "$root/usr/lib/sysusers.d/rolloutd.conf" >/dev/null || fail "sysusers.d"

make_it uninstall
left=$(find "$root/usr" -type f)
[ -z "$left" ] || fail "uninstall left: $left"
[ -s "$root/etc/rolloutd/rolloutd.yaml" ] || fail "uninstall removed the configuration"
echo "install, units and uninstall are fine"
