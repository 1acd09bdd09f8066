# packages.sh - sourced by quickstart and runtests: installs what is missing of packages.list.
# shellcheck shell=bash

# install_packages LIST KIND... - the packages of these kinds; asks apt only for what dpkg does not have. Only root can
# install; anybody else is told what to ask for (status 69).
install_packages() {
	local list=$1 kinds wanted missing policy=/usr/sbin/policy-rc.d made='' status=0 out
	shift
	kinds=" $* "
	command -v dpkg-query >/dev/null || return 0	# not Debian: configure will say what it misses
	wanted=$(awk -v kinds="$kinds" '!/^#/ && NF == 2 && index(kinds, " " $1 " ") { print $2 }' "$list")
	# shellcheck disable=SC2086
	missing=$(comm -23 <(printf '%s\n' $wanted | sort -u) \
		<(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $wanted 2>/dev/null | awk '$1 == "ii" { print $2 }' | sort -u))
	[ -n "$missing" ] || return 0
	missing=$(echo $missing)
	if [ "$(id -u)" != 0 ]; then
		printf 'These packages are missing, and only root can install them:\n  apt-get install %s\n' "$missing" >&2
		return 69
	fi
	printf 'Installing: %s\n' "$missing" >&2
	out=$(mktemp)
	# Without this Debian would start its own nginx on port 80 as soon as it is installed.
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes
	fi
	# shellcheck disable=SC2086
	{
		apt-get -q update &&
			DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
				-o DPkg::Lock::Timeout=300 install $missing
	} >"$out" 2>&1 </dev/null || status=$?
	[ -z "$made" ] || rm -f "$policy"
	[ "$status" = 0 ] || cat "$out" >&2
	rm -f "$out"
	return "$status"
}
