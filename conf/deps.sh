#!/bin/sh
# Installs what is missing for building and testing: conf/deps.sh SET...
# (sets: build check lint bench fuzz afl coverage model sim host)
# Prints nothing and does nothing when nothing is missing. Debian 12 is what this is tested on.
set -eu

# One line for each package: the set, its name on Debian, and a probe that shows that what it provides is there by
# other means (a newer Debian, another distribution, a build by hand), for hosts where dpkg does not know the name.
packages() {
	cat <<-'END'
		build gcc                   command -v cc
		build libc6-dev             test -e /usr/include/stdio.h
		build pkg-config            command -v pkg-config
		build libuv1-dev            pkg-config --exists libuv
		build libjansson-dev        pkg-config --exists jansson
		build libcurl4-openssl-dev  pkg-config --exists libcurl
		build libssl-dev            pkg-config --exists libssl libcrypto
		build libyaml-dev           pkg-config --exists yaml-0.1
		build libsqlite3-dev        pkg-config --exists sqlite3
		build libsystemd-dev        pkg-config --exists libsystemd
		build libmicrohttpd-dev     pkg-config --exists libmicrohttpd
		build libexpat1-dev         pkg-config --exists expat
		check gcc                   command -v gcc
		check python3               test -x /usr/bin/python3
		check clang                 command -v clang
		check libclang-rt-14-dev    ls "$(clang -print-runtime-dir)"/libclang_rt.asan-*.a
		check libcmocka-dev         pkg-config --exists cmocka
		check valgrind              command -v valgrind
		check libc6-dbg             test -e /usr/lib/debug/.build-id
		check strace                command -v strace
		check openssl               command -v openssl
		check python3-boto3         /usr/bin/python3 -c 'import boto3'
		check python3-yaml          /usr/bin/python3 -c 'import yaml'
		check systemd               command -v systemd-analyze
		check clang-19              command -v clang-19
		check llvm-19               command -v llvm-cov-19
		check libclang-rt-19-dev    ls "$(clang-19 -print-runtime-dir)"/libclang_rt.profile*.a
		lint  python3               test -x /usr/bin/python3
		lint  clang                 command -v clang
		lint  clang-format          command -v clang-format
		lint  clang-tidy            command -v clang-tidy
		lint  cppcheck              command -v cppcheck
		lint  libcmocka-dev         pkg-config --exists cmocka
		bench openssl               command -v openssl
		bench python3               test -x /usr/bin/python3
		sim   libmimalloc2.0        ldconfig -p | grep -q libmimalloc.so
		host  mmdebstrap            command -v mmdebstrap
		host  systemd-container     command -v systemd-nspawn
		host  qemu-system-x86       command -v qemu-system-x86_64
		host  e2fsprogs             command -v mkfs.ext4
		model gcc                   command -v cc
		model python3               test -x /usr/bin/python3
		model spin                  command -v spin
		fuzz  clang                 command -v clang
		fuzz  libclang-rt-14-dev    ls "$(clang -print-runtime-dir)"/libclang_rt.asan-*.a
		afl   clang                 command -v clang
		afl   afl++                 command -v afl-clang-fast
		coverage clang-19            command -v clang-19
		coverage llvm-19             command -v llvm-cov-19
		coverage libclang-rt-19-dev  ls "$(clang-19 -print-runtime-dir)"/libclang_rt.profile*.a
		coverage libcmocka-dev       pkg-config --exists cmocka
	END
}

# Names of the sets' packages that are neither installed nor provided by other means.
missing() {
	wanted=$(packages | while read -r set name probe; do
		case " $* " in *" $set "*) echo "$name" ;; esac
	done | sort -u)
	# shellcheck disable=SC2086 # a list of names
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
		sed -n 's/^installed //p') || true
	packages | while read -r set name probe; do
		case " $* " in *" $set "*) ;; *) continue ;; esac
		echo "$installed" | grep -qx "$name" || sh -c "$probe" >/dev/null 2>&1 </dev/null || echo "$name"
	done | sort -u
}

say() {
	echo "rolloutd: $*" >&2
}

lacking=$(missing "$@" | tr '\n' ' ')
lacking=${lacking% }
[ -n "$lacking" ] || exit 0

if ! command -v apt-get >/dev/null; then
	say "missing: $lacking (Debian's names)." \
		"There is no apt-get here: install what provides them, then run make again."
	exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		say "missing: $lacking. You are not root and there is no sudo:" \
			"as root, run 'apt-get install $lacking', then make again."
		exit 1
	fi
	as_root=sudo
	[ -t 0 ] || as_root='sudo -n'
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq \
		-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null
}
# Lists may be missing (a fresh image has none) or name versions that the mirror no longer has.
fetch_lists() {
	say "fetching package lists (apt-get update)"
	apt update
}
install() {
	# shellcheck disable=SC2086 # a list of names
	apt install --no-install-recommends $lacking
}
give_up() {
	cat "$log" >&2
	say "apt-get failed (above). Run 'apt-get install $lacking' as root, then make again."
	exit 1
}

# shellcheck disable=SC2086
known=$(apt-cache policy $lacking 2>/dev/null | grep -c '^  Candidate: [^(]') || true
# shellcheck disable=SC2086
set -- $lacking
updated=
if [ "$known" -lt $# ]; then
	fetch_lists || give_up
	updated=1
fi
say "installing $# missing package(s) with ${as_root:+$as_root }apt-get: $lacking"
if ! install; then
	[ -z "$updated" ] || give_up
	{ fetch_lists && install; } || give_up
fi
say "installed"
