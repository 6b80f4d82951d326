# Part of install.sh: what is fetched and checked, and what is put in place.

# fetch <URL> <name> <sha256>: into $work/<name>, from the offline bundle where there is one.
fetch() {
  if [ -n "$offline" ]; then
    [ -f "$work/bundle/$2" ] || fail "$offline has no $2" 'Make it anew: --pack FILE, with the control plane that you install from.'
    mv "$work/bundle/$2" "$work/$2"
  else
    curl -fsSL --retry 3 --connect-timeout 10 -o "$work/$2" "$1" || fail "$1 cannot be fetched" 'Allow it in the firewall, give a mirror (--node-url), or use --offline.'
  fi
  seen=$(sha256sum "$work/$2" | cut -d ' ' -f 1)
  [ "$seen" = "$3" ] || fail "$1 has other bytes than it should: $seen instead of $3" 'Nothing was changed. Run it again; if it stays so, somebody stands between you and them.'
}

fetch_node() { fetch "$node_base/v$NODE_VERSION/node-v$NODE_VERSION-linux-$arch.tar.gz" node.tar.gz "$node_sha256"; }
fetch_agent() {
  fetch "$CONTROL/install/agent-$AGENT_SHA256.mjs" agent.mjs "$AGENT_SHA256"
  fetch "$CONTROL/install/launcher-$LAUNCHER_SHA256.mjs" launcher.mjs "$LAUNCHER_SHA256"
}

pack_bundle() {
  check_system
  fetch_node
  fetch_agent
  mkdir "$work/debs"
  if has apt-get && ! has docker; then
    (cd "$work/debs" && apt-get update -qq -o APT::Update::Error-Mode=any && apt-get install -y -qq --download-only --no-install-recommends -o Dir::Cache::archives="$work/debs" docker.io) >"$work/apt" 2>&1 ||
      warn 'the Engine could not be packed: servers without one will need --runtime process'
  fi
  tar -C "$work" -czf "$pack" node.tar.gz agent.mjs launcher.mjs debs
  say "$pack: Node $NODE_VERSION ($arch), agent $AGENT_VERSION. Copy it and this script to the server: sh install.sh --offline $pack --token T"
}

# ---- what is put in place ----

ensure_engine() {
  if has docker || has dockerd || [ -S /var/run/docker.sock ]; then
    # docker may be absent where only its socket is given.
    others=$(docker ps -q 2>/dev/null | wc -l)
    ours=$(docker ps -q --filter label=berth.node 2>/dev/null | wc -l)
    say "Docker is here already and is left as it is; $((others - ours)) containers of others run there: Berth never touches what it did not start"
    if [ "$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)" = false ]; then
      warn 'containers end with the Docker daemon here; "live-restore": true in /etc/docker/daemon.json has them outlive it'
    fi
    if [ "$userns" = yes ] && ! docker info --format '{{.SecurityOptions}}' 2>/dev/null | grep -q userns; then
      warn 'user namespaces are not switched on here: "userns-remap": "default" in /etc/docker/daemon.json does it, and hides the images and containers that are there'
    fi
    return 0
  fi
  [ "$runtime" != process ] || return 0
  say 'installing the distribution'"'"'s Docker Engine'
  if [ ! -e /etc/docker/daemon.json ]; then
    mkdir -p /etc/docker
    if [ "$userns" = yes ]; then remap=', "userns-remap": "default"'; else remap=''; fi
    printf '{ "live-restore": true%s }\n' "$remap" >/etc/docker/daemon.json
  fi
  export DEBIAN_FRONTEND=noninteractive
  if [ -n "$offline" ]; then
    set -- "$work"/bundle/debs/*.deb
    [ -f "$1" ] || fail "$offline has no Docker Engine, and this server has none" 'Pack it on a server of the same distribution that has none either, or give --runtime process.'
    dpkg -i "$@" >"$work/apt" 2>&1 || fail "the Engine's packages do not go in: $(tail -n 1 "$work/apt")" 'Pack it on a server of the same distribution and release.'
  else
    { apt-get update -qq -o APT::Update::Error-Mode=any && apt-get install -y -qq --no-install-recommends docker.io; } >"$work/apt" 2>&1 ||
      fail "the Engine cannot be installed: $(tail -n 1 "$work/apt")" 'apt-get install docker.io must work first; or give --offline.'
  fi
}

install_files() {
  install -d -m 0755 $LIB
  install -d -m 0700 $ETC $STATE
  if [ ! -x "$LIB/node-v$NODE_VERSION/bin/node" ]; then
    mkdir "$work/node"
    tar -xzf "$work/node.tar.gz" -C "$work/node" --strip-components=1 "node-v$NODE_VERSION-linux-$arch/bin/node"
    "$work/node/bin/node" --version >/dev/null 2>"$work/error" || fail "Node does not run here: $(head -n 1 "$work/error")" 'apt-get install -y libstdc++6 libatomic1'
    rm -rf "$LIB/node-v$NODE_VERSION"
    mv "$work/node" "$LIB/node-v$NODE_VERSION"
  fi
  ln -sfn "node-v$NODE_VERSION" $LIB/node
  install -m 0644 "$work/launcher.mjs" $LIB/launcher.mjs
  if runs_newer; then
    say "this node runs a newer agent than $AGENT_VERSION, which an upgrade brought: it stays"
  else
    install -m 0644 "$work/agent.mjs" $LIB/agent.mjs.new
    mv $LIB/agent.mjs.new $LIB/agent.mjs
  fi
}

# Another installed bundle would have the launcher start it at once: nodes only go forward.
runs_newer() {
  [ -f $LIB/agent.mjs ] && [ -f $STATE/launch.json ] || return 1
  current=$(sed -n 's/.*"current":{[^}]*"version":"\([0-9.]*\)".*/\1/p' $STATE/launch.json)
  [ -n "$current" ] && [ "$current" != "$AGENT_VERSION" ] && [ "$(printf '%s\n%s\n' "$current" "$AGENT_VERSION" | sort -V | tail -n 1)" = "$current" ]
}

enrolled() { grep -q '"enrolled":{' $STATE/identity.json 2>/dev/null; }

# Without any options a second run means those of the first: also when it decides whether an Engine is needed.
keep_settings() {
  [ $given = false ] && [ -f $ETC/agent.env ] || return 0
  args=$(sed -n 's/^BERTH_ARGS=//p' $ETC/agent.env)
  case " $args " in *' --runtime process '*) runtime=process ;; esac
}

write_settings() {
  keep_settings
  if [ $given = true ] || ! [ -f $ETC/agent.env ]; then
    # Not all addresses: where no name is given to this node, the edge comes to the one that the gateway listens on.
    # It is the one by which this server reaches the control plane.
    case " $args " in *' --gateway-host '*) ;; *) args="--gateway-host $(cat "$work/address") $args" ;; esac
  fi
  (
    umask 077
    printf 'BERTH_CONTROL=%s\nBERTH_ARGS=%s\n' "$CONTROL" "$args" >$ETC/agent.env.new
    [ -z "$1" ] || printf 'BERTH_JOIN_TOKEN=%s\n' "$1" >>$ETC/agent.env.new
  )
  mv $ETC/agent.env.new $ETC/agent.env
}

write_unit() {
  cat >$UNIT <<'SERVICE'
@UNIT@
SERVICE
  systemctl daemon-reload
}
