#!/usr/bin/env bash
# The real patronictl, and `pgdrill ctl` beside it, against a pgdrill cluster on this machine: one etcd, three agents, three
# PostgreSQL servers, all on 127.0.0.1.
#
# PGDRILL     the pgdrill binary
# PATRONICTL  patronictl 4.1.5
# PG_BIN      the folder of PostgreSQL's programs
# ETCD        the etcd binary
#
# Prints a line for each check, and ends with 1 if one failed. As root, PostgreSQL and the agents run as `nobody`.
set -uo pipefail

: "${PGDRILL:?}" "${PATRONICTL:?}" "${PG_BIN:?}" "${ETCD:=etcd}"
base=$(mktemp -d "${TMPDIR:-/tmp}/pgdrill-patronictl.XXXXXX")
chmod 755 "$base"
etcd_port=${ETCD_PORT:-23790} rest_port=${REST_PORT:-28000} pg_port=${PG_PORT:-25430}
scope=demo pids=() failed=0

# PostgreSQL refuses to run as root.
as_user=(); if [ "$(id -u)" = 0 ]; then as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups); fi

cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    for n in 1 2 3; do
        [ -f "$base/pg$n/postmaster.pid" ] && "${as_user[@]}" "$PG_BIN/pg_ctl" -D "$base/pg$n" -m immediate -w stop >/dev/null 2>&1
    done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
    if [ "$failed" = 0 ]; then rm -rf "$base"; else echo "kept: $base"; fi
}
trap cleanup EXIT

ctl() { timeout 120 "$PATRONICTL" -c "$base/pg1.yml" "$@" 2>&1; }
ours() { timeout 120 "$PGDRILL" ctl -c "$base/pg1.yml" "$@" 2>&1; }

# check NAME PATTERN TEXT: the text must match the extended regular expression.
check() {
    if grep -Eq -- "$2" <<<"$3"; then echo "ok    $1"; else
        echo "FAIL  $1"; echo "      expected: $2"; sed 's/^/      | /' <<<"$3"; failed=1
    fi
}

# same NAME A B: byte for byte.
same() {
    if [ "$2" = "$3" ]; then echo "ok    $1"; else
        echo "FAIL  $1"; diff <(echo "$2") <(echo "$3") | sed 's/^/      | /'; failed=1
    fi
}

# until NAME PATTERN SECONDS COMMAND...: waits for the pattern in the command's output.
until_seen() {
    local name=$1 pattern=$2 deadline=$((SECONDS + $3)) text; shift 3
    while text=$("$@"); ! grep -Eq -- "$pattern" <<<"$text"; do
        if [ $SECONDS -ge $deadline ]; then check "$name" "$pattern" "$text"; return 1; fi
        sleep 1
    done
    echo "ok    $name"
}

waits() { local text; text=$(ours list -o json) && grep -q '"Member"' <<<"$text" && { grep -q 'Pending restart' <<<"$text" && echo yes || echo no; }; }
leader() { ours list -o tsv | awk -F'\t' '$4 == "Leader" { print $2 }'; }
replica() { ours list -o tsv | awk -F'\t' '$4 == "Replica" && $5 == "streaming" { print $2; exit }'; }
streaming() { ours list -o tsv | grep -c "streaming"; }
settled_standby() { until_seen "$1: a standby leader" 'Standby Leader' 60 ours list; }
settled() { until_seen "$1: one leader and two that stream" '^2$' 90 streaming; }

config() {
    cat >"$base/pg$1.yml" <<YML
scope: $scope
name: pg$1
etcd3: {hosts: ["127.0.0.1:$etcd_port"]}
restapi:
  listen: 127.0.0.1:$((rest_port + $1))
  connect_address: 127.0.0.1:$((rest_port + $1))
  authentication: {username: admin, password: rest-secret}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    postgresql: {use_pg_rewind: true, parameters: {max_connections: 50}}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, data-checksums]
postgresql:
  listen: 127.0.0.1:$((pg_port + $1))
  connect_address: 127.0.0.1:$((pg_port + $1))
  data_dir: $base/pg$1
  bin_dir: $PG_BIN
  pgpass: $base/pgpass$1
  authentication:
    superuser: {username: postgres, password: super-secret}
    replication: {username: replicator, password: repl-secret}
  parameters: {unix_socket_directories: $base, fsync: "off"}
  pg_hba: ["host replication replicator 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256", "local all all scram-sha-256"]
watchdog: {mode: "off"}
tags: {clonefrom: false}
YML
    chmod 600 "$base/pg$1.yml"
    if [ "$(id -u)" = 0 ]; then chown nobody:nogroup "$base/pg$1.yml"; fi
}

start() {
    if [ "$(id -u)" = 0 ]; then chown nobody:nogroup "$base"; fi
    "$ETCD" --data-dir "$base/etcd" --listen-client-urls "http://127.0.0.1:$etcd_port" \
        --advertise-client-urls "http://127.0.0.1:$etcd_port" --listen-peer-urls "http://127.0.0.1:$((etcd_port + 1))" \
        --initial-advertise-peer-urls "http://127.0.0.1:$((etcd_port + 1))" \
        --initial-cluster "default=http://127.0.0.1:$((etcd_port + 1))" >"$base/etcd.log" 2>&1 &
    pids+=($!)
    for n in 1 2 3; do
        config $n
        "${as_user[@]}" "$PGDRILL" agent "$base/pg$n.yml" >"$base/pg$n.log" 2>&1 &
        pids+=($!)
    done
}

reading() {
    local text; text=$(ctl list)
    check "list" "Cluster: $scope \([0-9]{10,}\)" "$text"
    same "list is pgdrill ctl's, byte for byte" "$text" "$(ours list)"
    same "list -e" "$(ctl list -e)" "$(ours list -e)"
    same "topology" "$(ctl topology)" "$(ours topology)"
    for format in json tsv; do same "list -f $format" "$(ctl list -f $format)" "$(ours list -o $format)"; done
    check "list -f yaml" "Member: pg1" "$(ctl list -f yaml)"
    check "list -t" '^20[0-9]{2}-' "$(ctl list -t)"
    same "history" "$(ctl history)" "$(ours history)"
    check "show-config" '^loop_wait: 2$' "$(ctl show-config)"
    check "pgdrill ctl show-config" '^loop_wait: 2$' "$(ours show-config)"
    same "dsn" "$(ctl dsn $scope)" "$(ours dsn $scope)"
    check "version" 'pg1: Patroni 4\.1\.5 PostgreSQL [0-9]+' "$(ctl version $scope)"
    check "pgdrill ctl version" 'pg1: Patroni 4\.1\.5 PostgreSQL [0-9]+' "$(ours version $scope)"
    export PGPASSWORD=super-secret
    check "query" '^42$' "$(ctl query $scope -U postgres -d postgres -c 'SELECT 42 AS answer')"
    same "query as pgdrill ctl" "$(ctl query $scope -U postgres -d postgres -c 'SELECT 42 AS answer')" \
        "$(ours query $scope -U postgres -d postgres -c 'SELECT 42 AS answer')"
    querying
}

# Values as Python shows them, JSON with its types, and a password from a file.
querying() {
    local as="$scope -U postgres -d postgres"
    local values="SELECT pg_is_in_recovery() AS r, NULL AS n, 1.0::float8 AS f, 2.50::numeric AS d, now() - now() = interval '0' AS b, \
        timestamptz '2026-01-02 03:04:05+00' AS t, 'a' AS w, 7::bigint AS i"
    same "query shows values alike" "$(ctl query $as -c "$values")" "$(ours query $as -c "$values")"
    same "and in a table" "$(ctl query $as --format pretty -c "$values")" "$(ours query $as --format pretty -c "$values")"
    local typed="SELECT 1 AS i, true AS b, NULL AS n, 0.5::float8 AS f, 'x' AS w"
    same "query's JSON has types" "$(ctl query $as --format json -c "$typed")" "$(ours query $as --format json -c "$typed")"
    same "and its YAML" "$(ctl query $as --format yaml -c "$typed")" "$(ours query $as --format yaml -c "$typed")"
    (
        unset PGPASSWORD; export PGPASSFILE=$base/pgpass
        check "query without a password" 'no password supplied' "$(ctl query $as -c 'SELECT 42')"
        check "pgdrill ctl query without a password" 'no password supplied' "$(ours query $as -c 'SELECT 42')"
        check "and what to do" 'give --password, PGPASSWORD, or a line .*/pgpass' "$(ours query $as -c 'SELECT 42')"
        echo "*:*:*:postgres:super-secret" >"$PGPASSFILE"; chmod 600 "$PGPASSFILE"
        same "query takes the password file" "$(ctl query $as -c 'SELECT 42 AS a')" "$(ours query $as -c 'SELECT 42 AS a')"
        chmod 644 "$PGPASSFILE"
        check "a password file that others may read is not used" 'group or world access' "$(ours query $as -c 'SELECT 42')"
        [ "$failed" = 0 ]
    ) || failed=1
}

# Lines of standard input answer questions.
answering() {
    local one; one=$(replica)
    check "reload, no" 'Aborted reload' "$(ctl reload $scope "$one" <<<n)"
    check "pgdrill ctl reload, no" 'Aborted reload' "$(ours reload $scope "$one" <<<n)"
    check "pgdrill ctl reload, a slip, then yes" 'invalid input.*Reload request received' "$(ours reload $scope "$one" <<<$'x\ny' | tr '\n' ' ')"
    check "nobody answers patronictl" 'Aborted!' "$(ctl reload $scope "$one" </dev/null)"
    check "nobody answers pgdrill ctl" 'Aborted!.*give --force' "$(ours reload $scope "$one" </dev/null)"
    check "restart, answered" "Success: restart on member $one" "$(ctl restart $scope "$one" <<<$'\ny\n')"
    settled "after an answered restart"; one=$(replica)
    check "pgdrill ctl restart, answered" "Success: restart on member $one" "$(ours restart $scope "$one" <<<$'\ny\n')"
    settled "after another one"; one=$(replica)
    check "switchover, answered" "Successfully switched over to \"$one\"" "$(ctl switchover <<<$'\n'"$one"$'\n\ny')"
    settled "after an answered switchover"; one=$(replica)
    check "pgdrill ctl switchover, answered" "Successfully switched over to \"$one\"" "$(ours switchover <<<$'\n'"$one"$'\n\ny')"
    settled "after the same with pgdrill ctl"
    check "edit-config, answered" 'Configuration changed' "$(ctl edit-config -s max_timelines_history=60 <<<y)"
    check "pgdrill ctl edit-config, answered" 'Configuration changed' "$(ours edit-config -s max_timelines_history=70 <<<y)"
    check "a known mistake is not written by --force" 'error: Configuration not changed' "$(ours edit-config -s ttl=abc --force)"
    check "and the setting is as before" '^ttl: 20$' "$(ours show-config)"
}

configuration() {
    check "edit-config -s" 'Configuration changed' "$(ctl edit-config -s maximum_lag_on_failover=2097152 --force)"
    check "pgdrill ctl edit-config -s" 'Configuration changed' "$(ours edit-config -s maximum_lag_on_failover=1048576 --force)"
    check "edit-config twice changes nothing" 'Not changed' "$(ctl edit-config -s maximum_lag_on_failover=1048576 --force)"
    echo 'max_timelines_history: 50' >"$base/apply.yml"
    check "edit-config --apply" 'Configuration changed' "$(ctl edit-config --apply "$base/apply.yml" --force)"
    ctl show-config >"$base/replace.yml"
    check "edit-config --replace" 'Not changed' "$(ctl edit-config --replace "$base/replace.yml" --force)"
    check "edit-config -p" 'Configuration changed' "$(ctl edit-config -p max_connections=60 --force)"
    until_seen "a setting that waits for a restart is listed" 'max_connections: 50->60' 40 ctl list
    check "restart --pending" 'Success: restart on member' "$(ctl restart $scope --pending --force)"
    settled "after restart --pending"
    until_seen "nothing waits for a restart" '^no$' 40 waits
    check "the setting is in force" '^60$' "$(ours query $scope -U postgres -d postgres -c 'SHOW max_connections')"
}

pausing() {
    check "pause --wait" 'cluster management is paused' "$(ctl pause --wait)"
    check "maintenance mode is shown" 'Maintenance mode: on' "$(ours list)"
    check "pause twice" 'already paused' "$(ctl pause)"
    check "resume --wait" 'cluster management is resumed' "$(ctl resume --wait)"
    check "pgdrill ctl pause --wait" 'cluster management is paused' "$(ours pause --wait)"
    check "pgdrill ctl resume --wait" 'cluster management is resumed' "$(ours resume --wait)"
}

leading() {
    local to; settled "before a switchover"; to=$(replica)
    check "switchover" "Successfully switched over to \"$to\"" "$(ctl switchover --candidate "$to" --force)"
    settled "after switchover"; to=$(replica)
    check "pgdrill ctl switchover" "Successfully switched over to \"$to\"" "$(ours switchover --candidate "$to" --force)"
    settled "after pgdrill ctl switchover"; to=$(replica)
    check "failover" "Successfully failed over to \"$to\"" "$(ctl failover --candidate "$to" --force)"
    settled "after failover"
    until_seen "history has the new leader" "$to" 30 ctl history
    same "history after it" "$(ctl history)" "$(ours history)"
    check "switchover --scheduled, and flush" 'Switchover scheduled' \
        "$(ctl switchover --scheduled 2999-01-01T00:00+00:00 --force)"
    same "list shows it" "$(ctl list)" "$(ours list)"
    check "flush switchover" 'Success: scheduled switchover deleted' "$(ctl flush $scope switchover)"
    to=$(leader)
    check "switchover in 10 seconds" 'Switchover scheduled' \
        "$(ctl switchover --scheduled "$(date -u -d '+10 seconds' +%Y-%m-%dT%H:%M:%S+00:00)" --force)"
    until_seen "and then another leads" "^(pg[123])\$" 60 sh -c "now=\$('$PGDRILL' ctl -c '$base/pg1.yml' list -o tsv | awk -F'\t' '\$4 == \"Leader\" { print \$2 }'); [ \"\$now\" != '$to' ] && echo \"\$now\""
    settled "after scheduled switchover"
}

members() {
    local one; one=$(replica)
    check "restart" "Success: restart on member $one" "$(ctl restart $scope "$one" --force)"
    check "restart --scheduled" "restart scheduled on member $one" \
        "$(ctl restart $scope "$one" --scheduled 2999-01-01T00:00+00:00 --force)"
    until_seen "a scheduled restart is listed" '2999-01-01T00:00:00' 20 ctl list
    same "list with it" "$(ctl list)" "$(ours list)"
    check "flush restart" "Success: flush scheduled restart for member $one" "$(ctl flush $scope "$one" restart --force)"
    check "reload" "Reload request received for member $one" "$(ctl reload $scope "$one" --force)"
    check "pgdrill ctl reload" "Reload request received for member $one" "$(ours reload $scope "$one" --force)"
    check "pgdrill ctl restart" "Success: restart on member $one" "$(ours restart $scope "$one" --force)"
    settled "after restarts"; one=$(replica)
    check "reinit --wait" "Reinitialize is completed on: $one" "$(ctl reinit $scope "$one" --force --wait)"
    settled "after reinit"; one=$(replica)
    check "pgdrill ctl reinit --wait" "Reinitialize is completed on: $one" "$(ours reinit $scope "$one" --force --wait)"
    settled "after pgdrill ctl reinit"
}

# Nothing is ever restored by `false`: the standby cluster stays where the cluster was.
standby_cluster() {
    check "demote-cluster wants a remote" 'At least --host, --port or --restore-command should be specified' \
        "$(ours demote-cluster $scope --force)"
    check "pgdrill ctl demote-cluster" 'cluster is successfully demoted' \
        "$(ours demote-cluster $scope --restore-command false --force)"
    settled_standby "after pgdrill ctl demote-cluster"
    check "it is one" 'restore_command: .?false' "$(ctl show-config)"
    check "twice changes nothing" 'already in the required state' \
        "$(ours demote-cluster $scope --restore-command false --force)"
    same "list of a standby cluster" "$(ctl list)" "$(ours list)"
    check "promote-cluster" 'cluster is successfully promoted' "$(ctl promote-cluster $scope --force)"
    settled "after promote-cluster"
    check "demote-cluster" 'cluster is successfully demoted' \
        "$(ctl demote-cluster $scope --restore-command false --force)"
    settled_standby "after demote-cluster"
    check "pgdrill ctl promote-cluster" 'cluster is successfully promoted' "$(ours promote-cluster $scope --force)"
    settled "after pgdrill ctl promote-cluster"
    check "promoted twice" 'already in the required state' "$(ours promote-cluster $scope --force)"
}

removing() {
    for pid in "${pids[@]:1}"; do kill -9 "$pid" 2>/dev/null; done
    sleep 25 # the leader's lease ends: nobody leads any more
    check "remove" 'Please confirm the cluster name' "$(printf '%s\nYes I am aware\n' $scope | ctl remove $scope)"
    check "nothing is left" 'uninitialized' "$(ctl list)"
}

start
until_seen "a cluster comes up" 'Leader' 120 ours list || { tail -5 "$base"/*.log; exit 1; }
settled "at first"
reading; configuration; pausing; leading; members; answering; standby_cluster; removing
exit $failed
