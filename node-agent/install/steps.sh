# Part of install.sh: installing (again), and taking it all away.

install_all() {
  check_system
  check_host
  if ! enrolled && [ -z "$token" ]; then
    fail 'this server has no identity yet: --token is missing' 'berth nodes token makes one, good for one server and 15 minutes.'
  fi
  if [ -n "$offline" ]; then
    [ -r "$offline" ] || fail "$offline cannot be read"
    mkdir "$work/bundle"
    tar -xzf "$offline" -C "$work/bundle" 2>"$work/error" || fail "$offline is no bundle: $(head -n 1 "$work/error")" 'Make it with --pack FILE.'
  fi
  check_control
  if ipv6_only; then warn 'this server has only IPv6: images come only from registries that have it too, and its name needs an AAAA record'; fi
  fetch_node
  fetch_agent
  keep_settings
  ensure_engine
  install_files
  if enrolled; then
    [ -z "$token" ] || warn 'this server has its identity already: the token was not used'
    write_settings ''
  else
    write_settings "$token"
  fi
  write_unit
  since=$(date +%s)
  before=$(systemctl show -p InvocationID --value berth-agent)
  systemctl enable berth-agent >/dev/null 2>&1
  systemctl restart --no-block berth-agent
  wait_until_heard
  # It is used up.
  write_settings_again
  say "agent $AGENT_VERSION runs as $(sed -n 's/.*"node":"\([a-z0-9_]*\)".*/\1/p' $STATE/identity.json) and is heard by $CONTROL. Look: systemctl status berth-agent, journalctl -u berth-agent"
}

write_settings_again() {
  given=false
  write_settings ''
}

# Heard: the agent has told systemd so. What it says when it cannot is the control plane's own word.
wait_until_heard() {
  until [ $(($(date +%s) - since)) -ge 60 ]; do
    # Until it is another run of the unit, its words are the one's before.
    if [ "$(systemctl show -p InvocationID --value berth-agent)" = "$before" ]; then
      sleep 0.1
      continue
    fi
    case $(systemctl show -p StatusText --value berth-agent) in
      heard*) return 0 ;;
      *node_revoked*)
        fail 'the control plane has removed or revoked this node: its identity is refused for good' 'Take it away (--uninstall --containers stop), then install with a new --token.'
        ;;
      *proof_replayed*)
        fail 'another server speaks with the identity of this one: was its disk copied?' 'Take this one away (--uninstall --containers stop), then install with a new --token.'
        ;;
    esac
    why=$(journalctl -u berth-agent --since "@$since" -o cat --no-pager 2>/dev/null | sed -n 's/^berth agent: //p' | tail -n 1)
    if [ -n "$why" ] && ! enrolled; then
      systemctl disable --now berth-agent >/dev/null 2>&1 || true
      case $why in
        *'join token'* | *join_token*) fail "the control plane refuses this server: $why" 'berth nodes token makes a new one; each is good for one server, once. Then run this again.' ;;
        *'has the key of node'*) fail "the control plane refuses this server: $why" 'Remove it with --uninstall --containers stop, then run this again.' ;;
        *) fail "the agent does not start: $why" ;;
      esac
    fi
    sleep 0.2
  done
  warn "the control plane has not heard this node within 60 s; it goes on trying: $(systemctl show -p StatusText --value berth-agent)"
  fail 'not heard yet' 'journalctl -u berth-agent says why.'
}

uninstall() {
  [ "$(id -u)" = 0 ] || fail 'root is needed' 'Put sudo before sh.'
  if [ ! -e $UNIT ] && [ ! -d $LIB ]; then
    say 'there is no agent here'
    return 0
  fi
  if [ -z "$containers" ]; then
    if ! { printf 'berth: stop the containers that Berth runs here, or keep them running? [stop/keep] ' >/dev/tty && read -r containers </dev/tty; } 2>/dev/null; then
      fail 'what is to become of the containers that Berth runs here?' '--containers stop, or --containers keep.'
    fi
  fi
  case $containers in
    stop | keep) ;;
    *) fail "--containers is stop or keep, not $containers" ;;
  esac
  systemctl disable --now berth-agent >/dev/null 2>&1 || true
  if [ "$containers" = stop ]; then
    # What it stops carries this node's label; the containers of others do not.
    "$LIB/node/bin/node" "$LIB/agent.mjs" purge --dir $STATE >"$work/purged" 2>&1 || fail "purge: $(tail -n 1 "$work/purged")" 'Nothing else was removed; try again.'
    rm -rf $STATE
    say 'its containers and its identity are gone'
  else
    say "its containers and gateway run on by themselves, and nothing starts them again; its identity stays in $STATE"
  fi
  rm -rf $LIB $ETC $UNIT
  systemctl daemon-reload
  say 'the agent is gone. Docker and what others run there were not touched. In the control plane: berth nodes rm <node>'
}
