#!/bin/sh
# Puts the agent on a server and starts it: install.sh <agent.mjs> <control URL> <join token> [options of `agent.mjs run`]
set -eu

if [ "$#" -lt 3 ]; then
  echo "usage: install.sh <agent.mjs> <control URL> <join token> [options of run]" >&2
  exit 2
fi
bundle=$1
control=$2
token=$3
shift 3

node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || {
  echo "install.sh: Node.js 20 or later is needed" >&2
  exit 1
}
install -d -m 0755 /usr/local/lib/berth
install -d -m 0700 /etc/berth /var/lib/berth
install -m 0644 "$bundle" /usr/local/lib/berth/agent.mjs
install -m 0644 "$(dirname "$0")/berth-agent.service" /etc/systemd/system/berth-agent.service
umask 077
printf 'BERTH_CONTROL=%s\nBERTH_JOIN_TOKEN=%s\nBERTH_ARGS=%s\n' "$control" "$token" "$*" >/etc/berth/agent.env
systemctl daemon-reload
systemctl enable --now berth-agent

if [ "$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)" = false ]; then
  echo 'install.sh: containers end with the Docker daemon here; put "live-restore": true into /etc/docker/daemon.json to have them outlive it' >&2
fi
