// One bridge network per team: containers of different teams cannot reach each other by their own addresses.
import type Docker from "dockerode";
import type { NodeId } from "../../../../contracts/ids.ts";
import { LABEL, networkName } from "./labels.ts";
import { messageOf, statusOf } from "./failures.ts";

export class Networks {
  readonly #docker: Docker;
  readonly #node: NodeId;
  readonly #known = new Map<string, Promise<string>>();

  constructor(docker: Docker, node: NodeId) {
    this.#docker = docker;
    this.#node = node;
  }

  /** The network's id. Asked for once per team and start of the agent; callers that come together share it. */
  ensure(team: string): Promise<string> {
    const known = this.#known.get(team);
    if (known !== undefined) return known;
    const made = this.#make(team);
    this.#known.set(team, made);
    made.catch(() => this.#known.delete(team));
    return made;
  }

  /** After an Engine said that the network is gone. */
  forget(team: string): void {
    this.#known.delete(team);
  }

  /** Removes this node's networks but those of the teams named, as far as nothing is attached. */
  async keepOnly(teams: ReadonlySet<string>): Promise<void> {
    const ours = await this.#docker.listNetworks({ filters: { label: [`${LABEL.node}=${this.#node}`] } });
    for (const { Id, Labels } of ours) {
      const team = Labels?.[LABEL.team] ?? "";
      if (teams.has(team)) continue;
      this.#known.delete(team);
      await this.#drop(Id);
    }
  }

  async #make(team: string): Promise<string> {
    const name = networkName(this.#node, team);
    const [found] = await this.#find(name);
    if (found !== undefined) return found;
    const Labels = { [LABEL.team]: team, [LABEL.node]: this.#node };
    return (await this.#docker.createNetwork({ Name: name, CheckDuplicate: true, Driver: "bridge", Labels })).id;
  }

  /** Ids of the networks of exactly that name. */
  async #find(name: string): Promise<string[]> {
    const found = await this.#docker.listNetworks({ filters: { name: [name] } });
    return found.filter(({ Name }) => Name === name).map(({ Id }) => Id);
  }

  async #drop(id: string): Promise<void> {
    try {
      await this.#docker.getNetwork(id).remove();
    } catch (error) {
      const inUse = /active endpoints/i.test(messageOf(error));
      if (!inUse && statusOf(error) !== 404) throw error;
    }
  }
}
