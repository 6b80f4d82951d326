#!/bin/sh
# Puts Berth's agent on this server and joins it to its control plane; run again: upgrade and repair. `sh -s -- --help` says the rest.
# Nothing runs before the last line, so a download that breaks off does nothing.

# The control plane that serves this file fills these in.
CONTROL='@CONTROL@'
AGENT_VERSION='@AGENT_VERSION@'
AGENT_SHA256='@AGENT_SHA256@'
LAUNCHER_SHA256='@LAUNCHER_SHA256@'
NODE_VERSION='@NODE_VERSION@'
NODE_SHA256_X64='@NODE_SHA256_X64@'
NODE_SHA256_ARM64='@NODE_SHA256_ARM64@'
NODE_URL='@NODE_URL@'

LIB=/usr/local/lib/berth
ETC=/etc/berth
STATE=/var/lib/berth
UNIT=/etc/systemd/system/berth-agent.service
# Node, three agents and their logs; images need more, and the agent watches for that by itself.
DISK_MIN_KB=${BERTH_DISK_MIN_KB:-2097152}
CLOCK_MAX_S=60

main() {
  set -eu
  umask 022
  token='' offline='' pack='' action=install containers='' runtime=auto userns=no node_base=${BERTH_NODE_URL:-$NODE_URL} args='' given=false
  read_arguments "$@"
  case $CONTROL in
    @*) fail 'this copy was not served by a control plane' "Take it from there: curl -fsSL https://<control plane>/install | sudo sh -s -- --token T" ;;
  esac
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  case $action in
    uninstall) uninstall ;;
    pack) pack_bundle ;;
    install) install_all ;;
  esac
}

usage() {
  cat <<USAGE
usage: curl -fsSL $CONTROL/install | sudo sh -s -- --token T [options]
  --token T             a join token (berth nodes token); needed once, a second run keeps this server's identity
  --name, --region, --failure-domain, --gateway-host, --gateway-port, --gateway-url, --public-address, --reach,
  --cloudflared-token-file, --tls-cert, --tls-key, --acme-email, --runtime, --transport, --label, --host-ports, --release-keys, --capacity-*
                        are the agent's own (agent.mjs --help); a second run without any keeps them
  --firewall, --egress-allow, --outbound-allow, --container-dns, --io-bytes-per-second, --io-operations-per-second
                        how it keeps tenants apart (the same)
  --userns-remap yes    where Docker is installed by this: root in a container is nobody on this server
  --control URL         another address of the same control plane
  --node-url URL        where Node's releases lie, laid out as nodejs.org/dist [$NODE_URL]
  --pack FILE           put all that a server of this kind needs into FILE, for servers without the internet
  --offline FILE        take it from there: only the control plane has to be reachable
  --uninstall           take the agent away again; --containers keep|stop answers what it asks
USAGE
}

read_arguments() {
  while [ $# -gt 0 ]; do
    option=$1
    case $option in
      --help | -h) usage && exit 0 ;;
      --uninstall) action=uninstall && shift && continue ;;
      --*=*) value=${option#*=} option=${option%%=*} ;;
      --*)
        [ $# -ge 2 ] || fail "$option needs a value" "See --help."
        value=$2
        shift
        ;;
      *) fail "unexpected: $option" "See --help." ;;
    esac
    shift
    case $value in
      '' | *[!A-Za-z0-9._:/=,@%+~#?\&\[\]-]*) fail "the value of $option is empty or has a character that has no place there: $value" "See --help." ;;
    esac
    case $option in
      --token) token=$value ;;
      --control) CONTROL=${value%/} ;;
      --node-url) node_base=${value%/} ;;
      --offline) offline=$value ;;
      --pack) pack=$value action=pack ;;
      --containers) containers=$value ;;
      --userns-remap) userns=$value ;;
      --runtime) runtime=$value given=true args="$args --runtime $value" ;;
      --name | --region | --failure-domain | --gateway-host | --gateway-port | --gateway-url | --public-address | --reach | --cloudflared-token-file | --tls-cert | --tls-key | --acme-email | --transport | --label | --host-ports | --release-keys | --capacity-* | --firewall | --egress-allow | --outbound-allow | --container-dns | --io-bytes-per-second | --io-operations-per-second)
        given=true args="$args $option $value"
        ;;
      *) fail "there is no option $option" "See --help." ;;
    esac
  done
}

say() { printf 'berth: %s\n' "$1"; }
warn() { printf 'berth: note: %s\n' "$1" >&2; }
# What is wrong, and what to type.
fail() {
  printf 'berth: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf '       %s\n' "$2" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
