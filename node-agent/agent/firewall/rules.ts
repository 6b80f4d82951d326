// The rules between tenants' containers and everything else, as iptables-restore reads them.
import { type Allowed, CLOSED_RANGES, type Family } from "./ranges.ts";

/** What this host's iptables can do beside matching addresses, ports and interfaces. */
export const FEATURES = ["conntrack", "connlimit", "hashlimit", "reject"] as const;
export type Feature = (typeof FEATURES)[number];

export interface RuleLimits {
  readonly egressConnectionsMax: number;
  readonly egressNewPerSecondMax: number;
}

export interface Ruled {
  readonly names: RuleNames;
  /** Bridges of teams that are there, by the names of their interfaces. */
  readonly bridges: readonly string[];
  /** Of them, those that have no name of this node's. */
  readonly foreign: readonly string[];
  readonly allowed: readonly Allowed[];
  readonly limits: RuleLimits;
}

/**
 * from: what leaves a team's bridge for elsewhere; to: what comes into one from elsewhere; host: what a container sends to this host
 * itself; refuse: how it is told so. bridges: every team's bridge of this node, also of those to come.
 */
export interface RuleNames {
  readonly from: string;
  readonly to: string;
  readonly host: string;
  readonly refuse: string;
  readonly bridges: string;
}

/** Of a node alone: agents that share a host must not undo each other's rules. Interfaces have at most 15 letters. */
export function ruleNames(node: string): RuleNames {
  const own = node.slice(-5);
  return {
    from: `BERTH-${own}-FROM`,
    to: `BERTH-${own}-TO`,
    host: `BERTH-${own}-HOST`,
    refuse: `BERTH-${own}-NO`,
    bridges: `b${own}-+`,
  };
}

export function bridgeName(node: string, team: string): string {
  return `b${node.slice(-5)}-${team.slice(-8)}`;
}

/** One line of a chain, without its -A. */
type Line = string;

export interface Chains {
  readonly from: readonly Line[];
  readonly to: readonly Line[];
  readonly host: readonly Line[];
  readonly refuse: readonly Line[];
}

/**
 * Packets of connections that others opened pass. Those that a container opened are looked at one by one, so that what it opened
 * while the rules were gone ends as soon as they are back. A chain that is through returns to the host's own rules.
 */
export function chainsOf(ruled: Ruled, family: Family, features: ReadonlySet<Feature>): Chains {
  const { bridges, allowed, limits, names } = ruled;
  const has = (feature: Feature) => features.has(feature);
  const refuse = `-j ${names.refuse}`;
  const fresh = has("conntrack") ? "-m conntrack --ctstate NEW " : "";
  // Without connection tracking an answer is known by its flags alone, and only of TCP.
  const answers = has("conntrack")
    ? "-m conntrack --ctstate ESTABLISHED,RELATED --ctdir REPLY -j RETURN"
    : "-p tcp -m tcp ! --syn -j RETURN";
  const opened = allowed.filter((one) => one.family === family).flatMap(allowLines);
  const within = bridges.map((bridge) => `-i ${bridge} -o ${bridge} -j RETURN`);
  const perAddress = family === "v4" ? 32 : 128;
  const cap = `-m connlimit --connlimit-above ${limits.egressConnectionsMax} --connlimit-mask ${perAddress} --connlimit-saddr`;
  const pace =
    `-m hashlimit --hashlimit-above ${limits.egressNewPerSecondMax}/second` +
    ` --hashlimit-burst ${2 * limits.egressNewPerSecondMax} --hashlimit-mode srcip --hashlimit-name ${names.bridges.slice(0, -2)}-${family}`;
  return {
    from: [
      answers,
      ...within,
      ...opened,
      ...CLOSED_RANGES[family].map((range) => `-d ${range} ${refuse}`),
      `-p tcp -m tcp --dport 25 ${refuse}`,
      ...(has("connlimit") ? [`${fresh}${cap} ${refuse}`] : []),
      // Of connections, not of packets: without tracking there is no telling them apart.
      ...(has("hashlimit") && has("conntrack") ? [`${fresh}${pace} ${refuse}`] : []),
    ],
    to: has("conntrack")
      ? [
          "-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN",
          // What the Engine forwards to a port that a release asked for.
          "-m conntrack --ctstate DNAT -j RETURN",
          ...within,
          refuse,
        ]
      : [],
    host: [answers, ...opened, refuse],
    // Kernels send few ICMP messages a second: who is refused by one that is never sent waits until it gives up.
    refuse: has("reject") ? ["-p tcp -j REJECT --reject-with tcp-reset", "-j REJECT"] : ["-j DROP"],
  };
}

function allowLines({ range, port, protocols }: Allowed): Line[] {
  if (port === null) return [`-d ${range} -j RETURN`];
  return protocols.map((protocol) => `-d ${range} -p ${protocol} -m ${protocol} --dport ${port} -j RETURN`);
}
