#!/bin/sh
# Runs every fuzz target of the module for FUZZTIME (1m) each, one after the other, and prints a table of what was
# executed. FUZZ restricts the targets by a regular expression over "package Target". An input that fails is kept by
# the go command under testdata/fuzz of its package: commit it with the repair, since every later `go test` runs it.
set -u
fuzztime=${FUZZTIME:-1m} wanted=${FUZZ:-.} go=${GO:-go}
logs=$(mktemp -d) && trap 'rm -rf "$logs"' EXIT
table=$logs/table failed=0
for dir in $($go list -f '{{.Dir}}' ./...); do
	for target in $(cat "$dir"/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' | sort); do
		name=.${dir#"$PWD"}
		echo "$name $target" | grep -Eq "$wanted" || continue
		echo "== $name $target"
		state=ok
		$go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x ${FUZZPROCS:+-parallel "$FUZZPROCS"} "$dir" >"$logs/out" 2>&1 || state=FAILED
		# The end of the time is sometimes told as the failure of the input that was being tried.
		if [ $state = FAILED ] && grep -q '^ *context deadline exceeded' "$logs/out" && ! grep -q 'Failing input\|panic:' "$logs/out"; then state=ok; fi
		grep -q '^fuzz: elapsed' "$logs/out" || state=FAILED
		[ $state = ok ] || { failed=1; tail -n 40 "$logs/out"; }
		sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$logs/out" | tail -n 1 | awk -v n="$name" -v t="$target" -v s=$state \
			'{ x = $1 } END { printf "%-28s %-18s %12d  %s\n", n, t, x, s }' | tee -a "$table"
	done
done
[ -s "$table" ] || { echo "no fuzz target matches FUZZ=$wanted"; exit 1; }
echo
printf '%-28s %-18s %12s  %s\n' package target executions result
cat "$table"
awk '{ n += $3 } END { printf "%d targets, %d executions of %s each\n", NR, n, "'"$fuzztime"'" }' "$table"
exit $failed
