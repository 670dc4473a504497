#!/bin/sh
# conf/install.sh install|uninstall, called by make with BUILD, DESTDIR, PREFIX and SYSCONFDIR. One list serves both
# ways, so that uninstall removes exactly what install put there. Configuration and state are never removed.
set -eu

action=$1
: "${BUILD:?}" "${PREFIX:?}" "${SYSCONFDIR:?}"
dest=${DESTDIR-}

# put MODE SOURCE TARGET: with the place-holders of a *.in file filled in.
put() {
	target=$dest$3
	if [ "$action" = uninstall ]; then
		rm -f "$target"
		return
	fi
	mkdir -p "$(dirname "$target")"
	case $2 in
	*.in)
		sed -e "s|@PREFIX@|$PREFIX|g" -e "s|@SYSCONFDIR@|$SYSCONFDIR|g" "$2" >"$target"
		chmod "$1" "$target"
		;;
	*) install -m "$1" "$2" "$target" ;;
	esac
}

# put_all MODE FOLDER FILE...: under the same names, without a final .in; nothing when the pattern matched nothing.
put_all() {
	mode=$1 folder=$2
	shift 2
	for file; do
		[ -e "$file" ] || continue
		put "$mode" "$file" "$folder/$(basename "$file" .in)"
	done
}

put_all 755 "$PREFIX/bin" "$BUILD/rolloutd" "$BUILD/rolloutctl" "$BUILD/rollout-localaws"
put_all 644 "$PREFIX/lib/systemd/system" systemd/*.service systemd/*.service.in systemd/*.socket systemd/*.socket.in
for kind in sysusers tmpfiles; do
	for file in "systemd/rolloutd.$kind" "systemd/rolloutd.$kind.in" "systemd/$kind.d/rolloutd.conf" \
		"systemd/$kind.d/rolloutd.conf.in" "systemd/rolloutd.$kind.conf" "systemd/rolloutd.$kind.conf.in"; do
		[ ! -e "$file" ] || put 644 "$file" "$PREFIX/lib/$kind.d/rolloutd.conf"
	done
done
for section in 1 5 7 8; do
	put_all 644 "$PREFIX/share/man/man$section" docs/man/*."$section"
done
put_all 644 "$PREFIX/share/doc/rolloutd" README.md LICENSE docs/openapi.yaml docs/plan.schema.json
put_all 644 "$PREFIX/share/bash-completion/completions" conf/completion/bash/*
put_all 644 "$PREFIX/share/zsh/site-functions" conf/completion/zsh/*

if [ "$action" = install ]; then
	etc=$dest$SYSCONFDIR/rolloutd
	install -d -m 755 "$etc" "$etc/plans.d" "$etc/hooks.d"
	if [ -e "$etc/rolloutd.yaml" ]; then
		echo "rolloutd: $etc/rolloutd.yaml is there already and was left as it is"
	else
		install -m 644 conf/rolloutd.yaml "$etc/rolloutd.yaml"
	fi
fi
