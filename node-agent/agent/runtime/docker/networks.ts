// One bridge network per team: containers of different teams cannot reach each other by their own addresses.
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type Docker from "dockerode";
import type { NodeId } from "../../../../contracts/ids.ts";
import { freeRange, OWN_RANGES, routesIn } from "../../../../core/networks/free-range.ts";
import type { Firewall } from "../../firewall/firewall.ts";
import { bridgeName } from "../../firewall/rules.ts";
import { type Subnet, subnetOf } from "./addresses.ts";
import { LABEL, networkName } from "./labels.ts";
import { messageOf, statusOf } from "./failures.ts";

/** subnet is null where the Engine hands out the addresses. */
export interface TeamNetwork {
  readonly id: string;
  readonly subnet: Subnet | null;
}

/** An address range as the Engine is told it. */
interface Named {
  readonly Subnet: string;
  readonly Gateway?: string;
}

const TRIES_MAX = 5;
/** Older Engines, and newer ones: no pool of its own has room. Docker's default ones hold about 31 networks. */
const POOLS_SPENT = /non-overlapping IPv4 address pool|predefined address pools have been fully subnetted/i;
/** The option of the Engine by which a bridge gets its name. */
const BRIDGE_NAME = "com.docker.network.bridge.name";

export class Networks {
  readonly #docker: Docker;
  readonly #node: NodeId;
  readonly #firewall: Firewall;
  readonly #known = new Map<string, Promise<TeamNetwork>>();

  constructor(docker: Docker, node: NodeId, firewall: Firewall) {
    this.#docker = docker;
    this.#node = node;
    this.#firewall = firewall;
  }

  /** Asked for once per team and start of the agent; callers that come together share it. */
  ensure(team: string): Promise<TeamNetwork> {
    const known = this.#known.get(team);
    if (known !== undefined) return known;
    // Nothing is started in it before the rules stand that close it in.
    const made = this.#make(team).then(async (network) => {
      await this.#firewall.assert();
      return network;
    });
    this.#known.set(team, made);
    made.catch(() => this.#known.delete(team));
    return made;
  }

  /** After an Engine said that the network is gone. */
  forget(team: string): void {
    this.#known.delete(team);
  }

  /** Has the rules cover what older agents made: bridges by names that the Engine picked. */
  async coverOlder(): Promise<void> {
    await this.#firewall.assert();
    const ours = await this.#docker.listNetworks({ filters: { label: [`${LABEL.node}=${this.#node}`] } });
    const named = bridgeName(this.#node, "");
    for (const { Id } of ours) {
      const { bridge } = await this.#inspect(Id);
      if (!bridge.startsWith(named)) this.#firewall.addForeign(bridge);
    }
  }

  /** Removes this node's networks but those of the teams named, as far as nothing is attached; answers the removed ids. */
  async keepOnly(teams: ReadonlySet<string>): Promise<string[]> {
    const ours = await this.#docker.listNetworks({ filters: { label: [`${LABEL.node}=${this.#node}`] } });
    const dropped: string[] = [];
    for (const { Id, Labels } of ours) {
      const team = Labels?.[LABEL.team] ?? "";
      if (teams.has(team)) continue;
      this.#known.delete(team);
      if (await this.#drop(Id)) dropped.push(Id);
    }
    return dropped;
  }

  async #make(team: string): Promise<TeamNetwork> {
    const name = networkName(this.#node, team);
    const [found] = await this.#find(name);
    if (found !== undefined) {
      const known = await this.#inspect(found);
      // Only half made, or by an agent that left addresses or the bridge's name to the Engine: remade unless it is in use.
      const isOurs = known.subnet !== null && known.bridge === bridgeName(this.#node, team);
      if (!isOurs) this.#firewall.addForeign(known.bridge);
      if (isOurs || !(await this.#drop(found))) return known;
    }
    try {
      return await despiteOthers(() => this.#makeAssigned(name, team));
    } catch (error) {
      if (!POOLS_SPENT.test(messageOf(error))) throw error;
      return await this.#makeOwn(name, team);
    }
  }

  /**
   * Addresses can only be given in a network whose range was named at its creation. The Engine picks the range (it knows
   * what its operator and this host use already), and the network is made again with just that.
   */
  async #makeAssigned(name: string, team: string): Promise<TeamNetwork> {
    const first = await this.#docker.createNetwork(this.#about(name, team));
    const { IPAM } = (await first.inspect()) as { IPAM?: { Config?: { Subnet?: string; Gateway?: string }[] } };
    const [range] = IPAM?.Config ?? [];
    if (range?.Subnet === undefined || subnetOf(first.id, range.Subnet, range.Gateway) === null) {
      return { id: first.id, subnet: null };
    }
    await this.#drop(first.id);
    const { Subnet, Gateway } = range;
    return this.#makeNamed(name, team, { Subnet, ...(Gateway === undefined ? {} : { Gateway }) });
  }

  /** The Engine looks at nothing but its other networks where a range is named to it: what else is in use, we have to see. */
  #makeOwn(name: string, team: string): Promise<TeamNetwork> {
    const refused: string[] = [];
    return despiteOthers(async () => {
      // From anywhere: other teams' networks are made at the same time.
      const Subnet = freeRange([...(await this.#inUse()), ...refused], Math.random());
      if (Subnet === null)
        throw new Error(`no address range is left in the Engine's pools, nor in ${OWN_RANGES.join()}`);
      refused.push(Subnet);
      return this.#makeNamed(name, team, { Subnet });
    });
  }

  async #makeNamed(name: string, team: string, range: Named): Promise<TeamNetwork> {
    const about = this.#about(name, team);
    const Labels = { ...about.Labels, [LABEL.addresses]: "assigned" };
    const { id } = await this.#docker.createNetwork({ ...about, Labels, IPAM: { Driver: "default", Config: [range] } });
    return { id, subnet: subnetOf(id, range.Subnet, range.Gateway) };
  }

  #about(name: string, team: string) {
    const Labels = { [LABEL.team]: team, [LABEL.node]: this.#node };
    const Options = { [BRIDGE_NAME]: bridgeName(this.#node, team) };
    return { Name: name, CheckDuplicate: true, Driver: "bridge", EnableIPv6: false, Options, Labels };
  }

  /** The address ranges of the Engine's networks, and of this host's interfaces and routes. */
  async #inUse(): Promise<string[]> {
    const networks = await this.#docker.listNetworks();
    // Only Linux has it; on other systems the Engine's host is a virtual machine.
    const routes = await readFile("/proc/net/route", "utf8").catch(() => "");
    return [
      ...networks.flatMap(({ IPAM }) => IPAM?.Config ?? []).map(({ Subnet }) => Subnet ?? ""),
      ...Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ cidr }) => cidr ?? "")),
      ...routesIn(routes),
    ];
  }

  async #inspect(id: string): Promise<TeamNetwork & { readonly bridge: string }> {
    const { Labels, IPAM, Options } = (await this.#docker.getNetwork(id).inspect()) as {
      Labels?: Record<string, string>;
      Options?: Record<string, string>;
      IPAM?: { Config?: { Subnet?: string; Gateway?: string }[] };
    };
    const [range] = IPAM?.Config ?? [];
    const isAssigned = Labels?.[LABEL.addresses] === "assigned" && range?.Subnet !== undefined;
    const bridge = Options?.[BRIDGE_NAME] ?? `br-${id.slice(0, 12)}`;
    return { id, subnet: isAssigned ? subnetOf(id, range.Subnet as string, range.Gateway) : null, bridge };
  }

  /** Ids of the networks of exactly that name. */
  async #find(name: string): Promise<string[]> {
    const found = await this.#docker.listNetworks({ filters: { name: [name] } });
    return found.filter(({ Name }) => Name === name).map(({ Id }) => Id);
  }

  /** Whether it is gone now. */
  async #drop(id: string): Promise<boolean> {
    try {
      await this.#docker.getNetwork(id).remove();
    } catch (error) {
      if (/active endpoints/i.test(messageOf(error))) return false;
      if (statusOf(error) !== 404) throw error;
    }
    return true;
  }
}

/** Somebody may take the address range between the look and the making, or our two steps; then with the next one. */
async function despiteOthers<Made>(make: () => Promise<Made>): Promise<Made> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await make();
    } catch (error) {
      const message = messageOf(error);
      if (tries === TRIES_MAX || POOLS_SPENT.test(message) || !/overlap/i.test(message)) throw error;
    }
  }
}
