#!/bin/sh
# Runs one machine until it powers off, through all reboots it does by itself.
#
#   machine-runner.sh keep DIR LOWER COMMAND...    the keeper: one process a running machine
#   machine-runner.sh boot DIR LOWER COMMAND...    one boot, started by the keeper in a mount namespace of its own
#
# DIR     the machine's folder. The keeper holds a lock on DIR/keeper as long as it lives: "the machine runs" is
#         "that lock is held", which no crash and no reused process id can make untrue.
# LOWER   the image, read-only. COMMAND is systemd-nspawn with its options; it exits 133 when the machine reboots.
# SLIPWAY_CGROUPS   folders below /sys/fs/cgroup to live in; unset: the group that we are in (a systemd unit).
set -eu
role=$1 dir=$2 lower=$3

# The keeper and the machine need groups of their own: where controllers are handed down, only leaves hold processes.
join() {
	groups=${SLIPWAY_CGROUPS-/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)}
	export SLIPWAY_CGROUPS="$groups"
	for group in $groups; do
		mkdir -p "$group/$1"
		echo $$ >"$group/$1/cgroup.procs"
	done
}

case $role in
keep)
	exec 9>>"$dir/keeper"
	# Not at once: whoever asks whether we run holds it for a moment
	flock --timeout 5 9 || { echo "this machine runs already" >&2; exit 1; }
	echo $$ >"$dir/keeper"
	join keeper
	shift
	stopping=
	# A host that shuts down asks the keeper: hand it on, the machine then powers off in good order
	trap 'stopping=1; kill -TERM "$child" 2>/dev/null || :' TERM
	while :; do
		unshare --mount --propagation private sh "$0" boot "$@" 9>&- &
		child=$!
		status=0
		wait "$child" || status=$?
		# wait also returns when the trap ran
		while kill -0 "$child" 2>/dev/null; do
			status=0
			wait "$child" || status=$?
		done
		[ "$status" -eq 133 ] && [ -z "$stopping" ] || exit "$status"
	done
	;;
boot)
	join machine
	shift 3
	# In this namespace only, so that the mount is gone when the machine is, however that came
	mount -t overlay slipway -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
	date -u +%Y-%m-%dT%H:%M:%SZ >>"$dir/boots"
	# The process id and start time of systemd-nspawn, which takes this process over
	echo "$$ $(cut -d ' ' -f 22 /proc/$$/stat)" >"$dir/process"
	exec "$@"
	;;
esac
