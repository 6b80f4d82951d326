# Part of install.sh: what is looked at before anything is changed. Each fault says what to type.

check_system() {
  [ "$(id -u)" = 0 ] || fail 'root is needed to install a service' 'Put sudo before sh: curl … | sudo sh -s -- --token T'
  case $(uname -m) in
    x86_64) arch=x64 node_sha256=$NODE_SHA256_X64 ;;
    aarch64) arch=arm64 node_sha256=$NODE_SHA256_ARM64 ;;
    *) fail "processors of kind $(uname -m) are not supported: x86_64 and aarch64 are" ;;
  esac
  id=unknown version=''
  if [ -r /etc/os-release ]; then
    id=$(. /etc/os-release && echo "${ID:-unknown}")
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
  fi
  case $id:$version in
    debian:1[2-9] | ubuntu:2[2-9].*) ;;
    *) warn "this is $id $version; Debian 12 and 13 and Ubuntu from 22.04 are what is tested" ;;
  esac
  for tool in curl tar gzip sha256sum; do
    has $tool || fail "$tool is missing" "apt-get install -y curl ca-certificates tar gzip coreutils"
  done
}

check_host() {
  [ -d /run/systemd/system ] || fail 'systemd does not run this server, so nothing would keep the agent running' 'Boot it with systemd, or run the agent by other means (docs/OPERATING.md).'
  if ! [ -e /sys/fs/cgroup/cgroup.controllers ] && ! [ -d /sys/fs/cgroup/memory ]; then
    fail 'this kernel has no cgroups for memory, so containers could not be limited' 'Add cgroup_enable=memory to the kernel command line and reboot.'
  fi
  for folder in /var/lib /usr/local; do
    free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$DISK_MIN_KB" ] || fail "too little disk: $folder has $((free / 1024)) MB free, $((DISK_MIN_KB / 1024)) MB are needed" 'Make room, or mount a larger disk there.'
  done
}

ipv6_only() { [ -z "$(ip -4 route show default 2>/dev/null)" ] && [ -n "$(ip -6 route show default 2>/dev/null)" ]; }

check_control() {
  host=${CONTROL#*://} host=${host%%/*}
  port=443
  case $CONTROL in http://*) port=80 ;; esac
  case $host in *]:*) port=${host##*:} ;; *]) ;; *:*) port=${host##*:} ;; esac
  host=${host%":$port"}
  set +e
  curl -sS -m 15 --connect-timeout 8 -D "$work/head" -o /dev/null -w '%{local_ip}' "$CONTROL/healthz" 2>"$work/error" >"$work/address"
  code=$?
  # Name servers that do not answer are a time-out to curl.
  ! grep -qi 'resolv' "$work/error" || code=6
  set -e
  # A clock that is off makes good certificates look bad: the time is asked for once more without looking at them.
  if [ $code = 60 ]; then curl -skS -m 15 -D "$work/head" -o /dev/null "$CONTROL/healthz" 2>/dev/null || true; fi
  check_clock
  case $code in
    0) ;;
    6) fail "$host has no address here" 'Look at /etc/resolv.conf, and at the name that you gave.' ;;
    7 | 28)
      if ipv6_only; then fail "$host cannot be reached: this server has only IPv6, and $host may have only IPv4" 'Give the server NAT64 (or an IPv4 way out), or the control plane an AAAA record.'; fi
      fail "port $port out is blocked: $host does not answer there" "Allow outgoing TCP to $host:$port in the firewall; nothing has to come in for this."
      ;;
    35 | 60) fail "the certificate of $host is not good: $(cat "$work/error")" 'apt-get install -y ca-certificates; where a proxy opens TLS, add its certificate to this server.' ;;
    *) fail "$CONTROL does not answer: $(cat "$work/error")" 'Is this the address of your control plane?' ;;
  esac
}

check_clock() {
  theirs=$(sed -n 's/^[Dd]ate: *//p' "$work/head" 2>/dev/null | tr -d '\r' | tail -n 1)
  [ -n "$theirs" ] || return 0
  off=$(($(date +%s) - $(date -u -d "$theirs" +%s)))
  if [ $off -gt $CLOCK_MAX_S ] || [ $off -lt -$CLOCK_MAX_S ]; then
    fail "this server's clock is $off s off the control plane's" "Set it: timedatectl set-ntp true, or at once: date -u -s '$theirs'"
  fi
}
